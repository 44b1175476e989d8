#!/usr/bin/env bash
# Submit a recipe to a running Ray cluster: deploy/ray-job.sh RECIPE OUTPUT [more corpusmill options]
# corpusmill is installed on every node. The folder of the recipe is sent along.
# RAY_API_SERVER_ADDRESS names the cluster's dashboard. Run again to resume.
set -euo pipefail
recipe=${1:?usage: ray-job.sh RECIPE OUTPUT}
output=${2:?usage: ray-job.sh RECIPE OUTPUT}
shift 2
exec ray job submit --working-dir "$(dirname "$recipe")" -- \
  corpusmill run "$(basename "$recipe")" --output "$output" --ray-address auto "$@"
