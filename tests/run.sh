#!/bin/bash
# Runs the tests and counts. Usage: tests/run.sh all|unit|lint|asan|fuzz|bpf|net [NAME...]
# JOBS of them run side by side (as many as there are processors); JOBS=1: one after the other.
#
# Every test program and script prints `ok NAME`, `not ok NAME - why` or
# `skip NAME - why` lines; one that dies, or prints none, is a failure of its
# own. The last line is `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
JOBS=${JOBS:-$(nproc)}
export O JOBS
kind=${1:-all}
shift || true
names=("$@")
work=$(mktemp -d)
met=$work/met # the reasons that tests met
: >"$met"
declare -A running=() began=() # by process id: the test's name, and when
passed=0 failed=0 skipped=0
failures=()

stop() { # timeout hands it on, and each test clears up behind itself
	[ ${#running[@]} -gt 0 ] && kill -TERM "${!running[@]}" 2>/dev/null
	wait
	exit 130
}
trap 'rm -rf "$work"' EXIT
trap stop INT TERM

wanted() { # NAME: is it among the names on the command line (all, when none are)?
	local w
	[ ${#names[@]} -eq 0 ] && return 0
	for w in "${names[@]}"; do [[ $1 == *"$w"* ]] && return 0; done
	return 1
}

tell() { # NAME STATUS LOG SECONDS: counts its lines, and says how it went
	local name=$1 log=$3 good bad left_out
	good=$(grep -c '^ok ' "$log")
	left_out=$(grep -c '^skip ' "$log")
	bad=$(grep -c '^not ok ' "$log")
	grep '^# met: ' "$log" >>"$met"
	if [ "$bad" -eq 0 ] && { [ "$2" -ne 0 ] || [ $((good + left_out)) -eq 0 ]; }; then
		echo "not ok $name - exit status $2" >>"$log"
		bad=1
	fi
	passed=$((passed + good)) skipped=$((skipped + left_out)) failed=$((failed + bad))
	if [ "$bad" -ne 0 ]; then
		while IFS= read -r line; do failures+=("$line"); done < <(grep '^not ok ' "$log")
		echo "FAILED $name: its last output:"
		tail -n 60 "$log" | sed 's/^/    /'
		return
	fi
	printf '%-28s %s passed%s (%d s)\n' "$name" "$good" \
		"$([ "$left_out" -gt 0 ] && echo ", $left_out skipped")" "$4"
	grep '^skip ' "$log" | sed 's/^/    /'
}

reap() { # waits for one of those that run
	local pid status name
	wait -n -p pid "${!running[@]}"
	status=$?
	name=${running[$pid]}
	unset "running[$pid]"
	tell "$name" "$status" "$work/${name//\//.}" $((SECONDS - began[$pid]))
}
reap_all() { while [ ${#running[@]} -gt 0 ]; do reap; done; }

run() { # NAME LIMIT COMMAND...
	local name=$1 limit=$2
	shift 2
	wanted "$name" || return 0
	while [ ${#running[@]} -ge "$JOBS" ]; do reap; done
	# a shell's background jobs would ignore Ctrl-C, and so would what they start; a test that is
	# stopped ends what it waits for, and clears up: only then is it killed
	env --default-signal=INT,QUIT timeout --kill-after=70 "$limit" "$@" >"$work/${name//\//.}" 2>&1 </dev/null &
	running[$!]=$name
	began[$!]=$SECONDS
}

# These use all processors by themselves.
run_alone() {
	reap_all
	run "$@"
	reap_all
}

is() { [ "$kind" = all ] || [ "$kind" = "$1" ]; }

if is unit; then
	for t in tests/unit/test_*.c; do n=$(basename "$t" .c); run "unit/$n" 1800 "$O/tests/$n"; done
fi
if is lint; then
	run_alone lint 7200 tests/lint.sh
	run no_seal_symbols 1800 bash tests/test_no_seal_symbols.sh
	run rooms 900 bash tests/test_rooms.sh
	run install 1800 bash tests/test_install.sh
fi
is asan && run_alone asan 7200 tests/asan.sh
is fuzz && run_alone fuzz 7200 tests/fuzz/run.sh
if is bpf; then
	for t in tests/bpf/test_*.c; do [ -e "$t" ] || continue; n=$(basename "$t" .c); run "bpf/$n" 1800 "$O/tests/$n"; done
fi
if [ "$kind" = all ] && [ ${#names[@]} -eq 0 ]; then
	run_alone reasons 900 bash tests/test_reasons.sh "$met"
fi
if is net; then
	for t in tests/net/test_*.sh; do [ -e "$t" ] || continue; run "net/$(basename "$t" .sh)" 3600 bash "$t"; done
fi
reap_all

if [ ${#failures[@]} -gt 0 ]; then
	echo "failures:"
	printf '    %s\n' "${failures[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
