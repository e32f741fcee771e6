# shellcheck shell=bash
# What tests over files share, sourced first: no network and no root. Everything in $work.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
O=$(realpath "${O:-build}")
. tests/report.sh

# offline_begin NAME
offline_begin() {
	test_name=$1
	work=$(mktemp -d "${TMPDIR:-/tmp}/halfkey-$1.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
}

# equal NAME WANTED GOT: the beginning of both is shown
equal() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1 - wanted '${2:0:150}', got '${3:0:150}'"; fi; }

# refused NAME WORDS COMMAND...: it fails, and its sentence has these words
refused() {
	local name=$1 words=$2 out
	shift 2
	if out=$("$@" 2>&1); then not_ok "$name - was accepted"
	elif [[ $out == *"$words"* ]]; then ok "$name is refused"
	else not_ok "$name - ${out:0:200}"; fi
}

endpoint() { "$O/halfkey-endpoint" "$@"; }
