// Has itself greeted by a server in each language.
import { DaprClient, HttpMethod } from "@dapr/dapr";

const client = new DaprClient();
for (const server of ["server-python", "server-javascript", "server-rust"]) {
  console.log(await client.invoker.invoke(server, "greet", HttpMethod.POST, "JavaScript client"));
}
await client.stop();
