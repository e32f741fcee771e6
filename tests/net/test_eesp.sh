#!/bin/bash
# EESP and WESP through the box: sealed by the end host in every form, over UDP
# 4500 and as IP protocols; the box opens them, forwards every byte as it came,
# tells what shares UDP 4500 apart, and the receiving host opens all of it.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
test_begin eesp

count=100
endpoint() { "$O/halfkey-endpoint" eesp "$@"; }

# Arrives at the server what the client sends, byte for byte?
through() { # FILE
	local receiver
	in_server timeout 30 python3 tests/net/frames.py receive s0 "$count" >"$topology_dir/got" 2>"$topology_dir/receiver" &
	receiver=$!
	wait_for 5 grep -q ready "$topology_dir/receiver" || return 1
	in_client python3 tests/net/frames.py send c0 "$1" || return 1
	wait "$receiver"
	python3 tests/net/frames.py hashes "$1" | cmp - "$topology_dir/got"
}

setup() { # KEYGEN-OPTION...
	topology_up 1
	"$O/halfkey-endpoint" keygen -o "$topology_dir/keys" --peer client=192.0.2.1 --peer server=192.0.2.9 "$@" \
		>/dev/null || return 1
	[ ! -e "$topology_dir/keys/readers.keys" ] || cat "$topology_dir/keys/readers.keys" >>"$topology_dir/keys/box.keys"
	{
		echo "mode: inline"
		sed 's|keys: box.keys|keys: keys/box.keys|' "$topology_dir/keys/domain.yaml"
		echo "feeds: {pcapng: {path: $topology_dir/seen.pcapng}}"
	} | box_config
	box_start
}

teardown() {
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

run() { # LABEL KEYGEN-OPTIONS SEAL-OPTIONS OPEN-OPTIONS
	local label=$1 dir="" keygen seal open
	read -ra keygen <<<"$2"
	read -ra seal <<<"$3"
	read -ra open <<<"$4"
	setup "${keygen[@]}" || { not_ok "$label: keys and box"; return; }
	dir=$topology_dir
	python3 tests/net/capture.py "$dir/plain.pcap" "$count"
	check "$label: seal" endpoint -k "$dir/keys/client.keys" --state "$dir/state" --first-use \
		-f 192.0.2.1 -t 192.0.2.9 "${seal[@]}" "$dir/plain.pcap" "$dir/sealed.pcap"
	check "$label: the other host opens what it sealed" endpoint -k "$dir/keys/server.keys" -t 192.0.2.9 "${open[@]}" \
		--open "$dir/sealed.pcap" "$dir/back.pcap"
	check "$label: all arrive as they were sent" through "$dir/sealed.pcap"
	check "$label: all were opened" wait_for 5 test_count ok "$count"
	box_conserves "$label"
	check "$label: hooks and feeds saw the plaintext" wait_for 5 grep -qa "halfkey plaintext 99" "$dir/seen.pcapng"
	check "$label: another run goes on with fresh numbers" endpoint -k "$dir/keys/client.keys" --state "$dir/state" \
		-f 192.0.2.1 -t 192.0.2.9 "${seal[@]}" "$dir/plain.pcap" "$dir/again.pcap"
	check "$label: and all of it opens" through "$dir/again.pcap"
	check "$label: twice as many were opened" wait_for 5 test_count ok $((2 * count))
	check_equal "$label: no nonce came twice" 0 "$(box stats --json | jq '[.. | .nonce_repeats? // empty] | add // 0')"
	teardown
}
test_count() { [ "$(box_count "$1")" = "$2" ]; }

run "EESP, context, split" "-e eesp" "" ""
run "EESP, context, single, IP protocol" "-e eesp --profile single --protocol 253" "--protocol 253" "--protocol 253"
run "EESP, context, reader tag" "-e eesp --reader" "--reader --crypt-offset 5" ""
run "EESP, sub-SA, split" "-e eesp --sub-sa" "--sub-sa --spi 0x1000 --session 7" "--sub-sa --spi 0x1000"
run "WESP, context, split, IP protocol" "-e wesp" "--envelope wesp --protocol 141" "--envelope wesp"
run "WESP, context, single, UDP" "-e wesp --profile single" "--envelope wesp" "--envelope wesp"

# What shares UDP 4500 with EESP, and what EESP refuses
setup -e eesp
in_client python3 -c '
import socket
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for payload in (b"\xff", bytes(4) + bytes(30), bytes([0, 0, 0, 2]) + bytes(40), bytes([0x12, 0x34, 0x56, 0x78]) + bytes(60),
                bytes([0x80, 0, 0, 0, 0, 0, 1, 0]), bytes([0x88]) + bytes(40), bytes([0x81]) + bytes(40),
                bytes([0x80, 0, 0, 1, 0xc0, 0xff, 0xee, 1]) + bytes(60)):
    out.sendto(payload, ("192.0.2.9", 4500))'
check "a keepalive and IKE are control" wait_for 5 test_count ike 2
check "WESP and ESP are nobody's here" wait_for 5 test_count no-domain 2
check "EESP that is cut short" wait_for 5 test_count eesp-short 1
check "EESP of another version" wait_for 5 test_count eesp-version 1
check "EESP with reserved bits" wait_for 5 test_count eesp-reserved 1
check "EESP of an unknown SA" wait_for 5 test_count no-key 1
box_conserves "odd datagrams"
teardown
topology_up
test_end
