#!/bin/sh
# Installs what the tests need beside cargo: the servers of PostgreSQL and Redis, of which the tests run their own, and the
# official Dapr SDKs for Python and JavaScript, where the examples keep them. Does nothing when they are there.
set -eu

as_root=$(test "$(id -u)" = 0 || echo sudo)

if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    $as_root apt-get update -q
    # The common package makes and starts a server when it installs one, unless it is told not to.
    $as_root apt-get install -q -y --no-install-recommends postgresql-common
    $as_root sh -c "mkdir -p /etc/postgresql-common/createcluster.d &&
        echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/mainstay-tests.conf"
    $as_root apt-get install -q -y --no-install-recommends postgresql
fi

if ! command -v redis-server >/dev/null; then
    $as_root apt-get update -q
    $as_root apt-get install -q -y --no-install-recommends redis-server
    # The package starts a server of its own where there is systemd; the tests do not use it.
    $as_root systemctl disable --now redis-server >/dev/null 2>&1 || true
fi

exec python3 "$(dirname "$0")/../examples/setup.py"
