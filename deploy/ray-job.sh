#!/usr/bin/env bash
# Submit a recipe to a running Ray cluster: deploy/ray-job.sh RECIPE OUTPUT [more corpusmill options]
# From a clone of this repository, which is sent along (without what .gitignore names); the cluster's Python needs corpusmill's dependencies.
# RAY_API_SERVER_ADDRESS names the cluster's dashboard. Run again to resume.
set -euo pipefail
recipe=${1:?usage: ray-job.sh RECIPE OUTPUT}
output=${2:?usage: ray-job.sh RECIPE OUTPUT}
shift 2
exec ray job submit --working-dir . -- python cli.py run "$recipe" --output "$output" --ray-address auto "$@"
