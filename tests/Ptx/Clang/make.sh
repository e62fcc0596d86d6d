#!/bin/sh
# Compiles the programs of this folder to PTX with clang 14. ClangProgramTests.cs executes the PTX, and compares it with what this
# script writes. The argument is the folder to write to; without it, the PTX beside the programs is replaced.
set -e
cd "$(dirname "$0")"
out=${1:-.}
for program in *.cl *.ll; do
    language=ir
    case $program in *.cl) language=cl ;; esac
    # Each multiplication and addition is rounded, so that plain C# gives the same bits. A program asks for fma where it wants it.
    clang --target=nvptx64-nvidia-cuda -Xclang -target-cpu -Xclang sm_80 -Xclang -target-feature -Xclang +ptx71 -O2 \
        -ffp-contract=off -Wno-unused-command-line-argument -x $language -cl-std=CL2.0 -S "$program" -o "$out/${program%.*}.ptx"
done
