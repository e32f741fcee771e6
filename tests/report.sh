# shellcheck shell=bash disable=SC2034 # who sources this uses the variables
# How a shell test says what came of it, and how several run side by side.
# Sourced with the working directory at the top of the tree. tests/run.sh counts
# lines `ok NAME`, `not ok NAME - why` and `skip NAME - why`.

test_name="test"
test_failed=0
# How many things may run at once; JOBS=1 is one after the other.
JOBS=${JOBS:-$(nproc)}
export JOBS

ok() { echo "ok $test_name: $*"; }
not_ok() { echo "not ok $test_name: $*"; test_failed=1; }
skip() { echo "skip $test_name: $*"; }

# check NAME COMMAND...: passes when it succeeds
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name - $(echo "$out" | tail -n 1 | cut -c1-200)"; fi
}

# check_equal NAME WANTED GOT
check_equal() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1 - wanted '$2', got '$3'"; fi
}

# check_empty NAME FILE: passes when nothing stands in it
check_empty() {
	if [ -s "$2" ]; then not_ok "$1 - $(head -n 3 "$2" | tr '\n' ' ')"; else ok "$1"; fi
}

# Sanitizers of some compilers die at random where the kernel shuffles addresses further than they expect:
# in front of a program with one, the same addresses each time, where we may.
unshuffled=
setarch -R true 2>/dev/null && unshuffled="setarch -R"
export unshuffled

# side_by_side FUNCTION ARGUMENT...: FUNCTION once for each argument, JOBS at a time. Each one's
# output comes whole. Functions and variables it uses must be exported. 0 when all gave 0.
side_by_side() {
	local function=$1
	shift
	export -f "${function?}"
	# shellcheck disable=SC2016 # the inner shell's own
	printf '%s\0' "$@" | xargs -0 -P "$JOBS" -n 1 bash -c '
		out=$("$0" "$1" 2>&1)
		status=$?
		exec 9<tests/report.sh
		flock 9
		[ -z "$out" ] || printf "%s\n" "$out"
		exit $((status != 0))' "$function"
}
