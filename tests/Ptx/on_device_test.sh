#!/usr/bin/env bash
# Tests the logic of cuda/on-device.sh with a tool, a ptxas and a Python that only print what the real ones would. It measures nothing.
#
#     tests/Ptx/on_device_test.sh
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failures=0

# The tool. FAKE_GPU and FAKE_FAIL change what it prints.
cat > "$work/tinyzsad" <<'TOOL'
#!/usr/bin/env bash
case "$*" in
    --version) echo 9.9.9 ;;
    "devices --json")
        [ "${FAKE_GPU-}" != broken ] || { echo "no such command" >&2; exit 1; }
        if [ -n "${FAKE_GPU-}" ]; then cuda='"available": true, "name": "H-fake"'
        else cuda='"available": false, "reason": "libcuda.so.1 is \"not\" there"'; fi
        echo "{ \"devices\": [\"cpu\"], \"cuda\": { $cuda }, \"ptx\": [\"first\", \"second\"] }" ;;
    "devices --ptx "*) echo ".version 7.1 // $3" ;;
    "bench --kernels --device cuda --json")
        echo '{"cases":[{"name":"MatMul 8 x 8, halves","passed":true,"error":1e-4,"tolerance":1e-3,"microseconds":4.0,"predicted_microseconds":2.0},'
        echo '{"name":"Softmax","passed":true,"error":0,"tolerance":0,"microseconds":3,"predicted_microseconds":3}]}' ;;
    "verify "*" --device cuda --json")
        passed=true error=1e-4
        if [ "$2" = "tests/reference/${FAKE_FAIL-}" ]; then passed=false error=0.5; fi
        echo "{\"passed\": $passed, \"cases\": [{\"case\": \"$2\", \"taps\": ["
        echo '{"tap": "early", "passed": true, "shape": [2, 3], "tolerance": 1e-2, "max_error": 1e-5},'
        echo "{\"tap\": \"late\", \"passed\": $passed, \"shape\": [], \"tolerance\": 1e-3, \"max_error\": $error}]}]}"
        [ $passed = true ] ;;
    "bench --case "*) echo '{"minimum_ms": 1.5, "median_ms": 1.75, "batch": 16, "batch_minimum_ms": 10, "batch_median_ms": 11}' ;;
    *) echo "unexpected: $*" >&2; exit 64 ;;
esac
TOOL

cat > "$work/ptxas" <<'PTXAS'
#!/usr/bin/env bash
if [ "$1" = --version ]; then echo "Build fake"; exit; fi
case $* in *second*) if [ -n "${FAKE_ERROR-}" ]; then echo "ptxas second.ptx, line 7; error   : Unknown symbol 'x'" >&2; exit 255; fi ;; esac
cat >&2 <<TEXT
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'one' for 'sm_80'
ptxas info    : Function properties for one
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem, 400 bytes cmem[0]
ptxas info    : Compiling entry function 'two' for 'sm_80'
ptxas info    : Function properties for two
    8 bytes stack frame, ${FAKE_SPILL:-0} bytes spill stores, ${FAKE_SPILL:-0} bytes spill loads
ptxas info    : Used 255 registers, 352 bytes cmem[0]
TEXT
PTXAS

