#!/bin/bash
# The unit tests and `halfkey open` under AddressSanitizer and UBSan. Prints
# `ok`/`not ok` lines for tests/run.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/report.sh
test_name=asan
O=${O:-build}/asan
export O ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

one() { # SOURCE
	local name log status
	name=$(basename "$1" .c)
	# shellcheck disable=SC2086,SC2154 # two words or none
	log=$(timeout 1800 $unshuffled "$O/tests/$name" 2>&1)
	status=$?
	if [ $status -eq 0 ]; then
		echo "ok asan: $name"
		return 0
	fi
	grep -vE '^(ok|skip) ' <<<"$log" | head -n 40
	echo "not ok asan: $name - $(grep -m1 -E 'ERROR|runtime error|^not ok' <<<"$log" | cut -c1-200) (status $status)"
	return 1
}

if ! log=$(make --no-print-directory -j"$JOBS" O="$O" SAN=1 units hooks "$O/halfkey" 2>&1); then
	tail -n 30 <<<"$log"
	not_ok "build"
	exit 1
fi
side_by_side one tests/unit/test_*.c
