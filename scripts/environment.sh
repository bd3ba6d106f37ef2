#!/usr/bin/env bash
# Makes or updates the virtual environment that every script here uses; does nothing where it is up to date.
#
#   scripts/environment.sh [--test]           makes it
#   source scripts/environment.sh [--test]    makes it, and puts its commands first on the PATH
#
# --test adds what scripts/test.sh needs. Settings, as environment variables:
#   LITTLEBIRD_VENV     where the environment is (.venv in the repository)
#   LITTLEBIRD_PYTHON   the Python to make it with (the first python3 from 3.10 to 3.13 that has venv)
#   LITTLEBIRD_TORCH    the requirement for PyTorch, e.g. torch==2.13.0 (see choose_torch)
#   LITTLEBIRD_FAIRSEQ  fairseq to compile it, fairseq-wheel for the build without a compiler (see choose_fairseq)

if [[ ${BASH_SOURCE[0]} != "$0" ]]; then
    "${BASH_SOURCE[0]}" "$@" || return
    PATH=$(realpath "${LITTLEBIRD_VENV:-$(dirname "${BASH_SOURCE[0]}")/../.venv}")/bin:$PATH
    return
fi
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$(realpath -m "${LITTLEBIRD_VENV:-$root/.venv}")
python=$venv/bin/python
log=$venv/install.log
started=$SECONDS

fail() {
    echo "environment.sh: $*" >&2
    exit 2
}

# The environment is up to date if its stamp holds this.
fingerprint() {
    (
        cat "$root/setup.cfg" "$root/pyproject.toml" "$root"/scripts/{environment.sh,build_fairseq.py}
        echo "$root ${LITTLEBIRD_TORCH:-} ${LITTLEBIRD_FAIRSEQ:-}"
    ) | sha256sum | cut -d ' ' -f 1
}

find_python() {
    local candidate recent=""
    for candidate in ${LITTLEBIRD_PYTHON:-python3 python3.11 python3.12 python3.13 python3.10}; do
        "$candidate" -Ic 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || continue
        recent=$candidate
        if "$candidate" -Ic 'import ensurepip, venv' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    [[ -z $recent ]] || fail "$recent cannot make virtual environments; install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
    fail "no Python from 3.10 to 3.13; install one, or name it with LITTLEBIRD_PYTHON=/path/to/python3"
}

# step TEXT COMMAND…: runs it, its output in the log, with the seconds it takes on the screen.
step() {
    local text=$1 begun=$SECONDS status=0 ticker
    shift
    printf '%s … ' "$text"
    echo "== $text: $*" >>"$log"
    while sleep 15 >/dev/null 2>&1 9>&-; do printf '%d s … ' $((SECONDS - begun)); done &
    ticker=$!
    # shellcheck disable=SC2064  # the number of now is meant
    trap "kill $ticker || true" EXIT
    "$@" >>"$log" 2>&1 </dev/null || status=$?
    trap - EXIT
    kill "$ticker"
    wait "$ticker" 2>/dev/null || true
    if [[ $status == 0 ]]; then
        echo "done in $((SECONDS - begun)) s"
    else
        echo "failed"
    fi
    return "$status"
}

must() {
    step "$@" && return
    tail -n 20 "$log" >&2
    fail "$1 failed; the lines above are the end of $log"
}

install() {
    "$python" -m pip install --disable-pip-version-check --no-input "$@"
}

# The version of an installed package, or nothing.
version_of() {
    "$python" -Ic 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))' "$1" 2>/dev/null || true
}

# Without an accelerator PyTorch's CPU build is enough, a tenth of the size; taken where pip has one at hand
# (in a folder that its find-links setting or PIP_FIND_LINKS names).
choose_torch() {
    local version=""
    if [[ -n ${LITTLEBIRD_TORCH:-} ]]; then
        echo "$LITTLEBIRD_TORCH"
        return
    fi
    if ! nvidia-smi >/dev/null 2>&1; then
        version=$(install --dry-run --no-index --no-deps --quiet --report - torch 2>/dev/null | "$python" -Ic '
import json, sys
print(*(package["metadata"]["version"] for package in json.load(sys.stdin)["install"]))' 2>/dev/null) || version=""
    fi
    case $version in
        *+cpu*) echo "torch==$version" ;;
        *) echo torch ;;
    esac
}

