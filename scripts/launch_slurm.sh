#!/usr/bin/env bash
# A training on several hosts under SLURM: one task for each accelerator.
#
#   sbatch --nodes=2 --ntasks-per-node=8 scripts/launch_slurm.sh text-bin --task recurring_span_selection … \
#       --save-dir DIR
#
# The arguments are fairseq-train's; DIR has to be on a disk that all hosts share. What stands here counts less than what
# sbatch is told on its command line: without accelerators give --gpus-per-task=0.
#SBATCH --job-name=littlebird
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --requeue
# two minutes before the time is over every task is told, saves a checkpoint and ends with 138
#SBATCH --signal=USR1@120
# a task that fails takes the others with it, instead of leaving them waiting
set -uo pipefail

[ $# -gt 0 ] || {
    sed -n '2,/^#SBATCH/{/^#SBATCH/d;s/^# \{0,1\}//p}' "$0"
    exit 2
}
restarts=${SLURM_RESTART_COUNT:-0} most=${RESTARTS:-10}

srun --kill-on-bad-exit=1 littlebird-launch "$@"
status=$?
if [ "$status" -ne 0 ] && [ "$restarts" -lt "$most" ]; then
    echo "launch_slurm: ended with status $status after $restarts restarts; the job goes back to the queue" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
