# Sourced by ./run and ./test: finds Python, makes .venv. Needs nothing but a shell.
# shellcheck shell=sh

say() { printf 'peep: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Installs Debian packages when that is possible without asking anybody.
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }
install_packages() {
    say "installing $* with apt-get"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null 2>&1
}

# Sets $python to one that is new enough and can make environments.
find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        "$python" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && return 0
    done
    return 1
}
need_python() {
    find_python && return
    if can_install && install_packages python3 python3-venv && find_python; then
        return
    fi
    fail "needs Python 3.11 or newer with venv: apt-get install python3 python3-venv"
}

# make_venv EXTRA: .venv with Peep (in place) and the extra's packages. Quick when
# nothing has changed since the last time.
make_venv() {
    need_python
    wanted="$1 $root $("$python" -V) $(cat "$root/pyproject.toml" \
        "$root/constraints.txt" | cksum)"
    stamp="$root/.venv/peep-$1"
    if [ -x "$root/.venv/bin/python" ] && [ -f "$stamp" ] &&
        [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    [ -w "$root" ] ||
        fail "cannot write to $root: copy it to a directory of your own"
    say "installing into .venv, which is done once and takes a minute"
    "$python" -m venv "$root/.venv" || fail "cannot make $root/.venv"
    "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$root/constraints.txt" --editable "$root[$1]" ||
        fail "could not install (is a package index reachable?); try again later"
    printf '%s\n' "$wanted" >"$stamp"
}
