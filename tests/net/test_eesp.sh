#!/bin/bash
# EESP and WESP through the box: sealed by the end host in every form, over UDP
# 4500 and as IP protocols; the box opens them, forwards every byte as it came,
# tells what shares UDP 4500 apart, and the receiving host opens all of it. Then
# TCP through tunnels of both, restarted, and their keys rotated while it runs.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin eesp

count=100
endpoint() { "$O/halfkey-endpoint" "$@"; }

# Arrives at the server what the client sends, byte for byte?
through() { # FILE
	local receiver
	: >"$topology_dir/receiver" # what the run before said is not this one's
	in_server timeout 200 python3 tests/net/frames.py receive s0 "$count" >"$topology_dir/got" 2>"$topology_dir/receiver" &
	receiver=$!
	wait_for 5 grep -q ready "$topology_dir/receiver" || return 1
	in_client python3 tests/net/frames.py send c0 "$1" || return 1
	wait "$receiver"
	python3 tests/net/frames.py hashes "$1" | cmp - "$topology_dir/got"
}

setup() { # KEYGEN-OPTION...
	topology_up 1
	sealed_keys "$@" || return 1
	[ ! -e "$topology_dir/keys/readers.keys" ] || cat "$topology_dir/keys/readers.keys" >>"$topology_dir/keys/box.keys"
	{
		echo "mode: inline"
		sealed_domains
		echo "feeds: {pcapng: {path: $topology_dir/seen.pcapng}}"
	} | box_config
	box_start
}

