# shellcheck shell=bash
# What the scripts share, to be sourced; where `dry` is set commands are printed alone:
#
#   step TEXT                 a heading with the time since the script began
#   run COMMAND…              prints a command, quoted where it must be, and runs it
#   run_training UPDATES COMMAND…   run, of a training with a --log-file: soon a line says when it will end, and
#                             where `later` is set when what follows will, which takes as long as so many updates; it
#                             goes on from the newest whole checkpoint of its --save-dir
#   make FILE COMMAND…        COMMAND, which may be one of these two, unless an earlier run has made the file
#   quiet COMMAND…            shows what the command prints only where it fails, and then ends
#   given PATH                prints a path of the user's, who may have called the script from another folder than this
#   resumable FILE ARGUMENTS  fails unless FILE's folder is new or empty, or of a run with these arguments, as FILE says
#   lock FILE [ARGUMENTS]     makes its folder and writes them there; fails where another script holds it
#
# Threads of a command that wait for each other soon sleep (GOMP_SPINCOUNT), so that other processes may run beside it.
# SIGINT, SIGTERM and SIGHUP end the command that runs and then the script, with 128 + their number.

started=$SECONDS child='' clock='' script=${0##*/}
script=${script%.sh}
[ -n "${OMP_WAIT_POLICY:-}" ] || export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
step() { printf '\n\033[1m== %s\033[0m  [%d:%02d]\n' "$1" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

run() {
    local word line="+"
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=,+-]+$ ]] || word=${word@Q}
        line+=" $word"
    done
    echo "$line"
    [ -z "${dry:-}" ] || return 0
    child=begins
    "$@" & # in the background, as bash hears no signal while it waits for a command in the foreground
    child=$!
    local status=0
    wait "$child" || status=$?
    child=''
    return "$status"
}

run_training() {
    local updates=$1 log='' folder='' last='' word status=0
    shift
    for word in "$@"; do
        [ "$last" != --log-file ] || log=$word
        [ "$last" != --save-dir ] || folder=$word
        last=$word
    done
    if [ -z "${dry:-}" ]; then
        if [ -n "$folder" ] && compgen -G "$folder/checkpoint*.pt" >/dev/null; then # the last may have been cut short
            python -c 'import pathlib, sys, fairseq_littlebird.launching.recovery as recovery
recovery.recover(pathlib.Path(sys.argv[1]))' "$folder"
        fi
        python "$(dirname "${BASH_SOURCE[0]}")/training_clock.py" "$log" "$updates" --later "${later:-0}" &
        clock=$!
    fi
    run "$@" || status=$?
    [ -z "$clock" ] || kill "$clock" 2>/dev/null || true
    clock=''
    return "$status"
}

make() {
    if [ -z "${dry:-}" ] && [ -e "$1" ]; then
        echo "$1: there already"
    elif [ "$2" = run_training ]; then
        "${@:2}"
    else
        run "${@:2}"
    fi
}

given() {
    if [[ -z $1 || $1 == /* || -z ${OLDPWD:-} || $OLDPWD -ef . ]]; then printf '%s' "$1"; else printf '%s' "$OLDPWD/$1"; fi
}

quiet() {
    local said
    [ -z "${dry:-}" ] || return 0
    said=$("$@" 2>&1) || {
        printf '%s\n' "$said" | tail -n 1 >&2
        exit 2
    }
}

resumable() {
    local folder=${1%/*} found
    [ -z "${dry:-}" ] && [ -n "$(ls -A "$folder" 2>/dev/null)" ] || return 0
    if [ ! -e "$1" ]; then
        found="not empty and not from an earlier run"
    elif [ "$(cat "$1")" != "$2" ]; then
        found="from a run with other arguments"
    else
        return 0
    fi
    echo "$script: $folder: $found; choose another with --out" >&2
    exit 2
}

lock() {
    mkdir -p "${1%/*}"
    exec 8>>"$1"
    ! command -v flock >/dev/null || flock -n 8 || {
        echo "$script: $1: another run is at work there; wait for it, or choose another folder with --out" >&2
        exit 2
    }
    [ $# -lt 2 ] || printf '%s' "$2" >"$1"
}

ended() {
    trap '' INT TERM HUP
    local process
    [ "$child" != begins ] || child=${!:-} # the signal came between the two lines
    for process in $child $clock; do kill -TERM "$process" 2>/dev/null || true; done
    [ -z "$child" ] || wait "$child" || true
    echo "$script: ended by SIG$1" >&2
    exit "$2"
}
trap 'ended INT 130' INT
trap 'ended TERM 143' TERM
trap 'ended HUP 129' HUP
