// Locks, settings and secrets through the SDK over HTTP and gRPC, on the components that LOCKS, CONFIGS and SECRETS name;
// ends with 0 when everything is as it should be. It says when it is subscribed, and waits until the setting `color` is red.
const assert = require("node:assert/strict");
const { CommunicationProtocolEnum, DaprClient, LockStatus } = require("@dapr/dapr");

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

async function secrets(client, store) {
  assert.deepEqual({ ...(await client.secret.get(store, "db")) }, { user: "ada", password: "pw" });
  const all = await client.secret.getBulk(store);
  assert.match(JSON.stringify(all), /"user":"ada"/);
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
      await secrets(client, store);
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
