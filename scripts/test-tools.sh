#!/bin/sh
# Installs what the tests need beside cargo: the official Dapr SDKs for Python and JavaScript, where the examples keep
# them. Does nothing when they are there.
exec python3 "$(dirname "$0")/../examples/setup.py"
