#!/bin/bash
# The unit tests and `halfkey open` under AddressSanitizer and UBSan. Prints
# `ok`/`not ok` lines for tests/run.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
out=${O:-build}/asan
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

if ! make --no-print-directory -j2 O="$out" SAN=1 units hooks "$out/halfkey" >"$log" 2>&1; then
	tail -n 30 "$log"
	echo "not ok asan: build"
	exit 1
fi
for source in tests/unit/test_*.c; do
	name=$(basename "$source" .c)
	if O="$out" timeout 600 "$out/tests/$name" >"$log" 2>&1; then
		echo "ok asan: $name"
	else
		grep -vE '^(ok|skip) ' "$log" | head -n 40
		echo "not ok asan: $name - $(grep -m1 -E 'ERROR|runtime error|^not ok' "$log" | cut -c1-200)"
		failed=1
	fi
done
exit $failed
