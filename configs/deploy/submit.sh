#!/usr/bin/env bash
# Run `aminet enhance` on a Ray cluster, from any machine that reaches the cluster's dashboard:
#
#     RAY_ADDRESS=http://head:8265 configs/deploy/submit.sh s3://bucket/in -o s3://bucket/out
#
# The package is sent along; its dependencies must be installed on the cluster's machines.
#
#     PYTHON         the interpreter here that has pip and Ray; python3 if unset
#     AMINET_PYTHON  the interpreter on the cluster's head that has the dependencies; without it, that
#                    of the environment in which Ray runs there
set -euo pipefail
python="${PYTHON:-python3}"
if ! "$python" -c 'import pip, ray.scripts.scripts' 2> /dev/null; then
    echo "submit.sh: $python lacks pip or ray[default]: set PYTHON to an interpreter that has them" >&2
    exit 2
fi
root="$(cd "$(dirname "$0")/../.." && pwd)"
build="$(mktemp -d)"
trap 'rm -rf "$build"' EXIT
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$build" "$root"
# Unpacked, because Ray would install a wheel with all its dependencies, torch included, which takes
# minutes and gigabytes on each machine. The folder with the names of the nodes is beside the packages.
"$python" -m zipfile -e "$build"/*.whl "$build/packages"
modules="$("$python" -c 'import json, pathlib, sys
print(json.dumps([str(path) for path in pathlib.Path(sys.argv[1]).iterdir()]))' "$build/packages")"
# On the head, jobs are started by a shell whose PATH need not have the right interpreter on it. One of
# the shell's ancestors is a process of Ray: the library that it has loaded tells where Ray is installed.
start='
python="$1"; shift
at=$$
while [ -z "$python" ] && [ "${at:-0}" -gt 1 ]; do
    library="$(grep -o -m 1 "/.*/site-packages/ray/_raylet\.so" "/proc/$at/maps" 2> /dev/null)"
    [ -n "$library" ] && python="${library%/lib/python*}/bin/python"
    at="$(sed "s/.*) . \([0-9]*\) .*/\1/" "/proc/$at/stat" 2> /dev/null)"
done
python="${python:-python3}"
if ! command -v "$python" > /dev/null; then
    echo "submit.sh: no $python on $(hostname): set AMINET_PYTHON to the interpreter there" >&2
    exit 2
fi
exec "$python" -m pipeline enhance "$@" --runner ray --address auto'
"$python" -m ray.scripts.scripts job submit --runtime-env-json "{\"py_modules\": $modules}" \
    -- sh -c "$start" sh "${AMINET_PYTHON:-}" "$@"
