// A callee in JavaScript: the SDK's gRPC server.
const { CommunicationProtocolEnum, DaprServer } = require("@dapr/dapr");

async function main() {
  const options = { communicationProtocol: CommunicationProtocolEnum.GRPC, serverPort: process.env.PORT };
  const server = new DaprServer(options);
  for (const method of ["get", "post", "none"]) {
    const echo = async ({ body, query, metadata }) => ({ method, body, query, contentType: metadata.contentType });
    await server.invoker.listen("echo", echo, { method });
  }
  await server.start();
}

main();
