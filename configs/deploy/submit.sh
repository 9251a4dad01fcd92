#!/usr/bin/env bash
# Run `aminet enhance` on a Ray cluster, from any machine that reaches the cluster's dashboard:
#
#     RAY_ADDRESS=http://head:8265 configs/deploy/submit.sh s3://bucket/in -o s3://bucket/out
#
# The package travels as a wheel; what it depends on must be installed on the cluster's machines.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT
python -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$root"
wheel="$(echo "$wheels"/*.whl)"
ray job submit --runtime-env-json "{\"py_modules\": [\"$wheel\"]}" \
    -- python -m pipeline enhance "$@" --runner ray --address auto
