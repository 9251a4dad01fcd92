#!/usr/bin/env bash
# Run `aminet enhance` on a Ray cluster, from any machine that reaches the cluster's dashboard:
#
#     RAY_ADDRESS=http://head:8265 configs/deploy/submit.sh s3://bucket/in -o s3://bucket/out
#
# The package travels; what it depends on must be installed on the cluster's machines.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
build="$(mktemp -d)"
trap 'rm -rf "$build"' EXIT
python -m pip wheel --quiet --no-deps --wheel-dir "$build" "$root"
# Unpacked: a wheel Ray would install with everything it depends on, torch included, for minutes and
# gigabytes on each machine. The names of its nodes are in the folder beside the packages.
python -m zipfile -e "$build"/*.whl "$build/packages"
modules="$(python -c 'import json, pathlib, sys
print(json.dumps([str(path) for path in pathlib.Path(sys.argv[1]).iterdir()]))' "$build/packages")"
ray job submit --runtime-env-json "{\"py_modules\": $modules}" \
    -- python -m pipeline enhance "$@" --runner ray --address auto
