#!/bin/sh
# Installs the libraries that MuJoCo draws with where no display is (OpenGL through EGL), and venv where Debian
# keeps it apart from Python. Quiet and quick when they are there. Where it may not install, it says in one
# sentence what is missing, and lets the caller go on: only drawing needs OpenGL.
#
#   system_libraries.sh [PACKAGE...]    further Debian packages, such as the browser that the tests drive
set -eu

[ "$(uname -s)" = Linux ] || exit 0

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    if ! ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1'; then
        echo "Clips cannot be drawn yet: install Mesa's EGL and OpenGL libraries (libEGL.so.1, libOpenGL.so.0)."
    fi
    exit 0
fi

missing=""
for package in libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "System packages are missing; install them with: sudo apt-get install --no-install-recommends$missing"
    exit 0
fi
echo "Installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one word per package is meant
if ! apt-get update -qq || ! apt-get install -qq --no-install-recommends $missing >/dev/null; then
    echo "That failed; install them with: apt-get install --no-install-recommends$missing"
fi
