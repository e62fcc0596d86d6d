#!/usr/bin/env bash
# Everything that needs a GPU, in one command. It checks the kernels and the models on the device at hand, and measures them.
#
#     cuda/on-device.sh [--tool PATH] [--out DIR] [--quick]
#
#   --tool PATH   the published tool, a native executable (default: tinyzsad on PATH)
#   --out DIR     where the figures go, as JSON (default: artifacts/on-device in the repository)
#   --quick       about 4 minutes instead of 10: one mode of torch.compile, shorter measurements
#
# It needs the tool and a clone of the repository. It uses ptxas, and Python with PyTorch, NumPy and Pillow, where they exist; the environment
# variables PTXAS and PYTHON name others than those on PATH. It does not need .NET.
# A failed step does not stop the next one. The exit status is 1 if a step failed, 2 if the command cannot begin, and otherwise 0.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
tool=tinyzsad
out=$root/artifacts/on-device
quick=0
while [ $# -gt 0 ]; do
    case $1 in
        --tool | --out)
            if [ $# -lt 2 ]; then echo "$1: a path is missing." >&2; exit 2; fi
            if [ "$1" = --tool ]; then tool=$2; else out=$2; fi
            shift 2 ;;
        --quick) quick=1; shift ;;
        -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) echo "$1: not an option; see --help." >&2; exit 2 ;;
    esac
