// The presentation tier: a page with the guest book.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { DaprClient, HttpMethod } from "@dapr/dapr";

const logic = (method, body) => client.invoker.invoke("logic", method, HttpMethod.POST, body);
const client = new DaprClient();
const escape = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const page = (entries, refused) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Guest book</title>
<h1>Guest book</h1>
<form method="post"><input name="text" aria-label="Entry" maxlength="200" autofocus> <button>Write</button></form>
<p>${escape(refused)}</p>
<ul>${entries.map((entry) => `<li>${escape(entry)}</li>`).join("")}</ul>`;

async function answer(request, response) {
  let refused = "";
  if (request.method === "POST") {
    const form = new URLSearchParams(await text(request));
    ({ refused = "" } = await logic("write", { text: form.get("text") ?? "" }));
  }
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(page(await logic("list"), refused));
}

const server = createServer((request, response) =>
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(502).end("The guest book is away.");
  }),
);
server.listen(process.env.PORT, "127.0.0.1");
