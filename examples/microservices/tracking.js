// Gives each parcel a number.
import { randomUUID } from "node:crypto";
import { CommunicationProtocolEnum, DaprServer } from "@dapr/dapr";

const server = new DaprServer({ communicationProtocol: CommunicationProtocolEnum.GRPC, serverPort: process.env.PORT });
const register = async () => ({ number: randomUUID() });
await server.invoker.listen("register", register, { method: "none" }); // clients in Rust send no verb
await server.start();