# One of two extras of setup.cfg, never both: they own the same module.
choose_fairseq() {
    if [[ -n $(version_of fairseq-fixed) ]]; then
        echo fairseq
    elif [[ -n $(version_of ve-fairseq) ]]; then
        echo fairseq-wheel
    elif [[ -n ${LITTLEBIRD_FAIRSEQ:-} ]]; then
        echo "$LITTLEBIRD_FAIRSEQ"
    elif can_compile; then
        echo fairseq
    else
        echo fairseq-wheel
    fi
}

can_compile() {
    local headers
    headers=$("$python" -Ic 'import sysconfig; print(sysconfig.get_paths()["include"])')
    printf '#include <Python.h>\n#include <vector>\n' |
        "${CXX:-c++}" -I"$headers" -x c++ -fsyntax-only - >/dev/null 2>&1
}

# install_project EXTRA…: ours, editable, so that a change in the checkout needs no second install.
install_project() {
    local IFS=,
    (
        cd "$root"
        install --no-build-isolation --constraint "$venv/constraints.txt" --editable ".[$*]"
    )
}

# Only the compiled parts of fairseq that text tasks call: 20 seconds of a processor instead of 150.
compile_fairseq() {
    local wheels status=0
    wheels=$(mktemp -d)
    "$python" "$root/scripts/build_fairseq.py" "$(sed -n 's/^fairseq = //p' "$root/setup.cfg")" "$wheels" &&
        install --constraint "$venv/constraints.txt" "$wheels"/*.whl || status=$?
    rm -rf "$wheels"
    return "$status"
}

# fairseq-fixed as the package index has it requires torchaudio, which its speech tasks alone use. The package index's
# build of that needs its own release of torch, with CUDA; where it cannot be loaded, it breaks whatever tries, such as
# transformers' models.
remove_broken_torchaudio() {
    if [[ -n $(version_of torchaudio) ]] && ! "$python" -Ic 'import torchaudio' >/dev/null 2>&1; then
        must "torchaudio $(version_of torchaudio) cannot be loaded with torch $(version_of torch): removing it" \
            "$python" -m pip uninstall --yes torchaudio
    fi
}

make_environment() {
    local found torch fairseq
    if [[ -x $python ]] && "$python" -Ic 'import sys, pip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        echo "updating $venv"
    else
        if [[ -e $venv && ! -e $venv/pyvenv.cfg ]] && [[ -n $(ls -A "$venv") ]]; then
            fail "$venv is no virtual environment; move it away or set LITTLEBIRD_VENV"
        fi
        found=$(find_python)
        mkdir -p "$venv"
        must "virtual environment $venv ($("$found" --version))" "$found" -m venv --clear "$venv"
    fi
    must "pip and setuptools" install --upgrade pip 'setuptools>=77,<81' wheel
    torch=$(choose_torch)
    if [[ -z $(version_of torch) || -n ${LITTLEBIRD_TORCH:-} ]]; then
        must "PyTorch ($torch)" install "$torch"
    fi
    echo "torch==$(version_of torch)" >"$venv/constraints.txt"
    fairseq=$(choose_fairseq)
    must "numpy and cython" install --constraint "$venv/constraints.txt" numpy cython
    if [[ $fairseq == fairseq && -z $(version_of fairseq-fixed) ]]; then
        if ! step "fairseq (compiles, half a minute)" compile_fairseq; then
            echo "fairseq did not compile ($log says why); taking the compiled build instead"
            fairseq="fairseq-wheel"
        fi
    fi
    must "fairseq_littlebird and its dependencies" install_project "$fairseq" tokenizers
}

main() {
    local print
    case $* in
        "" | --test) ;;
        *) fail "unknown argument: $*; give --test or nothing" ;;
    esac
    command -v sha256sum >/dev/null || fail "no sha256sum; install coreutils"
    if command -v flock >/dev/null; then # two scripts at once would spoil each other's work
        exec 9<"${BASH_SOURCE[0]}"
        flock 9
    fi
    print=$(fingerprint)
    if [[ ! -x $python || $(cat "$venv/made" 2>/dev/null) != "$print" ]]; then
        rm -f "$venv/made" "$venv/made-test"
        make_environment
        remove_broken_torchaudio
        echo "$print" >"$venv/made"
    fi
    if [[ $* == --test && $(cat "$venv/made-test" 2>/dev/null) != "$print" ]]; then
        must "test tools" install_project tokenizers test docs
        echo "$print" >"$venv/made-test"
    fi
    echo "environment: $venv, $("$python" --version), torch $(version_of torch), ready after $((SECONDS - started)) s"
}

main "$@"
