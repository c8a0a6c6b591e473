// Calls through the SDK and ends with 0 when everything is as it should be.
const assert = require("node:assert/strict");
const { CommunicationProtocolEnum, DaprClient, HttpMethod } = require("@dapr/dapr");

const { APP_ID } = process.env;
const header = (seen, name) => seen.headers.find(([key]) => key === name)?.[1];

async function httpCallee(client, overHttp) {
  const seen = await client.invoker.invoke("echo", "some/path", HttpMethod.PUT, { a: [1, 2] });
  assert.equal(seen.app, "echo");
  assert.deepEqual([seen.method, seen.path], ["PUT", "/some/path"]);
  assert.deepEqual(JSON.parse(seen.body), { a: [1, 2] });
  assert.equal(header(seen, "content-type"), "application/json");
  assert.equal(header(seen, "dapr-caller-app-id"), APP_ID);
  assert.equal(header(seen, "dapr-api-token"), undefined);
  if (overHttp) {
    const headers = { "x-color": "blue" };
    const seen = await client.invoker.invoke("echo", "x?size=10", HttpMethod.GET, undefined, { headers });
    assert.deepEqual([seen.method, seen.path, seen.query], ["GET", "/x", "size=10"]);
    assert.equal(header(seen, "x-color"), "blue");
  }
}

async function javascriptCallees(client) {
  const http = await client.invoker.invoke("http-callee", "echo", HttpMethod.POST, { n: 1 });
  assert.equal(http.caller, APP_ID);
  assert.deepEqual(JSON.parse(http.body), { n: 1 });
  assert.deepEqual([http.traced, http.token], [true, null]);
  const grpc = await client.invoker.invoke("grpc-callee", "echo", HttpMethod.POST, { n: 2 });
  assert.deepEqual(JSON.parse(grpc.body), { n: 2 });
  assert.deepEqual([grpc.method, grpc.contentType], ["post", "application/json"]);
}

async function failures(client, overHttp) {
  const nobody = () => client.invoker.invoke("nobody", "x", HttpMethod.GET);
  if (!overHttp) {
    await assert.rejects(nobody, /nobody/);
    return;
  }
  await assert.rejects(nobody, (error) => {
    const body = JSON.parse(JSON.parse(error.message).error_msg);
    return body.errorCode === "ERR_DIRECT_INVOKE" && body.message.includes("nobody");
  });
  const refused = () => client.invoker.invoke("echo", "missing?status=404", HttpMethod.GET);
  await assert.rejects(refused, (error) => JSON.parse(error.message).status === 404);
}

async function main() {
  const http = new DaprClient();
  const grpc = new DaprClient({ communicationProtocol: CommunicationProtocolEnum.GRPC });
  for (const [client, overHttp] of [
    [http, true],
    [grpc, false],
  ]) {
    await client.start();
    await httpCallee(client, overHttp);
    await javascriptCallees(client);
    await failures(client, overHttp);
  }
  assert.equal(await http.metadata.set("color", "blue"), true);
  assert.equal(await grpc.metadata.set("size", "10"), true);
  const told = await grpc.metadata.get();
  assert.equal(told.id, APP_ID);
  assert.deepEqual([told.extended.color, told.extended.size], ["blue", "10"]);
  assert.equal(await grpc.health.isHealthy(), true);
  await Promise.all([http.stop(), grpc.stop()]);
  console.log("all is well");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
