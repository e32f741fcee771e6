#!/bin/bash
# Runs every libFuzzer target of this folder for a bounded number of inputs from
# a fixed seed, with AddressSanitizer and UndefinedBehaviourSanitizer.
# Usage: tests/fuzz/run.sh [RUNS]; RUNS=-1 goes on until something breaks.
#
# A target names what it links in lines `SOURCES: FILE...` (or patterns) of its header, and
# writes its own corpus when it is compiled with WRITE_SEEDS.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/report.sh
O=${O:-build}
runs=${1:-200000}
CLANG=${CLANG:-clang}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=gnu11 -O1 -g -I. -Iinclude -D_GNU_SOURCE"
mkdir -p "$O/fuzz"

probe() { # can this compiler make fuzzers at all?
	echo 'int LLVMFuzzerTestOneInput(const void *d, unsigned long s) { return !d && s; }' >"$work/probe.c"
	"$CLANG" -fsanitize=fuzzer,address,undefined "$work/probe.c" -o "$work/probe" 2>"$work/log"
}

fuzz() { # NAME SOURCE
	local name=$1 source=$2 sources
	# shellcheck disable=SC2207,SC2086 # patterns are meant to expand: a new envelope needs no line
	sources=($(sed -n 's/^ \* SOURCES: //p' "$source"))
	mkdir -p "$work/$name"
	"$CLANG" $flags -DWRITE_SEEDS "$source" "${sources[@]}" -o "$work/$name.seeds" &&
		"$work/$name.seeds" "$work/$name" &&
		"$CLANG" $flags -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
			"$source" "${sources[@]}" -o "$O/fuzz/$name" &&
		$unshuffled "$O/fuzz/$name" -runs="$runs" -seed=7 -max_len=2048 -timeout=100 -print_final_stats=1 \
			-artifact_prefix="$O/fuzz/" "$work/$name"
}

if ! probe; then
	echo "skip fuzz - $CLANG has no libFuzzer (Debian: libclang-rt-14-dev): $(head -1 "$work/log")"
	exit 0
fi
one() { # SOURCE
	local name log
	name=$(basename "$1" .c)
	if log=$(fuzz "$name" "$1" 2>&1); then
		echo "ok fuzz: $name, $runs inputs and $(find "$work/$name" -type f | wc -l) kept"
		return 0
	fi
	tail -n 40 <<<"$log"
	echo "not ok fuzz: $name - see above; the input that breaks it is in $O/fuzz/"
	return 1
}
export -f fuzz
export runs work CLANG flags O
side_by_side one tests/fuzz/fuzz_*.c
