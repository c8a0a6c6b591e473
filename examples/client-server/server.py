"""Greets whoever asks."""

import os

from dapr.ext.grpc import App

app = App()


@app.method("greet")
def greet(request):
    return f'"Hello {request.text()}, this is Python."'


app.run(int(os.environ["PORT"]), "127.0.0.1")
