#!/bin/bash
# TLS 1.2 through the box: OpenSSL's client and server talk AES-GCM, the server's
# key log is the box's key file. What they say arrives whole, is opened in both
# directions as soon as the key is there, and is opened just as well when the
# segments come in another order and twice. Other versions pass and are counted.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
test_begin tls

suite=ECDHE-RSA-AES128-GCM-SHA256
if ! command -v openssl >/dev/null; then
	skip "all of it - no openssl"
	exit 0
fi

certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=server \
		-keyout "$topology_dir/server.key" -out "$topology_dir/server.pem" 2>/dev/null
}

config() {
	box_config <<-YAML
		mode: inline
		domains:
		  - name: web
		    envelope: tls
		    profile: single
		    receivers: ["192.0.2.1", "192.0.2.9"]
		    tls: {port: 8443, memory: 4MiB}
		    keys: keys.log
		feeds: {pcapng: {path: $topology_dir/$1.pcapng}}
	YAML
}

text() { # MARK KIBIBYTES: lines that can be found again
	yes "$1 $(printf 'x%.0s' {1..80})" | head -c "$(($2 * 1024))"
}

has() { [ "$(box_count "$1")" -ge "$2" ]; }
listens() { [ -n "$(in_server ss -Htln "sport = :8443")" ]; }

# connection VERSION-OPTION...: client.in goes to server.out, server.in to client.out
connection() {
	local dir=$topology_dir server client
	rm -f "$dir"/pipe.*
	mkfifo "$dir/pipe.client" "$dir/pipe.server"
	nsenter --net=/run/netns/"$topology_server" -- timeout 60 openssl s_server -quiet -naccept 1 -accept 8443 "$@" \
		-key "$dir/server.key" -cert "$dir/server.pem" -keylogfile "$dir/keys.log" \
		<"$dir/pipe.server" >"$dir/server.out" 2>"$dir/server.log" &
	server=$!
	exec 8>"$dir/pipe.server"
	wait_for 5 listens || return 1
	nsenter --net=/run/netns/"$topology_client" -- timeout 60 openssl s_client -quiet -ign_eof \
		-connect 192.0.2.9:8443 <"$dir/pipe.client" >"$dir/client.out" 2>"$dir/client.log" &
	client=$!
	exec 9>"$dir/pipe.client"
	wait_for 5 has tls-control 4 || return 1
	wait_for 5 grep -q "$wanted_label" "$dir/keys.log" || return 1
	[ "$reload" = no ] || box reload >/dev/null || return 1
	cat "$dir/client.in" >&9
	wait_for 20 cmp "$dir/client.in" "$dir/server.out" || return 1
	cat "$dir/server.in" >&8
	wait_for 20 cmp "$dir/server.in" "$dir/client.out" || return 1
	exec 8>&- 9>&-
	kill $client $server 2>/dev/null
	wait $client $server 2>/dev/null
	return 0
}

tls_12() {
	local dir=$topology_dir dump
	in_background "$topology_client" tcpdump -q -U -s 0 -i c0 -w "$dir/wire.pcap" tcp port 8443 2>/dev/null
	dump=$background
	sleep 0.5
	wanted_label=CLIENT_RANDOM reload=yes
	check "TLS 1.2: both directions arrive whole" connection -tls1_2 -cipher $suite
	check_equal "TLS 1.2: nothing was damaged" 0 "$(box_count bad-icv)"
	check_equal "TLS 1.2: no gap" 0 "$(box_count tls-gap)"
	check "TLS 1.2: records were opened" has ok 20
	check "TLS 1.2: before the key was there, records were counted without" has no-key 1
	box_conserves "TLS 1.2"
	topology_stop "$dump"
}

seen() { # FILE: both directions' text, all lines of it
	local mark
	for mark in client server; do
		[ "$(grep -aoc "said by the $mark" "$1")" -gt 100 ] || return 1
	done
}

other_version() {
	wanted_label=CLIENT_TRAFFIC_SECRET_0 reload=no
	check "TLS 1.3: both directions arrive whole" connection -tls1_3
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

topology_up 1
certificate
(umask 077 && : >"$topology_dir/keys.log")
text "said by the client" 300 >"$topology_dir/client.in"
text "said by the server" 700 >"$topology_dir/server.in"
config one
box_start
tls_12
other_version
box_stop
check "feeds saw what both sides said" seen "$topology_dir/one.pcapng"
"$O/halfkey" detach -i "$topology_instance" >/dev/null
config two
box_start
shuffled
test_end