# A Python with PyTorch: it answers the question for CUDA, and else writes the report that it is asked for.
cat > "$work/python" <<'PYTHON'
#!/usr/bin/env bash
if [ "$1" = -c ]; then echo; exit; fi
if [ -n "${FAKE_OTHER_NETWORK-}" ]; then echo "the map is off by 0.5" >&2; exit 1; fi
while [ $# -gt 0 ]; do
    if [ "$1" = --json ]; then echo '{"cases": [{"ratios": [{"batch": 1, "to": "eager", "best": 0.4, "median": 0.5}]}]}' > "$2"; fi
    shift
done
PYTHON
printf '#!/bin/sh\necho "this Python is too old" >&2\nexit 3\n' > "$work/python-broken"
chmod +x "$work"/*

# Runs the script in an environment, and keeps its exit status and output.
run() {
    rm -rf "$work/out"
    output=$(env "$@" bash "$root/cuda/on-device.sh" --tool "$work/tinyzsad" --out "$work/out" --quick 2>&1)
    status=$?
}

fail() { failures=$((failures + 1)); printf 'FAILED: %s\n%s\n\n' "$1" "$output"; }
ends_with() { [ "$status" = "$1" ] || fail "$name: exit status $status instead of $1"; }
says() { grep -qE -- "$1" <<< "$output" || fail "$name: nothing matches $1"; }
silent_about() { ! grep -qE -- "$1" <<< "$output" || fail "$name: something matches $1"; }
none=(PTXAS="$work/missing/ptxas" PYTHON="$work/python-broken")

name="no GPU"
run "${none[@]}"
ends_with 0
says 'There is no GPU to check: libcuda.so.1 is .*not.* there\.'
silent_about '^=='

name="all is well, without ptxas and PyTorch"
run FAKE_GPU=1 "${none[@]}"
ends_with 0
says '^2 ptxas +skipped +[0-9]+  there is no ptxas$'
says '^5 latency beside PyTorch +skipped +[0-9]+  .*python-broken fails: this Python is too old$'
says '^5 latency of the tool alone +passed'
says '^3 kernel cases +passed +[0-9]+  2 cases, 0 failed$'
says '^6 predicted times +passed +[0-9]+  2 cases, median ratio'
says '^visualad/full +pass +late +1\.0e-04 +1\.0e-03 +2 *$'
[ "$(find "$work/out" -mindepth 1 | wc -l)" -le 8 ] || fail "$name: more than 8 files"

name="a case fails"
run FAKE_GPU=1 FAKE_FAIL=edgezsad/full "${none[@]}"
ends_with 1
says '^edgezsad/full +FAIL +late +5\.0e-01'
says '^visualad/full +pass'
says '^4 verify +FAILED +[0-9]+  10 cases, 1 failed$'
says '^5 latency of the tool alone +passed'
says '^6 predicted times +passed'

name="ptxas and PyTorch"
run FAKE_GPU=1 PTXAS="$work/ptxas" PYTHON="$work/python"
ends_with 0
says '^one +sm_87 +40 +0 +4096 +0$'
says '^two +sm_90 +255 +0 +0 +8$'
says '^2 ptxas +passed +[0-9]+  12 kernels and GPUs, 0 with spills, 0 errors$'
says '^5 latency beside PyTorch +passed +[0-9]+  1 ratios of medians, the largest 0\.50$'
says '^5 latency of the tool alone +skipped +[0-9]+  measured beside PyTorch$'

name="PyTorch computes something else"
run FAKE_GPU=1 FAKE_OTHER_NETWORK=1 PTXAS="$work/ptxas" PYTHON="$work/python"
ends_with 1
says '^5 latency beside PyTorch +FAILED +[0-9]+  exit code 1: the map is off by 0\.5$'
says '^6 predicted times +passed'

name="devices fails where there is no driver"
if ! command -v nvidia-smi > /dev/null && [ ! -e /proc/driver/nvidia/version ]; then
    run FAKE_GPU=broken "${none[@]}"
    ends_with 0
    says 'There is no GPU to check: the machine has no NVIDIA driver\.'
fi

name="a kernel spills"
run FAKE_GPU=1 FAKE_SPILL=16 PTXAS="$work/ptxas" PYTHON="$work/python-broken"
ends_with 1
says '^two +sm_80 +255 +32 +0 +8$'
says '^2 ptxas +FAILED +[0-9]+  12 kernels and GPUs, 6 with spills, 0 errors$'
says '^4 verify +passed'

name="a kernel is refused"
run FAKE_GPU=1 FAKE_ERROR=1 PTXAS="$work/ptxas" PYTHON="$work/python-broken"
ends_with 1
says "^second +sm_90 +ERROR: .*Unknown symbol 'x'"
says '^2 ptxas +FAILED +[0-9]+  6 kernels and GPUs, 0 with spills, 3 errors$'

if command -v python3 > /dev/null; then
    name="the figures are JSON"
    for file in "$work"/out/*.json; do python3 -m json.tool "$file" > /dev/null || fail "$name: $file"; done
fi

name="no tool"
output=$(bash "$root/cuda/on-device.sh" --tool "$work/missing/tinyzsad" 2>&1)
status=$?
ends_with 2
says 'tool is missing'

[ "$failures" = 0 ] && echo "passed"
exit $((failures > 0))
