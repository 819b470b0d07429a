#!/usr/bin/env bash
# Makes the virtual environment that everything else runs in. Safe to run again; does nothing when it is current.
set -euo pipefail
cd "$(dirname "$0")"

find_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

if ! python=$(find_python); then
    echo "Python 3.11 or newer with its venv module is missing: installing it with the system's package manager"
    if command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv
    elif command -v dnf >/dev/null; then
        dnf install -y -q python3
    fi
    python=$(find_python) || {
        echo "error: no Python 3.11 or newer with its venv module; install one and run this again" >&2
        exit 1
    }
fi

wanted=$(cat requirements.lock bootstrap.lock pyproject.toml | sha256sum)
if [[ "$(cat .venv/ready 2>/dev/null)" == "$wanted" ]]; then
    touch .venv/ready
    exit 0
fi

echo "Installing the Python packages of requirements.lock into .venv"
[[ -x .venv/bin/python ]] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
.venv/bin/uv pip sync --quiet --require-hashes requirements.lock --python .venv/bin/python
.venv/bin/uv pip install --quiet --no-deps --python .venv/bin/python --editable .
.venv/bin/python -m compileall -q .venv/lib carbon_platform || true
echo "$wanted" > .venv/ready
