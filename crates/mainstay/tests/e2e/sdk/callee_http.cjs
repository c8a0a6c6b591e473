// A callee in JavaScript: the SDK's HTTP server.
const { DaprServer } = require("@dapr/dapr");

async function main() {
  const server = new DaprServer({ serverPort: process.env.PORT });
  const echo = async ({ body, query, headers }) => ({
    body,
    query,
    caller: headers["dapr-caller-app-id"],
    traced: "traceparent" in headers,
    token: headers["dapr-api-token"] ?? null,
  });
  for (const method of ["get", "post", "put", "delete", "patch"]) {
    await server.invoker.listen("echo", echo, { method });
  }
  await server.start();
}

main();
