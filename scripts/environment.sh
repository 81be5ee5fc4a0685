# Sourced by the other scripts: makes .venv with one locked requirement set and puts it first on PATH. A second call returns at once.
# Usage: . scripts/environment.sh; environment run|demo|dev

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() { command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

# install_packages PACKAGE…: Debian packages, quietly; says what to do where it may not.
install_packages() {
    may_install || die "Please install these packages, then run this again: $*"
    say "Installing $* …"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq >/dev/null || die "apt-get update failed: check this machine's package sources and network."
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null || die "Could not install: $*. Run apt-get install $* to see why."
}

find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    die "Python 3.11 or newer is needed, and none was found. Install it, or set PYTHON to its path."
}

make_venv() {
    python=$(find_python) || exit 1
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        install_packages "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    say "Making the Python environment in .venv …"
    rm -rf .venv
    "$python" -m venv .venv || die "The Python environment could not be made in $(pwd)/.venv: is the disk full, or the folder not yours?"
}

# Each set contains the one before it, so a larger one that is already there serves.
covers() {
    case "$2" in
        "$1" | dev) return 0 ;;
        demo) [ "$1" = run ] ;;
        *) return 1 ;;
    esac
}

stamp_of() { cat "requirements/$1.txt" pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1; }

environment() {
    wanted=$1
    have='' stamp=''
    [ -f .venv/.set ] && read -r have stamp folder <.venv/.set
    if [ -z "$have" ] || [ "${folder:-}" != "$(pwd)" ] || ! .venv/bin/python -c '' 2>/dev/null; then
        make_venv
        have=''
    fi
    if [ -z "$have" ] || ! covers "$wanted" "$have" || [ "$stamp" != "$(stamp_of "$have")" ]; then
        [ -n "$have" ] && covers "$wanted" "$have" && wanted=$have
        say "Installing the locked packages ($wanted) …"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$wanted.txt" ||
            die "The packages could not be installed (see above). Check the network and the disk, then run this again."
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ||
            die "Ctrl-Alt-Play itself could not be installed into .venv (see above)."
        echo "$wanted $(stamp_of "$wanted") $(pwd)" >.venv/.set
    fi
    .venv/bin/python ui/build.py || die "See above."
    PATH=$(pwd)/.venv/bin:$PATH
    export PATH
}
