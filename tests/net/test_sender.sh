#!/bin/bash
# Nobody speaks in another host's name: a host with keys of its own towards a
# receiver seals under a third host's address, in every envelope that tunnels
# speak, and every packet of it is refused, while the third host's own are opened.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
test_begin sender
count=20
topology_dir=$(mktemp -d "${TMPDIR:-/tmp}/halfkey.$topology_id.XXXXXX")

# seal WHO ADDRESS FILE OPTION...: WHO's keys, under this outer address
seal() {
	local who=$1 address=$2 file=$3
	shift 3
	"$O/halfkey-endpoint" seal -e "$envelope" -k "$dir/$who.keys" -f "$address" -t 192.0.2.9 --state "$dir/$who.state" \
		--first-use "$@" "$topology_dir/plain.pcap" "$dir/$file" >/dev/null
}

# refusals FILE REASON: how many of its packets the server refuses for it
refusals() {
	"$O/halfkey-endpoint" open -e "$envelope" -k "$dir/server.keys" -t 192.0.2.9 "${opening[@]}" --json "$dir/$1" \
		"$dir/opened.pcap" >"$dir/summary"
	jq ".refused[\"$2\"] // 0" "$dir/summary"
}

one() { # NAME ENVELOPE KEYGEN-OPTION... -- SEAL-OPTION...
	local name=$1 keygen=()
	envelope=$2 dir=$topology_dir/$1
	shift 2
	while [ "$1" != -- ]; do keygen+=("$1"); shift; done
	shift
	opening=()
	[[ ${1:-} == --version || ${1:-} == --suite ]] && opening=("$@")
	check "$name: keys for three hosts" "$O/halfkey-endpoint" keygen -e "$envelope" -o "$dir" "${keygen[@]}" \
		--peer client=192.0.2.1 --peer server=192.0.2.9 --peer third=192.0.2.3
	check "$name: the client seals" seal client 192.0.2.1 honest.pcap "$@"
	check_equal "$name: its packets are opened" "0 $count" "$(refusals honest.pcap other-sender) $(jq .opened "$dir/summary")"
	check "$name: the third host seals in the client's name" seal third 192.0.2.1 spoofed.pcap --sender third "$@"
	check_equal "$name: all of that is refused" "$count 0" "$(refusals spoofed.pcap other-sender) $(jq .opened "$dir/summary")"
	sed -i '/^sender=/d' "$dir/server.keys"
	check_equal "$name: without the lines that name senders it is not" "0 $count" \
		"$(refusals spoofed.pcap other-sender) $(jq .opened "$dir/summary")"
}

python3 tests/net/capture.py "$topology_dir/plain.pcap" "$count"
one psp psp --
one psp-single psp --profile single -- --version 1
one esp esp --
one esp-gcm esp --profile single -- --suite gcm
one eesp eesp --
one eesp-sub-sa eesp --sub-sa -- --sub-sa
one wesp wesp --
one inline inline -- --children none
rm -rf "$topology_dir"
test_end
