"""Locks, settings and secrets through the SDK, on the components that LOCKS, CONFIGS and SECRETS name; ends with 0 when
everything is as it should be. It says when it is subscribed, and waits until the setting `color` is red."""

import os
import threading

import grpc
from dapr.clients import DaprClient
from dapr.clients.grpc._response import UnlockResponseStatus
from dapr.clients.health import DaprHealth


class ShowToken(grpc.UnaryStreamClientInterceptor):
    """Shows the token where the SDK forgets it: in calls whose answers stream, such as a subscription to settings."""

    def intercept_unary_stream(self, continuation, details, request):
        token = ("dapr-api-token", os.environ["DAPR_API_TOKEN"])
        return continuation(details._replace(metadata=[*(details.metadata or []), token]), request)


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def locks(client, store):
    assert client.try_lock(store, "resource", "ada", 60).success
    assert not client.try_lock(store, "resource", "bob", 60).success
    same(client.unlock(store, "resource", "bob").status, UnlockResponseStatus.lock_belongs_to_others)
    same(client.unlock(store, "resource", "ada").status, UnlockResponseStatus.success)
    same(client.unlock(store, "resource", "ada").status, UnlockResponseStatus.lock_does_not_exist)
    with client.try_lock(store, "other", "ada", 60) as lock:
        assert lock.success
    assert client.try_lock(store, "other", "bob", 60).success


def secrets(client, store):
    same(client.get_secret(store, "db").secret, {"user": "ada", "password": "pw"})
    same(client.get_bulk_secret(store).secrets["db"], {"user": "ada", "password": "pw"})
    try:
        client.get_secret(store, "none")
    except grpc.RpcError as error:
        assert "none" in error.details(), error.details()
    else:
        raise AssertionError("there is no such secret")


def settings(client, store):
    item = client.get_configuration(store, keys=["color", "none"]).items
    same(list(item), ["color"])
    same(item["color"].value, "blue")
    assert item["color"].version
    changed = threading.Event()

    def handler(_id, response):
        if response.items["color"].value == "red":
            changed.set()

    subscription = client.subscribe_configuration(store, keys=["color"], handler=handler)
    assert subscription, "an id"
    print(f"subscribed to {store}", flush=True)
    return subscription, changed


def main():
    DaprHealth.wait_until_ready()
    with DaprClient(interceptors=[ShowToken()]) as client:
        for store in os.environ["LOCKS"].split(","):
            locks(client, store)
        for store in os.environ["SECRETS"].split(","):
            secrets(client, store)
        subscribed = [(store, *settings(client, store)) for store in os.environ["CONFIGS"].split(",")]
        for store, subscription, changed in subscribed:
            assert changed.wait(60), f"no change of {store} was told"
            assert client.unsubscribe_configuration(store, subscription)
    print("all is well")


main()
