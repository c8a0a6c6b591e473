"""What it costs to send a parcel."""

import json
import os

from dapr.clients import DaprClient
from dapr.ext.grpc import App

app = App()
client = DaprClient()


@app.method("quote")
def quote(request):
    parcel = json.loads(request.text())
    answer = client.invoke_method(
        "distances", "distance", request.text(), "application/json", http_verb="POST"
    )
    km = json.loads(answer.text())["km"]
    price = None if km is None else round(3 + 0.01 * km + 0.5 * parcel["kg"], 2)
    return json.dumps({"km": km, "euros": price})


app.run(int(os.environ["PORT"]), "127.0.0.1")
