#!/bin/sh
# Makes the virtual environment from the pinned requirements: make-venv.sh FOLDER
set -eu
venv=$1

say() { printf '%s\n' "$*"; }
fail() { say "cannot run: $*" >&2; exit 2; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        path=$(command -v "$name" 2> /dev/null) || continue
        if "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            say "$path"
            return
        fi
    done
    return 1
}

# Debian keeps ensurepip, without which a venv has no pip, in a package of its own.
install_venv_support() {
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    command -v apt-get > /dev/null ||
        fail "$python cannot make virtual environments: install its venv and ensurepip modules"
    if [ "$(id -u)" = 0 ]; then
        root=
    elif sudo -n true 2> /dev/null; then
        root="sudo -n"
    else
        fail "please install what is missing:  sudo apt-get install $version-venv"
    fi
    say "  installing $version-venv …"
    $root apt-get -qq update
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$version-venv" > /dev/null ||
        fail "could not install $version-venv"
}

python=$(find_python) || fail "this needs Python 3.11 or newer, and found none"
began=$(date +%s)
say "Making $venv with $("$python" --version) (once, about a minute) …"

if ! "$venv/bin/python" -c 'import pip' 2> /dev/null; then
    "$python" -c 'import ensurepip, venv' 2> /dev/null || install_venv_support
    "$python" -m venv --clear "$venv"
fi
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"
}
pip install -q --require-hashes -r requirements/dev.txt
say "  the pinned packages are installed ($(($(date +%s) - began)) s)"

set -- -e shared
for service in services/*/; do
    [ ! -f "$service/pyproject.toml" ] || set -- "$@" -e "$service"
done
pip install -q --no-deps --no-build-isolation "$@"
say "  shared and the services are installed ($(($(date +%s) - began)) s)"
