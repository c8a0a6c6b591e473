// Locks, settings and secrets through the SDK over HTTP and gRPC, on the components that LOCKS, CONFIGS and SECRETS name;
// ends with 0 when everything is as it should be. It says when it is subscribed, and waits until the setting `color` is red.
const assert = require("node:assert/strict");
const { CommunicationProtocolEnum, DaprClient } = require("@dapr/dapr");

// As the SDK numbers them; it does not export their names.
const LockStatus = { Success: 0, LockDoesNotExist: 1, LockBelongsToOthers: 2 };

const names = (variable) => process.env[variable].split(",");

async function locks(client, store, id) {
  const resource = `resource-${id}`;
  assert.equal((await client.lock.lock(store, resource, "ada", 60)).success, true);
  assert.equal((await client.lock.lock(store, resource, "bob", 60)).success, false);
  const unlock = async (owner) => (await client.lock.unlock(store, resource, owner)).status;
  assert.equal(await unlock("bob"), LockStatus.LockBelongsToOthers);
  assert.equal(await unlock("ada"), LockStatus.Success);
  assert.equal(await unlock("ada"), LockStatus.LockDoesNotExist);
}

async function secrets(client, store, id) {
  const values = { user: "ada", password: "pw" };
  const read = Object.entries(await client.secret.get(store, "db"));
  // Over gRPC the SDK gives only one of the values that it got.
  assert.equal(read.length, id === "http" ? 2 : 1);
  for (const [part, value] of read) {
    assert.equal(value, values[part]);
  }
  const all = await client.secret.getBulk(store);
  assert.deepEqual({ ...all.db }, values);
  await assert.rejects(() => client.secret.get(store, "none"));
}

// Resolves when the setting is red.
async function settings(client, store) {
  const read = await client.configuration.get(store, ["color", "none"]);
  assert.deepEqual(Object.keys(read.items), ["color"]);
  assert.equal(read.items.color.value, "blue");
  let isRed;
  const red = new Promise((resolve) => (isRed = resolve));
  const subscription = await client.configuration.subscribeWithKeys(store, ["color"], async (told) => {
    if (told.items.color?.value === "red") {
      isRed();
    }
  });
  return { subscription, red };
}

async function main() {
  const http = new DaprClient();
  const grpc = new DaprClient({ communicationProtocol: CommunicationProtocolEnum.GRPC });
  for (const [client, id] of [
    [http, "http"],
    [grpc, "grpc"],
  ]) {
    await client.start();
    for (const store of names("LOCKS")) {
      await locks(client, store, id);
    }
    for (const store of names("SECRETS")) {
      await secrets(client, store, id);
    }
  }
  const subscribed = [];
  for (const store of names("CONFIGS")) {
    subscribed.push(await settings(grpc, store));
    console.log(`subscribed to ${store}`);
  }
  for (const { subscription, red } of subscribed) {
    await red;
    subscription.stop();
  }
  await Promise.all([http.stop(), grpc.stop()]);
  console.log("all is well");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