teardown() {
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

run() { # LABEL ENVELOPE KEYGEN-OPTIONS SEAL-OPTIONS OPEN-OPTIONS
	local label=$1 name=$2 dir="" keygen seal open
	read -ra keygen <<<"$3"
	read -ra seal <<<"$4"
	read -ra open <<<"$5"
	setup -e "$name" "${keygen[@]}" || { not_ok "$label: keys and box"; return; }
	dir=$topology_dir
	seal=(seal -e "$name" -k "$dir/keys/client.keys" --state "$dir/state" -f 192.0.2.1 -t 192.0.2.9 "${seal[@]}")
	python3 tests/net/capture.py "$dir/plain.pcap" "$count"
	check "$label: seal" endpoint "${seal[@]}" --first-use "$dir/plain.pcap" "$dir/sealed.pcap"
	check "$label: the host opens what it sealed" endpoint open -e "$name" -k "$dir/keys/server.keys" -t 192.0.2.9 "${open[@]}" \
		"$dir/sealed.pcap" "$dir/back.pcap"
	check "$label: all arrive as they were sent" through "$dir/sealed.pcap"
	check "$label: all were opened" wait_for 5 test_count ok "$count"
	box_conserves "$label"
	check "$label: hooks and feeds saw the plaintext" wait_for 5 grep -qa "halfkey plaintext 99" "$dir/seen.pcapng"
	check "$label: another run goes on with fresh numbers" endpoint "${seal[@]}" "$dir/plain.pcap" "$dir/again.pcap"
	check "$label: and all of it opens" through "$dir/again.pcap"
	check "$label: twice as many were opened" wait_for 5 test_count ok $((2 * count))
	check_equal "$label: no nonce came twice" 0 "$(box stats --json | jq '[.. | .nonce_repeats? // empty] | add // 0')"
	teardown
}

# tunnels LABEL KEYGEN-OPTION... [-- TUNNEL-OPTION...]: TCP both ways with the box between, and restarts
tunnels() {
	local label=$1 keygen=() before
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do keygen+=("$1"); shift; done
	[ $# -gt 0 ] && shift
	setup "${keygen[@]}" || { not_ok "$label: keys and box"; return; }
	sealed_tunnel "$topology_client" client --stats "$topology_dir/client.json" "$@" &&
		sealed_tunnel "$topology_server" server --stats "$topology_dir/server.json" "$@" || return
	check "$label: TCP" bulk client server 10.9.0.9 512
	check "$label: TCP back, IPv6 inside" bulk server client fd09::1 512
	before=$(box_count ok)
	check "$label: the box opened it" [ "$before" -gt 700 ]
	check "$label: and all that was sealed" wait_for 3 all_opened
	sealed_down
	check_equal "$label: neither end refused anything" "0 0" "$(jq '[.refused[]] | add' "$topology_dir"/{client,server}.json | xargs)"
	check_equal "$label: --first-use a second time is refused" 1 "$(in_client timeout 100 "$O/halfkey-endpoint" tunnel \
		-c "$topology_dir/keys/client.tunnel.yaml" --state "$topology_dir/keys/client.state" --first-use "$@" 2>&1 |
		grep -c "no first use")"
	again client "$@" && again server "$@"
	check "$label: after a restart of both ends" pings client 10.9.0.9
	check_equal "$label: no nonce came twice" 0 "$(box stats --json | jq '[.. | .nonce_repeats? // empty] | add // 0')"
	rotate "$label" "${keygen[@]}"
	box_conserves "$label"
	sealed_down
	teardown
}

again() { # NAME TUNNEL-OPTION...: without --first-use
	local name=$1 log=$topology_dir/$1.tunnel.log where=$topology_client
	shift
	[ "$name" = server ] && where=$topology_server
	: >"$log"
	in_background "$where" "$O/halfkey-endpoint" tunnel -c "$topology_dir/keys/$name.tunnel.yaml" \
		--state "$topology_dir/keys/$name.state" "$@" 2>>"$log"
	wait_for 10 grep -q ' ready ' "$log" || { not_ok "tunnel $name starts again - $(tail -n 1 "$log")"; return 1; }
	sealed_pids+=("$background")
}

# The steps of keygen --next: box, receivers, senders; each tunnel reads its new file on SIGHUP.
rotate() {
	local label=$1 step name lines
	shift
	endpoint keygen -o "$topology_dir/next" --next "$topology_dir/keys" >/dev/null ||
		{ not_ok "$label: the next keys"; return; }
	echo_begin "$topology_dir/ping" 0.01
	check "$label: the box takes the next keys" box keys rotate tunnel 3600 "$topology_dir/next/box.keys"
	for step in .accept .change ""; do
		for name in 0:client 1:server; do
			cat "$topology_dir/next/${name#*:}$step.keys" >"$topology_dir/keys/${name#*:}.keys"
			lines=$(grep -c reloaded "$topology_dir/${name#*:}.tunnel.log")
			in_box "$O/halfkey-endpoint" tunnel --first-use --prepare -c "$topology_dir/keys/${name#*:}.tunnel.yaml" \
				--state "$topology_dir/keys/${name#*:}.state" >/dev/null 2>&1 # nothing to make, but for sub-SAs
			kill -HUP "${sealed_pids[${name%:*}]}"
			wait_for 10 eval "[ \"\$(grep -c ': reloaded' '$topology_dir/${name#*:}.tunnel.log')\" -gt $lines ]" ||
				not_ok "$label: ${name#*:} reloads$step - $(tail -n 1 "$topology_dir/${name#*:}.tunnel.log")"
		done
	done
	check "$label: packets pass with the next keys" pings client 10.9.0.9
	echo_end
	check "$label: no packet is lost over a rotation" none_lost "$topology_dir/ping"
	check "$label: the box opened all of it" wait_for 3 all_opened
}

test_count() { [ "$(box_count "$1")" = "$2" ]; }

run "EESP, context, split" eesp "" "" ""
run "EESP, context, single, IP protocol" eesp "--profile single --protocol 253" "--protocol 253" "--protocol 253"
run "EESP, context, reader tag" eesp "--reader" "--reader --crypt-offset 5" ""
run "EESP, sub-SA, split" eesp "--sub-sa" "--session 7" ""
run "WESP, context, split, IP protocol" wesp "" "--protocol 141" "--protocol 141"
run "WESP, context, single, UDP" wesp "--profile single" "" ""
tunnels "EESP tunnel" -e eesp
tunnels "EESP tunnel, single, IP protocol" -e eesp --profile single --protocol 253 -- --protocol 253
tunnels "EESP tunnel, sub-SA" -e eesp --sub-sa
tunnels "EESP tunnel, reader tag" -e eesp --reader -- --reader
tunnels "WESP tunnel" -e wesp
tunnels "WESP tunnel, IP protocol" -e wesp -- --protocol 141

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
