// How far it is from one city to another.
import { DaprServer } from "@dapr/dapr";

const cities = { berlin: [52.52, 13.4], lisbon: [38.72, -9.14], oslo: [59.91, 10.75], rome: [41.9, 12.5] };

function distance(from, to) {
  if (!(from in cities && to in cities)) return null;
  const [[lat1, lon1], [lat2, lon2]] = [cities[from], cities[to]].map((city) => city.map((degrees) => (degrees * Math.PI) / 180));
  const cosine = Math.sin(lat1) * Math.sin(lat2) + Math.cos(lat1) * Math.cos(lat2) * Math.cos(lon1 - lon2);
  return Math.round(6371 * Math.acos(Math.min(1, cosine)));
}

const server = new DaprServer({ serverPort: process.env.PORT });
const answer = async ({ body }) => {
  const { from, to } = JSON.parse(body);
  return { km: distance(from, to) };
};
await server.invoker.listen("distance", answer, { method: "post" });
await server.start();
