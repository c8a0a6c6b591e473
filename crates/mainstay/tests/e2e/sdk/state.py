"""State through the SDK, on each component that STORES names; ends with 0 when everything is as it should be."""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from dapr.aio.clients import DaprClient as AsyncDaprClient
from dapr.clients import DaprClient
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, Consistency, StateItem, StateOptions
from dapr.clients.health import DaprHealth

FIRST_WRITE = StateOptions(consistency=Consistency.strong, concurrency=Concurrency.first_write)


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def refused(code, change):
    try:
        change()
    except grpc.RpcError as error:
        same(error.code(), code)
        return error.details()
    raise AssertionError(f"{code} expected")


def one_key(client, store):
    same(client.get_state(store, "missing").data, b"")
    client.save_state(store, "key 1/ü", json.dumps({"n": 1}))
    read = client.get_state(store, "key 1/ü")
    same(read.json(), {"n": 1})
    assert read.etag
    client.save_state(store, "key 1/ü", b"\x00\xff", etag=read.etag)
    same(client.get_state(store, "key 1/ü").data, b"\x00\xff")
    told = refused(grpc.StatusCode.ABORTED, lambda: client.save_state(store, "key 1/ü", "late", etag=read.etag))
    assert "etag" in told, told
    refused(grpc.StatusCode.ABORTED, lambda: client.save_state(store, "key 1/ü", "second", options=FIRST_WRITE))
    refused(grpc.StatusCode.ABORTED, lambda: client.delete_state(store, "key 1/ü", etag=read.etag))
    client.delete_state(store, "key 1/ü", etag=client.get_state(store, "key 1/ü").etag)
    same(client.get_state(store, "key 1/ü").data, b"")
    client.delete_state(store, "key 1/ü")


def many_keys(client, store):
    client.save_bulk_state(store, states=[StateItem(key=f"bulk-{n}", value=f"value {n}") for n in range(20)])
    items = client.get_bulk_state(store, keys=[f"bulk-{n}" for n in range(21)]).items
    same([(item.key, item.data) for item in items][18:], [("bulk-18", b"value 18"), ("bulk-19", b"value 19"), ("bulk-20", b"")])
    assert all(item.etag for item in items[:20])


def transactions(client, store):
    upsert = lambda key, data, etag=None: TransactionalStateOperation(key=key, data=data, etag=etag)
    delete = lambda key: TransactionalStateOperation(key=key, operation_type=TransactionOperationType.delete)
    client.save_state(store, "old", "1")
    client.execute_state_transaction(store, operations=[upsert("new", "2"), delete("old")])
    same(client.get_state(store, "new").data, b"2")
    same(client.get_state(store, "old").data, b"")
    stale = client.get_state(store, "new").etag
    client.save_state(store, "new", "3")
    failing = [upsert("other", "4"), upsert("new", "5", etag=stale)]
    refused(grpc.StatusCode.INTERNAL, lambda: client.execute_state_transaction(store, operations=failing))
    same(client.get_state(store, "other").data, b"")
    same(client.get_state(store, "new").data, b"3")


def time_to_live(client, store):
    client.save_state(store, "short", "1", state_metadata={"ttlInSeconds": "1"})
    assert client.get_state(store, "short").data == b"1"
    deadline = time.monotonic() + 20
    while client.get_state(store, "short").data:
        assert time.monotonic() < deadline, "it never expires"
        time.sleep(0.1)


def queries(client, store):
    for n, city in enumerate(["Rome", "Oslo", "Rome"]):
        client.save_state(store, f"person-{n}", json.dumps({"city": city, "n": n}))
    query = {"filter": {"EQ": {"city": "Rome"}}, "sort": [{"key": "n", "order": "DESC"}], "page": {"limit": 1}}
    first = client.query_state(store, json.dumps(query))
    same([item.key for item in first.results], ["person-2"])
    query["page"]["token"] = first.token
    second = client.query_state(store, json.dumps(query))
    same([item.key for item in second.results], ["person-0"])


def merging(client, store):
    def merge(key, value, kind, operation=None):
        metadata = {"mainstay.crdt": kind} | ({"mainstay.op": operation} if operation else {})
        client.save_state(store, key, json.dumps(value), state_metadata=metadata)

    def read(key):
        return client.get_state(store, key).json()

    with ThreadPoolExecutor(8) as threads:
        for _ in threads.map(lambda n: merge("visits", n, "counter"), range(40)):
            pass
    merge("visits", 80, "counter", "decrement")
    same(read("visits"), 700)
    merge("cart", ["tea", "milk", 7], "set")
    merge("cart", "tea", "set", "remove")
    same(read("cart"), ["milk", 7])
    merge("theme", {"dark": True}, "register")
    same(read("theme"), {"dark": True})
    same([item.data for item in client.get_bulk_state(store, keys=["visits", "cart"]).items], [b"700", b'["milk",7]'])
    upsert = lambda key, data, **metadata: TransactionalStateOperation(key=key, data=data, metadata=metadata)
    client.execute_state_transaction(
        store, operations=[upsert("visits", "1", **{"mainstay.crdt": "counter"}), upsert("plain", "2")]
    )
    same((read("visits"), read("plain")), (701, 2))
    told = refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: merge("cart", 1, "counter"))
    assert "it is a set, and no counter" in told, told
    told = refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: merge("visits", "one", "counter"))
    assert "a whole number" in told, told
    client.delete_state(store, "visits")
    merge("visits", 1, "counter")
    same(read("visits"), 1)


async def asynchronous(store):
    async with AsyncDaprClient() as client:
        await asyncio.gather(*(client.save_state(store, f"async-{n}", str(n)) for n in range(50)))
        read = await asyncio.gather(*(client.get_state(store, f"async-{n}") for n in range(50)))
        same([answer.data for answer in read], [str(n).encode() for n in range(50)])


DaprHealth.wait_for_sidecar()
with DaprClient() as dapr:
    for name in os.environ["STORES"].split(","):
        one_key(dapr, name)
        many_keys(dapr, name)
        transactions(dapr, name)
        time_to_live(dapr, name)
        merging(dapr, name)
        if name not in os.environ.get("WITHOUT_QUERY", "").split(","):
            queries(dapr, name)
        asyncio.run(asynchronous(name))
    details = refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: dapr.save_state("nowhere", "key", "1"))
    same(details, "state store nowhere is not found")
print("all is well", flush=True)
