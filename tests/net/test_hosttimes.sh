#!/bin/bash
# not-before= and not-after= in a host's key file, in every envelope: a key whose
# time it is not opens nothing and seals nothing, each with its reason; one that
# stands beside a key whose time it is does not get in its way.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
test_begin hosttimes
count=20
topology_dir=$(mktemp -d "${TMPDIR:-/tmp}/halfkey.$topology_id.XXXXXX")
trap 'rm -rf "$topology_dir"' EXIT
past=$(($(date +%s) - 3600))
future=$(($(date +%s) + 3600))

# timed FILE TIMES: FILE.timed has them on every key
timed() { (umask 077; sed "/^\(receiver\|slot\|level\)=/s/\$/ $2/" "$dir/$1" >"$dir/$1.timed"); }
seal() { # KEYS FILE OPTION...
	local keys=$1 file=$2
	shift 2
	"$O/halfkey-endpoint" seal -e "$envelope" -k "$dir/$keys" -f 192.0.2.1 -t 192.0.2.9 --state "$dir/$file.state" \
		--first-use "$@" "$plain" "$dir/$file" >"$dir/said" 2>&1
}
# opens KEYS REASON: "OPENED REFUSED"
opens() {
	"$O/halfkey-endpoint" open -e "$envelope" -k "$dir/$1" -t 192.0.2.9 "${opening[@]}" --json "$dir/sealed.pcap" \
		"$dir/opened.pcap" >"$dir/summary"
	jq -r "\"\\(.opened) \\(.refused[\"$2\"] // 0)\"" "$dir/summary"
}
no_seal() { # TIMES WORDS: sealing fails, with these
	timed client.keys "$1"
	! seal client.keys.timed never.pcap "${sealing[@]}" && grep -q "$2" "$dir/said"
}

one() { # NAME ENVELOPE KEYGEN-OPTION... -- SEAL-OPTION...
	local name=$1 keygen=()
	envelope=$2 dir=$topology_dir/$1 plain=$topology_dir/plain.pcap
	shift 2
	while [ "$1" != -- ]; do keygen+=("$1"); shift; done
	shift
	sealing=("$@") opening=()
	[[ ${1:-} == --version || ${1:-} == --suite ]] && opening=("$@")
	check "$name: keys for two hosts" "$O/halfkey-endpoint" keygen -e "$envelope" -o "$dir" "${keygen[@]}" \
		--peer client=192.0.2.1 --peer server=192.0.2.9
	check "$name: the client seals" seal client.keys sealed.pcap "$@"
	timed server.keys "not-before=$past not-after=$future"
	check_equal "$name: within its time a key opens" "$count 0" "$(opens server.keys.timed key-expired)"
	timed server.keys "not-after=$past"
	check_equal "$name: one that is over does not" "0 $count" "$(opens server.keys.timed key-expired)"
	timed server.keys "not-before=$future"
	check_equal "$name: nor one that is to come" "0 $count" "$(opens server.keys.timed key-not-yet)"
	check "$name: nothing is sealed under a key that is over" no_seal "not-after=$past" "time is over (not-after)"
	check "$name: nor under one that is to come" no_seal "not-before=$future" "time has not begun (not-before)"
	timed client.keys "not-after=$future"
	check "$name: within its time it is" seal client.keys.timed timed.pcap "$@"
}

# The next generation in the same slot, whose time has not begun
beside() {
	local line
	dir=$topology_dir/$1 envelope=$1 opening=()
	line=$(grep '^receiver=.*slot=0 .*side=enc' "$dir/server.keys")
	(
		cat "$dir/server.keys"
		for side in enc auth; do
			sed -e "s/generation=[0-9]*/generation=9/" -e "s/side=enc/side=$side/" \
				-e "s/key=[0-9a-f]*/key=$(openssl rand -hex 32) not-before=$future/" <<<"$line"
		done
	) >"$dir/both.keys"
	chmod 600 "$dir/both.keys"
	check_equal "$1: a later generation of the slot waits for its time" "$count 0" "$(opens both.keys key-not-yet)"
	sed -i "s/not-before=$future/not-before=$past/" "$dir/both.keys"
	check_equal "$1: and does not hide the earlier one then" "$count 0" "$(opens both.keys bad-icv)"
	sed -i '/^receiver=.*generation=9/!d' "$dir/both.keys"
	check_equal "$1: but is one of its own" "0 $count" "$(opens both.keys bad-icv)"
}

python3 tests/net/capture.py "$topology_dir/plain.pcap" "$count"
one psp psp --
one psp-single psp --profile single -- --version 1
one esp esp --
one eesp eesp --
one eesp-sub-sa eesp --sub-sa -- --sub-sa
one wesp wesp --
one inline inline -- --children none
beside psp
beside esp
test_end
