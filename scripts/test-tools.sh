#!/bin/sh
# Installs what the tests need beside cargo: the server programs of PostgreSQL and Redis, of which the tests run servers of
# their own, SeaweedFS as an S3 server, and the official Dapr SDKs for Python and JavaScript, where the examples keep them. Does
# nothing when they are there.
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
    systemd=$(test -d /run/systemd/system && echo yes || true)
    $as_root apt-get update -q
    # The package starts a server when it is installed, and at every boot, unless it is told not to.
    test -z "$systemd" || $as_root systemctl mask --runtime redis-server.service
    $as_root apt-get install -q -y --no-install-recommends redis-server
    test -z "$systemd" || $as_root systemctl disable redis-server.service
fi

s3=$(dirname "$0")/../crates/mainstay-backup/s3-test
if ! cmp -s "$s3/requirements.txt" "$s3/.venv/installed"; then
    python3 -m venv --clear "$s3/.venv"
    "$s3/.venv/bin/python" -m pip --disable-pip-version-check install --quiet --requirement "$s3/requirements.txt"
    cp "$s3/requirements.txt" "$s3/.venv/installed"
fi

exec python3 "$(dirname "$0")/../examples/setup.py"
