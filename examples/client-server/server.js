// Greets whoever asks.
import { CommunicationProtocolEnum, DaprServer } from "@dapr/dapr";

const server = new DaprServer({ communicationProtocol: CommunicationProtocolEnum.GRPC, serverPort: process.env.PORT });
const greet = async ({ body }) => `Hello ${body}, this is JavaScript.`;
await server.invoker.listen("greet", greet, { method: "post" });
await server.invoker.listen("greet", greet, { method: "none" }); // clients in Rust send no verb
await server.start();
