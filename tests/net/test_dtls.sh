#!/bin/bash
# DTLS records through the box: sealed by the end host, one and several in a
# datagram, in both profiles; the box sees the plaintext, forwards every byte as
# it came, counts what it cannot open, and the receiving host opens all of it.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
test_begin dtls

count=200
endpoint() { "$O/halfkey-endpoint" "$@"; }

setup() { # PROFILE
	topology_up 1
	endpoint keygen -e dtls -o "$topology_dir/keys" --profile "$1" --mkid 7 --peer client=192.0.2.1 \
		--peer server=192.0.2.9 >/dev/null || return 1
	{
		echo "mode: inline"
		sed 's|keys: box.keys|keys: keys/box.keys|' "$topology_dir/keys/domain.yaml"
		echo "feeds: {pcapng: {path: $topology_dir/seen.pcapng}}"
	} | box_config
	box_start
}

through() { # FILE: its payloads as datagrams from client to server; true when all arrive unchanged
	local receiver
	in_server timeout 200 python3 tests/net/dtls.py receive "$count" >"$topology_dir/got" &
	receiver=$!
	wait_for 5 udp_listens || return 1
	in_client python3 tests/net/dtls.py send "$1" 192.0.2.9 || return 1
	wait "$receiver"
	python3 tests/net/dtls.py hashes "$1" | cmp - "$topology_dir/got"
}
udp_listens() { [ -n "$(in_server ss -Hlun "sport = :4433")" ]; }


run() { # PROFILE RECORDS
	local label="$1, $2 to a datagram" dir="" before
	setup "$1" || { not_ok "$label: keys and box"; return; }
	dir=$topology_dir
	python3 tests/net/dtls.py make "$dir/plain.pcap" "$count" 192.0.2.1 192.0.2.9
	check "$label: seal" endpoint seal -e dtls -k "$dir/keys/client.keys" --records "$2" "$dir/plain.pcap" "$dir/sealed.pcap"
	check "$label: the host opens what it sealed" \
		endpoint open -e dtls -k "$dir/keys/server.keys" "$dir/sealed.pcap" "$dir/back.pcap"
	check_equal "$label: as it was" "$(python3 tests/net/dtls.py hashes "$dir/plain.pcap" | sha256sum)" \
		"$(python3 tests/net/dtls.py hashes "$dir/back.pcap" | sha256sum)"
	check "$label: all arrive as they were sent" through "$dir/sealed.pcap"
	check_count "$label: all were opened" "$count" box_count ok
	check_equal "$label: none is unlike a record" 0 "$(box_count malformed)"
	before=$(box_count dtls-no-cid)
	check_equal "$label: nothing without connection id yet" 0 "$before"
	in_client python3 -c '
import socket
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for record in (bytes([23, 254, 253]) + bytes(40), bytes([22, 254, 255]) + bytes(10), bytes([0x2f]) + bytes(30)):
    out.sendto(record, ("192.0.2.9", 4433))'
	check "$label: data without connection id is counted" wait_for 5 test_count dtls-no-cid 1
	check "$label: a handshake record is control" wait_for 5 test_count dtls-control 1
	check "$label: DTLS 1.3 is told apart" wait_for 5 test_count dtls-13 1
	box_conserves "$label"
	box_stop
	check "$label: hooks and feeds saw the plaintext" grep -qa "halfkey plaintext 0199" "$dir/seen.pcapng"
	"$O/halfkey" open -c "$dir/halfkey.yaml" -w "$dir/offline.pcap" "$dir/sealed.pcap" >"$dir/offline.log" 2>&1
	check "$label: \`halfkey open\` opens the capture" grep -qa "halfkey plaintext 0199" "$dir/offline.pcap"
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}
test_count() { [ "$(box_count "$1")" = "$2" ]; }

run split 1
run single 1
run single 2 # whole words of the plaintext stay in one payload
topology_up
test_end
