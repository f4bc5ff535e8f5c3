#!/usr/bin/env bash
# Make .venv from a clean clone and keep it equal to requirements/dev.lock. Needs python3 >= 3.11; installs Debian's
# python3-venv itself where it may. Does nothing, in a few milliseconds, while the lock has not changed.
# `bootstrap.sh bench` adds requirements/bench.lock, peers of the benchmarks that take hundreds of megabytes.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'bootstrap: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python >= 3.11 found; install one (Debian 12: apt-get install python3) or name it: make PYTHON=/path/to/python3"
}

make_venv() {
  local python=$1
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "this Python has no venv module; installing Debian's python3-venv"
    as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null' ||
      die "cannot install it; as root run: apt-get install python3-venv"
  fi
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv
}

main() {
  local stamp=.venv/.installed wanted
  wanted=$(cat requirements/dev.lock pyproject.toml tools/bootstrap.sh | sha256sum)
  if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  # Two `make` at once must not install into the same place.
  mkdir -p .venv
  exec 9>.venv/.lock
  if command -v flock >/dev/null; then flock 9; fi
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  # A moved or copied tree has a .venv whose programs point elsewhere.
  if ! .venv/bin/python -c '' 2>/dev/null || ! .venv/bin/pip --version >/dev/null 2>&1; then make_venv "$(find_python)"; fi
  say "installing requirements/dev.lock (about half a minute the first time)"
  .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
  printf '%s' "$wanted" >"$stamp"
}

beside() {
  local name=$1 stamp=.venv/.installed-$1 wanted
  wanted=$(cat "requirements/$name.lock" .venv/.installed | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  say "installing requirements/$name.lock"
  .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r "requirements/$name.lock"
  printf '%s' "$wanted" >"$stamp"
}

main
for name in "$@"; do beside "$name"; done
