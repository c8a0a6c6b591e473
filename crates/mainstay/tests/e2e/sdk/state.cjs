// State through the SDK over HTTP and gRPC, on each component that STORES names; ends with 0 when everything is as it
// should be.
const assert = require("node:assert/strict");
const { CommunicationProtocolEnum, DaprClient, StateConcurrencyEnum, StateConsistencyEnum } = require("@dapr/dapr");

const firstWrite = {
  concurrency: StateConcurrencyEnum.CONCURRENCY_FIRST_WRITE,
  consistency: StateConsistencyEnum.CONSISTENCY_STRONG,
};

// Over HTTP a failed change is told in what is returned, over gRPC it is thrown.
async function refused(change) {
  try {
    const told = await change();
    assert.ok(told?.error, "a refusal");
  } catch (error) {
    assert.match(String(error.message ?? error), /etag|possible|ABORTED|409/i);
  }
}

async function keys(client, store, id) {
  const key = (name) => `${id}-${name}`;
  await client.state.save(store, [
    { key: key("a"), value: { n: 1, text: "ü" } },
    { key: key("b"), value: "text" },
    { key: key("c"), value: [1, 2] },
  ]);
  assert.deepEqual(await client.state.get(store, key("a")), { n: 1, text: "ü" });
  assert.equal(await client.state.get(store, key("b")), "text");
  const bulk = await client.state.getBulk(store, [key("a"), key("c")]);
  assert.deepEqual(
    bulk.map((item) => item.data),
    [{ n: 1, text: "ü" }, [1, 2]],
  );
  assert.ok(bulk[0].etag);
  await refused(() => client.state.save(store, [{ key: key("a"), value: 2, options: firstWrite }]));
  assert.deepEqual(await client.state.get(store, key("a")), { n: 1, text: "ü" });
  await client.state.transaction(store, [
    // Over gRPC the SDK takes texts only, and cannot do without one.
    { operation: "upsert", request: { key: key("d"), value: "four" } },
    { operation: "delete", request: { key: key("a"), value: "" } },
  ]);
  assert.equal(await client.state.get(store, key("d")), "four");
  assert.ok(!(await client.state.get(store, key("a"))), "it is gone");
  // The same over HTTP, where values are JSON, and over gRPC, where they are what JSON makes of them.
  const merge = (name, value, kind, operation = {}) =>
    client.state.save(store, [{ key: key(name), value, metadata: { "mainstay.crdt": kind, ...operation } }]);
  await Promise.all(Array.from({ length: 20 }, () => merge("visits", 2, "counter")));
  await merge("cart", ["tea", "milk"], "set");
  await merge("cart", ["tea"], "set", { "mainstay.op": "remove" });
  assert.equal(Number(await client.state.get(store, key("visits"))), 40);
  assert.deepEqual(await client.state.get(store, key("cart")), ["milk"]);
  for (const name of ["visits", "cart"]) await client.state.delete(store, key(name));
  await client.state.delete(store, key("d"));
  assert.ok(!(await client.state.get(store, key("d"))), "it is gone");
}

async function main() {
  for (const communicationProtocol of [CommunicationProtocolEnum.HTTP, CommunicationProtocolEnum.GRPC]) {
    const client = new DaprClient({ communicationProtocol });
    await client.start();
    for (const store of process.env.STORES.split(",")) {
      await keys(client, store, `js-${communicationProtocol}`);
    }
    await client.stop();
  }
  console.log("all is well");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
