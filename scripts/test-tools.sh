#!/bin/sh
# Installs what the tests need beside cargo: PostgreSQL's and Redis's server programs, of which the tests run servers of
# their own, and the official Dapr SDKs for Python and JavaScript, where the examples keep them. Does nothing when they are
# there.
set -eu

if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    as_root=$(test "$(id -u)" = 0 || echo sudo)
    $as_root apt-get update -q
    # The common package makes and starts a server when it installs one, unless it is told not to.
    $as_root apt-get install -q -y --no-install-recommends postgresql-common
    $as_root sh -c "mkdir -p /etc/postgresql-common/createcluster.d &&
        echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/mainstay-tests.conf"
    $as_root apt-get install -q -y --no-install-recommends postgresql
fi

if ! command -v redis-server >/dev/null; then
    as_root=$(test "$(id -u)" = 0 || echo sudo)
    $as_root apt-get update -q
    # Debian's way to tell packages not to start what they install.
    policy=/usr/sbin/policy-rc.d
    if test -e $policy; then
        $as_root apt-get install -q -y --no-install-recommends redis-server
    else
        $as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy &&
            { apt-get install -q -y --no-install-recommends redis-server; code=\$?; rm $policy; exit \$code; }"
    fi
fi

exec python3 "$(dirname "$0")/../examples/setup.py"
