#!/usr/bin/env bash
# A nightly run on one machine, from cron: deploy/nightly.sh RECIPE OUTPUT [options of `run`]
#   15 2 * * *  /srv/corpusmill/deploy/nightly.sh /srv/mine.yaml /srv/out >> /srv/nightly.log 2>&1
# A run that is still going is left alone. One that was interrupted goes on. New input files are added.
set -euo pipefail
recipe=${1:?usage: nightly.sh RECIPE OUTPUT}
output=${2:?usage: nightly.sh RECIPE OUTPUT}
shift 2
corpusmill=${CORPUSMILL:-$(dirname "$0")/../.venv/bin/corpusmill}
exec 9> "${output%/}.lock"
flock --nonblock 9 || { echo "$(date --iso-8601=seconds) $output: still running"; exit 0; }
"$corpusmill" run "$recipe" --output "$output" "$@"
"$corpusmill" verify "$output"