done
if ! tool=$(command -v "$tool"); then echo "The tool is missing: install tinyzsad, or name it with --tool." >&2; exit 2; fi
case $tool in /*) ;; *) tool=$PWD/$tool ;; esac
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
# Results of an earlier run would look like results of this one.
rm -f "$out"/{environment,ptxas,kernels,verify,latency,predicted,steps}.json "$out/log.txt"
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
exec > >(tee "$out/log.txt") 2>&1
logger=$!
cd "$root" || exit 2

# ---------------------------------------------------------------------------------------------------------------- JSON

# Prints the values of a JSON file, one a line: path, tab, value. The machine may have no other program that reads JSON.
# Escapes in strings stay as they are.
flatten() {
    awk '
    function blank() { sub(/^[ \t\r\n]+/, "", s) }
    function text(  v) {
        if (!match(s, /^"([^"\\]|\\.)*"/)) { bad = 1; return "" }
        v = substr(s, 2, RLENGTH - 2)
        s = substr(s, RLENGTH + 1)
        return v
    }
    function value(path,  i, key) {
        blank()
        if (substr(s, 1, 1) == "{") {
            s = substr(s, 2); blank()
            while (!bad && s != "" && substr(s, 1, 1) != "}") {
                key = text(); blank(); s = substr(s, 2)
                value(path == "" ? key : path "." key)
                blank()
                if (substr(s, 1, 1) == ",") { s = substr(s, 2); blank() }
            }
            s = substr(s, 2)
        } else if (substr(s, 1, 1) == "[") {
            s = substr(s, 2); blank()
            for (i = 0; !bad && s != "" && substr(s, 1, 1) != "]"; i++) {
                value(path "." i)
                blank()
                if (substr(s, 1, 1) == ",") { s = substr(s, 2); blank() }
            }
            s = substr(s, 2)
        } else if (substr(s, 1, 1) == "\"") {
            print path "\t" text()
        } else if (match(s, /^[-+.0-9A-Za-z]+/)) {
            print path "\t" substr(s, 1, RLENGTH)
            s = substr(s, RLENGTH + 1)
        } else bad = 1
    }
    { s = s $0 "\n" }
    END { value(""); exit bad }' "$1"
}

# Prints the value at a path of a flattened file.
value() { awk -F '\t' -v path="$2" '$1 == path { print $2; exit }' "$1"; }

# Prints a text as a JSON string.
quoted() { printf '%s' "$1" | tr '\n\t\r' '   ' | sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/"/'; [ -n "$1" ] || printf '""'; }

# --------------------------------------------------------------------------------------------------------------- steps

began=$SECONDS
if [ "$quick" = 1 ]; then limit=235; else limit=590; fi
names=() outcomes=() reasons=() durations=()

# The seconds for a step: what it may take, but not more than is left.
seconds() {
    local left=$((began + limit - SECONDS))
    [ "$left" -lt "$1" ] || left=$1
    [ "$left" -gt 1 ] || left=1
    echo "$left"
}

# Runs a step: a heading, what it prints, its result and seconds. A step sets reason, and returns 0 (passed), 1 (failed) or 2 (skipped).
step() {
    local name=$1 start=$SECONDS status outcome
    shift
    printf '\n== %s\n' "$name"
    reason=
    "$@"
    status=$?
    case $status in 0) outcome=passed ;; 2) outcome=skipped ;; *) outcome=FAILED ;; esac
    names+=("$name") outcomes+=("$outcome") reasons+=("$reason") durations+=($((SECONDS - start)))
    printf -- '-- %s: %s%s (%d s)\n' "$name" "$outcome" "${reason:+: $reason}" $((SECONDS - start))
}

# Runs a command within some seconds: standard output to a file, standard error to another. The reason says how it failed.
try() {
    local most=$1 output=$2 errors=$3 status
    shift 3
    reason=
    timeout -k 5 "$most" "$@" > "$output" 2> "$errors"
    status=$?
    case $status in
        0) ;;
        124 | 137) reason="stopped after $most s" ;;
        *) reason="exit code $status$(tail -n 1 "$errors" | cut -c 1-200 | sed 's/^\(.\)/: \1/')" ;;
    esac
    return $status
}

# The first Python that has PyTorch with CUDA, and why there is none.
python= no_python="there is no Python"
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python /usr/bin/python3}; do
        command -v "$candidate" > /dev/null || continue
        no_python=$(timeout 90 "$candidate" -c '
try:
    import torch, numpy, PIL
    print("" if torch.cuda.is_available() else "PyTorch %s sees no CUDA device" % torch.__version__)
except Exception as e:
    print("Python has no PyTorch, NumPy or Pillow: %s" % e)' 2> "$work/python.err" | tail -n 1) \
            || no_python="$candidate fails: $(tail -n 1 "$work/python.err")"
        if [ -z "$no_python" ]; then python=$candidate; return; fi
    done
}

# PyTorch's Triton brings a ptxas, so it is looked for where CUDA is not installed.
find_ptxas() {
    local candidate
    for candidate in ${PTXAS:-ptxas "${CUDA_HOME:-/usr/local/cuda}/bin/ptxas"}; do
        if command -v "$candidate"; then return 0; fi
    done
    [ -z "${PTXAS:-}" ] && [ -n "$python" ] && timeout 30 "$python" -c '
import os, triton
folder = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin", "ptxas")
print(folder)
raise SystemExit(not os.access(folder, os.X_OK))' 2> /dev/null
}

# ------------------------------------------------------------------------------------------------------- 1 environment

environment() {
    local card=
    if command -v nvidia-smi > /dev/null; then
        card=$(timeout 20 nvidia-smi --format=csv,noheader \
            --query-gpu=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,memory.total,power.limit)
    fi
    local version
    if ! try 30 "$work/version" "$work/version.err" "$tool" --version; then return 1; fi
    version=$(head -n 1 "$work/version")
    echo "GPU (name, driver, clock, highest clock, memory clock, memory, power): ${card:-nvidia-smi is missing}"
    echo "tool: $tool, version $version"
    echo "ptxas: ${ptxas:-none}"
    echo "PyTorch: ${python:-none${no_python:+, $no_python}}"
    local commit
    commit=$(git -C "$root" rev-parse HEAD 2> /dev/null) || commit=
    printf '{\n "gpu": %s,\n "tool_version": %s,\n "commit": %s,\n "quick": %s,\n "devices": %s\n}\n' "$(quoted "$card")" "$(quoted "$version")" \
        "$(quoted "$commit")" "$([ "$quick" = 1 ] && echo true || echo false)" "$(cat "$work/devices.json")" > "$out/environment.json"
}

# ------------------------------------------------------------------------------------------------------------- 2 ptxas

assemble() {
    if [ -z "$ptxas" ]; then reason="there is no ptxas"; return 2; fi
    if [ ${#ptx[@]} = 0 ]; then reason="devices --json names no PTX"; return 1; fi
    local name arch failed=0
    "$ptxas" --version | tail -n 1
    for name in "${ptx[@]}"; do
        if ! try 30 "$work/$name.ptx" "$work/$name.err" "$tool" devices --ptx "$name"; then echo "$name: $reason"; failed=1; fi
    done
    # Each file and GPU is a process of its own, as many at a time as there are processors.
    local end=$((SECONDS + $(seconds 90)))
    for name in "${ptx[@]}"; do
        for arch in sm_80 sm_87 sm_90; do
            while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do wait -n 2> /dev/null || true; done
            (
                left=$((end - SECONDS))
                timeout $((left > 1 ? left : 1)) "$ptxas" -v -arch="$arch" -o /dev/null "$work/$name.ptx" > "$work/$name.$arch.txt" 2>&1
                echo "exit $?" >> "$work/$name.$arch.txt"
            ) &
        done
    done
    # Not the process that writes the log: it ends with the script.
    wait $(jobs -pr | grep -vx "$logger")

    # One line for each entry and GPU: file, arch, entry, registers, spilled bytes, shared bytes, stack, error.
    for name in "${ptx[@]}"; do
        for arch in sm_80 sm_87 sm_90; do
            awk -v file="$name" -v arch="$arch" '
                function number(unit) { return match($0, "[0-9]+ " unit) ? substr($0, RSTART, RLENGTH) + 0 : 0 }
                function show() { if (entry != "") print file, arch, entry, registers, spills, shared, stack, ""; entry = "" }
                BEGIN { OFS = "\t" }
                /Compiling entry function/ { show(); split($0, part, "\047"); entry = part[2]; registers = spills = shared = stack = 0; entries++ }
                /bytes stack frame/ { stack = number("bytes stack frame"); spills = number("bytes spill stores") + number("bytes spill loads") }
                /Used [0-9]+ registers/ { registers = number("registers"); shared = number("bytes smem") }
                /error|fatal/ && error == "" { error = $0 }
                /^exit / { code = $2 }
                END {
                    show()
                    if (code == 124) error = "ptxas was stopped as no time was left"
                    if (code != 0 || entries == 0) print file, arch, "-", 0, 0, 0, 0, error != "" ? error : "exit code " code ", no entry compiled"
                }' "$work/$name.$arch.txt" >> "$work/ptxas.tsv"
        done
    done
    printf '%-44s %-6s %9s %7s %7s %6s\n' kernel GPU registers spilled shared stack
    awk -F '\t' '$8 != "" { printf "%-44s %-6s ERROR: %s\n", $1, $2, $8; next } { printf "%-44s %-6s %9d %7d %7d %6d\n", $3, $2, $4, $5, $6, $7 }' \
        "$work/ptxas.tsv"
    awk -F '\t' '
        BEGIN { printf "[" }
        {
            gsub(/\\/, "\\\\", $8); gsub(/"/, "\\\"", $8)
            printf "%s\n {\"file\": \"%s\", \"arch\": \"%s\", \"entry\": \"%s\", \"registers\": %d, \"spilled_bytes\": %d, \"shared_bytes\": %d, " \
                "\"stack_bytes\": %d, \"error\": %s}", (NR > 1 ? "," : ""), $1, $2, $3, $4, $5, $6, $7, $8 == "" ? "null" : "\"" $8 "\""
        }
        END { print "\n]" }' "$work/ptxas.tsv" > "$out/ptxas.json"
    reason=$(awk -F '\t' '$8 != "" { errors++; next } { entries++; spills += $5 > 0 }
        END { printf "%d kernels and GPUs, %d with spills, %d errors", entries, spills, errors; exit errors + spills > 0 }' \
        "$work/ptxas.tsv") || failed=1
    return "$failed"
}

# ----------------------------------------------------------------------------------------------------------- 3 kernels

kernels() {
    local status=0 why
    try "$(seconds 120)" "$work/kernels.json" "$work/kernels.err" "$tool" bench --kernels --device cuda --json || status=1
    why=$reason
    if ! flatten "$work/kernels.json" > "$work/kernels.flat"; then
        cat "$work/kernels.err"
        reason=${why:-the tool printed no JSON}
        return 1
    fi
    cp "$work/kernels.json" "$out/kernels.json"
    # One line a case: name, passed, error, tolerance, microseconds, predicted microseconds.
    awk -F '\t' '
        $1 ~ /^cases\.[0-9]+\./ {
            split($1, part, ".")
            if (!(part[2] in seen)) { seen[part[2]] = 1; order[count++] = part[2] }
            found[part[2], part[3]] = $2
        }
        END {
            for (i = 0; i < count; i++) {
                n = order[i]
                print found[n, "name"] "\t" found[n, "passed"] "\t" found[n, "error"] "\t" found[n, "tolerance"] "\t" found[n, "microseconds"] \
                    "\t" found[n, "predicted_microseconds"]
            }
        }' "$work/kernels.flat" > "$work/kernels.tsv"
    printf '%-60s %-6s %9s %9s %11s\n' case "" error limit us
    awk -F '\t' '{ printf "%-60s %-6s %9.1e %9.1e %11.2f\n", $1, $2 == "true" ? "pass" : "FAIL", $3, $4, $5 }' "$work/kernels.tsv"
    reason=$(awk -F '\t' '
        { failed += $2 != "true" }
        END {
            if (NR == 0) { printf "the tool lists no case"; exit 1 }
            printf "%d cases, %d failed", NR, failed
            exit failed > 0
        }' "$work/kernels.tsv") || status=1
    reason=$reason${why:+, $why}
    return "$status"
}

# ------------------------------------------------------------------------------------------------------------ 4 verify

verify() {
    local name status failed=0 worst comma=
    printf '[' > "$out/verify.json"
    printf '%-28s %-6s %-32s %10s %10s %5s\n' case "" "worst tap" "max error" limit taps
    for name in lizad/tiny edgezsad/tiny edgezsad/padded visualad/tiny visualad/dinov2-tiny edgezsad/5m-224 lizad/vision-full lizad/text \
        edgezsad/full visualad/full; do
        status=0
        try "$(seconds 60)" "$work/verify.json" "$work/verify.err" "$tool" verify "tests/reference/$name" --device cuda --json || status=1
        if flatten "$work/verify.json" > "$work/verify.flat" && [ -s "$work/verify.flat" ]; then
            # The worst is the tap without a value, else the one nearest to its limit or furthest above it.
            worst=$(awk -F '\t' '
                $1 ~ /^cases\.0\.taps\.[0-9]+\.(tap|passed|max_error|tolerance|problem)$/ {
                    split($1, p, ".")
                    found[p[4], p[5]] = $2
                    taps[p[4]] = 1
                }
                END {
                    most = -1
                    for (n in taps) {
                        count++
                        limit = found[n, "tolerance"] + 0
                        error = found[n, "max_error"] + 0
                        share = (n, "problem") in found ? 1e300 : limit > 0 ? error / limit : error > 0 ? 1e200 : 0
                        if (found[n, "passed"] != "true" && share < 1e100) share += 1e100
                        if (share > most) { most = share; worst = n }
                    }
                    if (count == 0) { printf "it expects nothing"; exit }
                    printf "%-32s %10.1e %10.1e %5d %s", found[worst, "tap"], found[worst, "max_error"], found[worst, "tolerance"], count,
                        found[worst, "problem"]
                }' "$work/verify.flat")
            [ "$(value "$work/verify.flat" passed)" = true ] || status=1
            printf '%s\n{"case": "%s", "result": %s}' "$comma" "$name" "$(cat "$work/verify.json")" >> "$out/verify.json"
        else
            status=1
            worst=${reason:-the tool printed no JSON}
            printf '%s\n{"case": "%s", "problem": %s}' "$comma" "$name" "$(quoted "$worst")" >> "$out/verify.json"
        fi
        printf '%-28s %-6s %s\n' "$name" "$([ "$status" = 0 ] && echo pass || echo FAIL)" "$worst"
        failed=$((failed + status)) comma=,
    done
    printf '\n]\n' >> "$out/verify.json"
    reason="10 cases, $failed failed"
    [ "$failed" = 0 ]
}

# ----------------------------------------------------------------------------------------------------------- 5 latency

full=(lizad/vision-full edgezsad/full visualad/full)

# Beside PyTorch: cuda/compare_pytorch.py measures both by turns.
beside_pytorch() {
    if [ -z "$python" ]; then reason=$no_python; return 2; fi
    local budget options=()
    if [ "$quick" = 1 ]; then
        budget=$(seconds 130)
        options=(--modes reduce-overhead --seconds 0.5 --runs 20)
    else
        budget=$(seconds 380)
    fi
    # The last case may overrun what is budgeted by a compiler that does not stop at once.
    budget=$((budget > 40 ? budget - 20 : budget))
    local status=0
    try $((budget + 18)) "$work/latency.out" "$work/latency.err" "$python" cuda/compare_pytorch.py --tool "$tool" --budget "$budget" --rounds 2 \
        --json "$out/latency.json" ${options[@]+"${options[@]}"} "${full[@]/#/tests/reference/}" || status=1
    grep -vi warn "$work/latency.err" | tail -n 80
    [ "$status" = 0 ] && reason=$(flatten "$out/latency.json" | awk -F '\t' '
        $1 ~ /\.ratios\.[0-9]+\.median$/ { count++; if (count == 1 || $2 > most) most = $2 }
        END { if (count) printf "%d ratios of medians, the largest %.2f", count, most; else print "no ratio could be formed" }')
    return "$status"
}

# The tool alone, where there is no PyTorch.
alone() {
    if [ -n "$python" ]; then reason="measured beside PyTorch"; return 2; fi
    local name failed=0 runs=100 comma=
    [ "$quick" = 1 ] && runs=30
    printf '{"cases": [' > "$out/latency.json"
    printf '%-20s %10s %10s %14s %14s\n' case "best ms" "median ms" "best of 16, ms" "median of 16"
    for name in "${full[@]}"; do
        if try "$(seconds 90)" "$work/bench.json" "$work/bench.err" "$tool" bench --case "tests/reference/$name" --device cuda --runs "$runs" \
            --batch 16 --json && flatten "$work/bench.json" > "$work/bench.flat" && [ -s "$work/bench.flat" ]; then
            printf '%-20s %10s %10s %14s %14s\n' "$name" "$(value "$work/bench.flat" minimum_ms)" "$(value "$work/bench.flat" median_ms)" \
                "$(value "$work/bench.flat" batch_minimum_ms)" "$(value "$work/bench.flat" batch_median_ms)"
            printf '%s\n{"case": "%s", "result": %s}' "$comma" "$name" "$(cat "$work/bench.json")" >> "$out/latency.json"
            comma=,
        else
            echo "$name: ${reason:-the tool printed no JSON}"
            failed=$((failed + 1))
        fi
    done
    printf '\n]}\n' >> "$out/latency.json"
    reason="3 cases with a picture of 640 x 480 that is resized too, $failed failed"
    [ "$failed" = 0 ]
}

# --------------------------------------------------------------------------------------------------------- 6 predicted

predicted() {
    if [ ! -s "$work/kernels.tsv" ]; then reason="no kernel was timed"; return 2; fi
    awk -F '\t' '$5 > 0 && $6 > 0 { print $1 "\t" $5 "\t" $6 "\t" $5 / $6 }' "$work/kernels.tsv" \
        | LC_ALL=C sort -t "$(printf '\t')" -k 4,4gr > "$work/predicted.tsv"
    if [ ! -s "$work/predicted.tsv" ]; then reason="no case has both times"; return 2; fi
    printf '%-60s %12s %12s %20s\n' case "measured us" "predicted us" "measured / predicted"
    awk -F '\t' '{ printf "%-60s %12.2f %12.2f %20.2f\n", $1, $2, $3, $4 }' "$work/predicted.tsv"
    awk -F '\t' 'BEGIN { printf "[" }
        { printf "%s\n {\"case\": \"%s\", \"measured_us\": %s, \"predicted_us\": %s, \"ratio\": %s}", (NR > 1 ? "," : ""), $1, $2, $3, $4 }
        END { print "\n]" }' "$work/predicted.tsv" > "$out/predicted.json"
    reason=$(awk -F '\t' '{ r[NR] = $4 } END { printf "%d cases, median ratio %.2f, from %.2f to %.2f", NR, r[int((NR + 1) / 2)], r[NR], r[1] }' \
        "$work/predicted.tsv")
}

# ---------------------------------------------------------------------------------------------------------------- main

finish() { exec > /dev/null 2>&1; wait "$logger"; exit "$1"; }

reason=
if ! try 60 "$work/devices.json" "$work/devices.err" "$tool" devices --json; then
    if ! command -v nvidia-smi > /dev/null && [ ! -e /proc/driver/nvidia/version ]; then
        echo "There is no GPU to check: the machine has no NVIDIA driver."
        finish 0
    fi
    cat "$work/devices.err"
    echo "tinyzsad devices --json failed: $reason."
    finish 1
fi
flatten "$work/devices.json" > "$work/devices.flat"
if [ "$(value "$work/devices.flat" cuda.available)" != true ]; then
    why=$(value "$work/devices.flat" cuda.reason)
    why=${why:-the tool lists no CUDA device}
    echo "There is no GPU to check: ${why%.}."
    # A GPU that only the tool does not see is worth a look.
    card=$(timeout 20 nvidia-smi -L 2> /dev/null) && echo "nvidia-smi lists: $card"
    finish 0
fi
mapfile -t ptx < <(awk -F '\t' '$1 ~ /(^|\.)ptx\.[0-9]+$/ { print $2 }' "$work/devices.flat")
find_python
ptxas=$(find_ptxas) || ptxas=

step "1 environment" environment
step "2 ptxas" assemble
step "3 kernel cases" kernels
step "4 verify" verify
step "5 latency beside PyTorch" beside_pytorch
step "5 latency of the tool alone" alone
step "6 predicted times" predicted

printf '\n%-30s %-8s %8s  %s\n' step "" seconds ""
failed=0
{
    printf '['
    for i in "${!names[@]}"; do
        printf '%s\n {"step": "%s", "result": "%s", "seconds": %d, "remark": %s}' "$([ "$i" = 0 ] || echo ,)" "${names[i]}" "${outcomes[i]}" \
            "${durations[i]}" "$(quoted "${reasons[i]}")"
    done
    printf '\n]\n'
} > "$out/steps.json"
for i in "${!names[@]}"; do
    printf '%-30s %-8s %8d  %s\n' "${names[i]}" "${outcomes[i]}" "${durations[i]}" "${reasons[i]}"
    [ "${outcomes[i]}" != FAILED ] || failed=1
done
printf '%d s in all; the figures are in %s\n' $((SECONDS - began)) "$out"
finish "$failed"
