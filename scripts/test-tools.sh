#!/bin/sh
# Installs what the tests need beside cargo: Redis' server, of which the tests run servers of their own, and the official Dapr
# SDKs for Python and JavaScript, where the examples keep them. Does nothing when they are there.
set -eu

if ! command -v redis-server >/dev/null; then
    as_root=$(test "$(id -u)" = 0 || echo sudo)
    systemd=$(test -d /run/systemd/system && echo yes || true)
    $as_root apt-get update -q
    # The package starts a server when it is installed, and at every boot, unless it is told not to.
    test -z "$systemd" || $as_root systemctl mask --runtime redis-server.service
    $as_root apt-get install -q -y --no-install-recommends redis-server
    test -z "$systemd" || $as_root systemctl disable redis-server.service
fi

exec python3 "$(dirname "$0")/../examples/setup.py"
