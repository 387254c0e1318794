#!/bin/sh
# A worker for the flows of prefect.yaml, in the working copy that is the current folder.
# PREFECT_API_URL says which server. What is there already is left as it is, so that a schedule
# that somebody has paused stays paused; after a change of prefect.yaml:
#   docker compose -f deploy/compose.yaml exec worker prefect --no-prompt deploy --all
set -eu
: "${PREFECT_API_URL:?http://host:4200/api}"
pool=${1:-local}
prefect work-pool inspect "$pool" >/dev/null 2>&1 ||
  prefect --no-prompt work-pool create "$pool" --type process
prefect deployment inspect retraining/weekly >/dev/null 2>&1 ||
  prefect --no-prompt deploy --all
# what a worker that was stopped or killed has left behind in this folder is closed and taken up
python -m flows.left_behind
# its number, so that runs end with it, however it ends: they save a checkpoint first
export TRAINING_SCHEDULER=$$
# a retraining starts when data arrive in this folder's flows.incoming; ends with the worker, too
python -m flows.sensor &
exec prefect --no-prompt worker start --pool "$pool"
