#!/bin/sh
# A week's retraining by hand or by cron: sh examples/weekly_retraining/retrain.sh [NEW_DATA]
# From the repository's root, with the virtual environment active. Stops at the first error.
set -eu

[ $# -eq 0 ] || pipeline data add "$1" # refused whole, with file:line, if a label is wrong
dvc repro                              # trains if anything is new, goes on if it was killed
pipeline register                      # the same graph is registered once
pipeline promote || [ $? -eq 3 ]       # 3: refused, the champion stays; an answer, not an error
pipeline standing
