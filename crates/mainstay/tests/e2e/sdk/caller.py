"""Calls through the SDK and ends with 0 when everything is as it should be.

DAPR_API_METHOD_INVOCATION_PROTOCOL says whether `invoke_method` speaks HTTP or gRPC, as it does for a user.
"""

import asyncio
import json
import os

import grpc
from dapr.aio.clients import DaprClient as AsyncDaprClient
from dapr.clients import DaprClient
from dapr.clients.exceptions import DaprHttpError
from dapr.clients.health import DaprHealth
from dapr.conf import settings
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

APP_ID = os.environ["APP_ID"]
OVER_HTTP = settings.DAPR_API_METHOD_INVOCATION_PROTOCOL.upper() == "HTTP"


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def header(seen, name):
    return next((value for key, value in seen["headers"] if key == name), None)


def http_callee(client):
    answer = client.invoke_method(
        "echo",
        "some/path",
        data=json.dumps({"ü": [1, 2]}),
        content_type="application/json",
        http_verb="PUT",
        http_querystring=(("color", "blue"), ("size", "10")),
    )
    seen = json.loads(answer.text())
    same(seen["app"], "echo")
    same((seen["method"], seen["path"], seen["query"]), ("PUT", "/some/path", "color=blue&size=10"))
    same(json.loads(seen["body"]), {"ü": [1, 2]})
    same(header(seen, "content-type"), "application/json")
    same(header(seen, "dapr-caller-app-id"), APP_ID)
    same(header(seen, "dapr-callee-app-id"), "echo")
    # The token is between caller and runtime.
    same(header(seen, "dapr-api-token"), None)
    assert header(seen, "traceparent")
    same(answer.content_type, "application/json")


def http_callee_takes_bytes(client):
    sent = bytes(range(32, 127)) * 40
    answer = client.invoke_method("echo", "x", sent, "application/octet-stream", http_verb="POST")
    seen = json.loads(answer.text())
    same((seen["body_bytes"], seen["body"]), (len(sent), sent.decode()))


def http_callee_refuses(client):
    ask = dict(http_verb="GET", http_querystring=(("status", "404"),))
    if OVER_HTTP:
        try:
            client.invoke_method("echo", "missing", **ask)
        except DaprHttpError as error:
            same(error.status_code, 404)
            return
    else:
        try:
            client.invoke_method("echo", "missing", **ask)
        except grpc.RpcError as error:
            same(error.code(), grpc.StatusCode.NOT_FOUND)
            info = ErrorInfo()
            details = rpc_status.from_call(error).details
            assert any(detail.Unpack(info) for detail in details), details
            same(info.metadata["http.code"], "404")
            return
    raise AssertionError("404 came through as an answer")


def grpc_callee(client):
    answer = client.invoke_method("python", "echo", "hello", "text/plain", http_verb="POST")
    seen = json.loads(answer.text())
    same((seen["body"], seen["content_type"], seen["caller"]), ("hello", "text/plain", [APP_ID]))
    same((seen["traced"], seen["told_token"]), (True, False))
    answer = client.invoke_method("python", "bytes", b"\x00\x01\xff", "application/octet-stream", http_verb="POST")
    same(answer.data, b"\xff\x01\x00")


def grpc_callee_fails(client):
    try:
        client.invoke_method("python", "fail", http_verb="POST")
    except DaprHttpError as error:
        assert OVER_HTTP
        same(error.status_code, 500)
    except grpc.RpcError as error:
        assert not OVER_HTTP
        same(error.code(), grpc.StatusCode.UNKNOWN)
    else:
        raise AssertionError("a failure came through as an answer")


def nobody(client):
    try:
        client.invoke_method("nobody", "x", http_verb="GET")
    except DaprHttpError as error:
        same((OVER_HTTP, error.error_code), (True, "ERR_DIRECT_INVOKE"))
        assert "nobody" in error.message, error.message
    except grpc.RpcError as error:
        assert not OVER_HTTP
        assert "nobody" in error.details(), error.details()
    else:
        raise AssertionError("nobody answered")


def grpc_proxying():
    """Any gRPC service, by the metadata `dapr-app-id`: all four kinds of call."""
    metadata = (("dapr-app-id", "streams"), ("dapr-api-token", os.environ["DAPR_API_TOKEN"]))
    sent = [b"one", b"two", b"three"]
    with grpc.insecure_channel(f"127.0.0.1:{os.environ['DAPR_GRPC_PORT']}") as channel:
        # Without serializers, messages are bytes; the callee sends back what it gets.
        unary = channel.unary_unary("/test.Echo/Unary")
        answer, call = unary.with_call(b"one", metadata=metadata, timeout=20)
        same(answer, b"one")
        trailers = dict(call.trailing_metadata())
        same(trailers["echo-dapr-caller-app-id"], APP_ID)
        same(trailers.get("echo-dapr-api-token"), None)
        server = channel.unary_stream("/test.Echo/ServerStream")
        same(list(server(b"one", metadata=metadata, timeout=20)), [b"one"])
        client = channel.stream_unary("/test.Echo/ClientStream")
        same(client(iter(sent[:1]), metadata=metadata, timeout=20), b"one")
        both = channel.stream_stream("/test.Echo/Both")
        same(list(both(iter(sent), metadata=metadata, timeout=20)), sent)
        try:
            unary(b"", metadata=(*metadata, ("test-status", "9")), timeout=20)
        except grpc.RpcError as error:
            same(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        else:
            raise AssertionError("a status got lost")
        try:
            unary(b"", metadata=metadata[:1], timeout=20)
        except grpc.RpcError as error:
            same(error.code(), grpc.StatusCode.UNAUTHENTICATED)
        else:
            raise AssertionError("a call without the token was served")


def metadata(client):
    client.set_metadata("color", "blue")
    told = client.get_metadata()
    same((told.application_id, told.extended_metadata["color"]), (APP_ID, "blue"))


async def asynchronous():
    async with AsyncDaprClient() as client:
        calls = [client.invoke_method("echo", f"n/{n}", http_verb="GET") for n in range(10)]
        answers = [json.loads(answer.text()) for answer in await asyncio.gather(*calls)]
        same([answer["path"] for answer in answers], [f"/n/{n}" for n in range(10)])


DaprHealth.wait_for_sidecar()
with DaprClient() as dapr:
    http_callee(dapr)
    http_callee_takes_bytes(dapr)
    http_callee_refuses(dapr)
    grpc_callee(dapr)
    grpc_callee_fails(dapr)
    nobody(dapr)
    metadata(dapr)
grpc_proxying()
asyncio.run(asynchronous())
print("all is well", flush=True)
