#!/bin/bash
# Runs the tests and counts. Usage: tests/run.sh all|unit|lint|asan|fuzz|bpf|net [NAME...]
#
# Every test program and script prints `ok NAME`, `not ok NAME - why` or
# `skip NAME - why` lines; one that dies, or prints none, is a failure of its
# own. The last line is `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
export O
kind=${1:-all}
shift || true
log=$(mktemp)
met=$(mktemp) # the reasons that tests met
trap 'rm -f "$log" "$met"' EXIT
passed=0 failed=0 skipped=0
failures=()

wanted() { # NAME: is it among the names on the command line (all, when none are)?
	[ $# -eq 1 ] && return 0
	local name=$1 w
	shift
	for w in "$@"; do [[ $name == *"$w"* ]] && return 0; done
	return 1
}

run() { # NAME LIMIT COMMAND...
	local name=$1 limit=$2 status
	shift 2
	wanted "$name" "${names[@]}" || return 0
	timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 </dev/null
	status=$?
	passed=$((passed + $(grep -c '^ok ' "$log")))
	skipped=$((skipped + $(grep -c '^skip ' "$log")))
	grep '^# met: ' "$log" >>"$met"
	local bad
	bad=$(grep -c '^not ok ' "$log")
	if [ "$bad" -eq 0 ] && { [ $status -ne 0 ] || ! grep -qE '^(ok|skip) ' "$log"; }; then
		echo "not ok $name - exit status $status" >>"$log"
		bad=1
	fi
	failed=$((failed + bad))
	if [ "$bad" -ne 0 ]; then
		while IFS= read -r line; do failures+=("$line"); done < <(grep '^not ok ' "$log")
		echo "FAILED $name: its last output:"
		tail -n 60 "$log" | sed 's/^/    /'
	else
		printf '%-28s %s passed%s\n' "$name" "$(grep -c '^ok ' "$log")" \
			"$(n=$(grep -c '^skip ' "$log"); [ "$n" -gt 0 ] && echo ", $n skipped")"
		grep '^skip ' "$log" | sed 's/^/    /'
	fi
}

names=("$@")
if [ "$kind" = all ] || [ "$kind" = unit ]; then
	for t in tests/unit/test_*.c; do n=$(basename "$t" .c); run "unit/$n" 300 "$O/tests/$n"; done
fi
if [ "$kind" = all ] || [ "$kind" = lint ]; then
	run lint 900 tests/lint.sh
fi
if [ "$kind" = all ] || [ "$kind" = lint ]; then
	run no_seal_symbols 120 bash tests/test_no_seal_symbols.sh
	run install 300 bash tests/test_install.sh
fi
if [ "$kind" = all ] || [ "$kind" = asan ]; then
	run asan 900 tests/asan.sh
fi
if [ "$kind" = all ] || [ "$kind" = fuzz ]; then
	run fuzz 900 tests/fuzz/run.sh
fi
if [ "$kind" = all ] || [ "$kind" = bpf ]; then
	for t in tests/bpf/test_*.c; do [ -e "$t" ] || continue; n=$(basename "$t" .c); run "bpf/$n" 300 "$O/tests/$n"; done
fi
if [ "$kind" = all ] && [ ${#names[@]} -eq 0 ]; then
	run reasons 60 bash tests/test_reasons.sh "$met"
fi
if [ "$kind" = all ] || [ "$kind" = net ]; then
	for t in tests/net/test_*.sh; do [ -e "$t" ] || continue; run "net/$(basename "$t" .sh)" 300 bash "$t"; done
fi

if [ ${#failures[@]} -gt 0 ]; then
	echo "failures:"
	printf '    %s\n' "${failures[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
