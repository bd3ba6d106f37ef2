#!/usr/bin/env bash
# One host's part of a training on several hosts: the same command on each of them.
#
#   HOSTS=2 MEET=node07:29500 scripts/launch_torchrun.sh text-bin --task recurring_span_selection … --save-dir DIR
#
# What has to be alike everywhere: HOSTS, MEET, WORKERS, JOB and the arguments, which are fairseq-train's. DIR has to be
# one folder for all of them, as on a shared disk.
#
#   HOSTS     how many hosts (1)
#   MEET      a host of them and a free port there, where all meet (localhost:29500)
#   WORKERS   workers of each host (its accelerators; 1 where it has none)
#   JOB       a name that no other training uses at that place (littlebird)
#   RETRIES   how often a training that breaks is started again (10); it goes on from its last checkpoint
#
# A host that fails takes all workers down within a minute or so, and each host's loop starts its part again: torchrun
# itself would do so too (--max-restarts), but hangs now and then. SIGTERM and SIGUSR1 save, and end the loop.
set -uo pipefail

[ $# -gt 0 ] || {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
}
hosts=${HOSTS:-1} meet=${MEET:-localhost:29500} job=${JOB:-littlebird} retries=${RETRIES:-10}
workers=${WORKERS:-$(python -c 'import torch; print(max(1, torch.cuda.device_count()))')}

child='' stopped=0
stop() {
    stopped=1
    [ -z "$child" ] || kill -TERM "$child"
}
trap stop TERM USR1 INT

attempt=0
while :; do
    torchrun --no-python --nnodes="$hosts" --nproc_per_node="$workers" --max_restarts=0 \
        --rdzv_backend=c10d --rdzv_endpoint="$meet" --rdzv_id="$job" littlebird-launch "$@" &
    child=$!
    [ "$stopped" -eq 0 ] || kill -TERM "$child" # the signal came before there was a number to send it to
    wait "$child"
    status=$?
    while kill -0 "$child" 2>/dev/null; do # a signal ends the wait, not the child
        wait "$child"
        status=$?
    done
    if [ "$status" -eq 0 ] || [ "$stopped" -eq 1 ] || [ "$attempt" -ge "$retries" ]; then exit "$status"; fi
    attempt=$((attempt + 1))
    echo "launch_torchrun: ended with status $status; attempt $attempt of $retries follows" >&2
    sleep "${PAUSE:-10}" &
    child=$!
    wait "$child"
    [ "$stopped" -eq 0 ] || exit "$status"
    child=''
done
