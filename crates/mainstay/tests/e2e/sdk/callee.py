"""A callee in Python: the SDK's gRPC server."""

import json
import os

from dapr.ext.grpc import App, InvokeMethodResponse

app = App()


@app.method("echo")
def echo(request):
    metadata = dict(request.metadata)
    seen = {
        "body": request.text(),
        "content_type": request.content_type,
        "caller": metadata.get("dapr-caller-app-id"),
        "traced": "traceparent" in metadata,
        "told_token": "dapr-api-token" in metadata,
    }
    return InvokeMethodResponse(json.dumps(seen), "application/json")


@app.method("bytes")
def raw(request):
    return InvokeMethodResponse(request.data[::-1], "application/octet-stream")


@app.method("fail")
def fail(request):
    raise RuntimeError("on purpose")


app.run(int(os.environ["PORT"]), "127.0.0.1")
