#!/bin/bash
# TLS 1.2 through the box: OpenSSL's client and server talk AES-GCM, the server's
# key log is the box's key file. What they say arrives whole, is opened in both
# directions, on each of the domain's ports, and just as well when the segments
# come in another order and twice. Other versions pass and are counted.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/tls.sh
tls_begin tls

config() {
	box_config <<-YAML
		mode: inline
		$(tls_domain)
		feeds: {pcapng: {path: $topology_dir/$1.pcapng}, eve: {path: $topology_dir/$1.json}}
	YAML
}

has_key() { [ "$(box keys list --json | jq length)" -ge 1 ]; }

both_ways() { # NAME
	check "$1: the client's side arrives whole" tls_tell client "said by the client" 300
	check "$1: the server's side arrives whole" tls_tell server "said by the server" 700
	tls_down
}

tls_12() {
	local dir=$topology_dir dump
	in_background "$topology_client" tcpdump -q -U --immediate-mode -B 16384 -s 0 -i c0 -w "$dir/wire.pcap" tcp port 8443 2>"$dir/dump.log"
	dump=$background
	wait_for 10 grep -q listening "$dir/dump.log"
	tls_connect "TLS 1.2: a connection comes about" 8443 "$dir/keys.log"
	check "TLS 1.2: its key is there" wait_for 5 has_key
	both_ways "TLS 1.2"
	check_equal "TLS 1.2: nothing was damaged" 0 "$(box_count bad-icv)"
	check_equal "TLS 1.2: no gap" 0 "$(box_count tls-gap)"
	check "TLS 1.2: records were opened" has ok 20
	box_conserves "TLS 1.2"
	check "TLS 1.2: it was captured to its end" wait_for 10 ended "$dir/wire.pcap"
	topology_stop "$dump"
}
ended() { [ -n "$(tcpdump -nn -r "$1" 'tcp[tcpflags] & (tcp-fin|tcp-rst) != 0' 2>/dev/null)" ]; }

seen() { # FILE: both directions' text, all lines of it
	local mark
	for mark in client server; do
		[ "$(grep -aoc "said by the $mark" "$1")" -gt 100 ] || return 1
	done
}

other_version() {
	tls_connect "TLS 1.3: a connection comes about" 443 "$topology_dir/keys.log" -tls1_3
	both_ways "TLS 1.3"
	check "TLS 1.3: is told apart" has tls-version 5
	box_conserves "TLS 1.3"
}

shuffled() {
	local dir=$topology_dir before
	python3 tests/net/segments.py shuffle "$dir/wire.pcap" "$dir/shuffled.pcap" 7
	check "out of order: \`halfkey open\` runs" "$O/halfkey" open -c "$dir/halfkey.yaml" -w "$dir/offline.pcap" "$dir/shuffled.pcap"
	check "out of order: all of it is in the opened capture" seen "$dir/offline.pcap"
	before=$(box_count ok)
	check "out of order: played through the box" python3 tests/net/segments.py play "$dir/shuffled.pcap" \
		"$topology_client" c0 "$topology_server" s0 192.0.2.1
	check "out of order: records were opened" has ok $((before + 20))
	check "out of order: repeated segments were told apart" has tls-repeated 1
	check_equal "out of order: nothing was damaged" 0 "$(box_count bad-icv)"
	box_conserves "out of order"
}

tls_topology
config one
box_start
tls_12
other_version
box_stop
check "feeds saw what both sides said" seen "$topology_dir/one.pcapng"
check "EVE names the server" jq -e -n --arg name "$tls_name" \
	'[inputs | select(.event_type == "flow" and .tls.sni == $name)] | length == 1' "$topology_dir/one.json"
"$O/halfkey" detach -i "$topology_instance" >/dev/null
config two
box_start
shuffled
test_end
