"""The logic tier: decides what may stand in the guest book."""

import json
import os

from dapr.clients import DaprClient
from dapr.ext.grpc import App

app = App()
data = DaprClient()


@app.method("list")
def list_entries(request):
    return data.invoke_method("data", "entries", http_verb="GET").data


@app.method("write")
def write_entry(request):
    entry = " ".join(json.loads(request.text())["text"].split())
    if not 1 <= len(entry) <= 200:
        return json.dumps({"refused": "An entry has 1 to 200 characters."})
    body, json_type = json.dumps(entry), "application/json"
    data.invoke_method("data", "entries", body, json_type, http_verb="POST")
    return json.dumps({"written": entry})


app.run(int(os.environ["PORT"]), "127.0.0.1")
