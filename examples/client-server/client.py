"""Has itself greeted by a server in each language."""

from dapr.clients import DaprClient

with DaprClient() as client:
    for server in ["server-python", "server-javascript", "server-rust"]:
        answer = client.invoke_method(server, "greet", data="Python client", http_verb="POST")
        print(answer.text(), flush=True)
