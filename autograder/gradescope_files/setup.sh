#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image: a Python, the pinned packages, and
# labkit, the one part of the course that a student's code may read.
set -euo pipefail
source="${AUTOGRADER_ROOT:-/autograder}/source"
home="${AUTOGRADER_HOME:-/opt/course}"

chmod -R go= "$source" # answers and seed: root's alone

python=""
find_python() {
    for name in python3.13 python3.12 python3.11; do
        if "$name" -c "import ensurepip, venv" 2>/dev/null; then
            python="$name"
            return
        fi
    done
    return 1
}
if ! find_python; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3.12 python3.12-venv ||
        apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv
    find_python
fi
apt-get install -y -qq --no-install-recommends libseccomp2 || true # most images have it

umask 022
"$python" -m venv "$home/venv"
"$home/venv/bin/python" -m pip install --quiet --no-cache-dir -r "$source/requirements.txt"
mkdir -p "$home/public"
cp -R "$source/public/labkit" "$home/public/"
chmod -R a+rX "$home"
