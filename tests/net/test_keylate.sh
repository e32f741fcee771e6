#!/bin/bash
# Tunnels that start while their key server is away: both ends say so once, and in
# their statistics, send nothing, and are at work when it comes. Then it is killed
# and started anew under TCP and UDP, which lose nothing.
# shellcheck disable=SC2154,SC2046,SC2086,SC2034 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/keyserver.sh
test_begin keylate
ks_topology
ks_config "$at"

tunnel() { # WHERE CERT LOCAL PEER INNER FAR: its pid in $background
	in_background "$1" "$endpoint" tunnel --server "$at" --state "$ks/$2.state" $(ks_files "$2") --local "$3" --peer "$4=$6" \
		--address "$5/24" --stats "$ks/$2.stats" 2>"$ks/$2.log"
}
of() { jq -c "$2" "$ks/$1.stats" 2>/dev/null; } # CERT FILTER
is() { [ "$(of "$1" "$2")" = "$3" ]; }
lines() { grep -c "$2" "$ks/$1.log"; }
unsent() { # CERT: it was asked to send and had no key
	kill -USR1 "$2"
	[ "$(of "$1" '.unsent["no-key"]')" -gt 3 ]
}

# --- before the key server is there ---------------------------------------------------------------------

box_config <<-YAML
	mode: inline
	domains:
	  - {name: sealed, envelope: psp, profile: split, receivers: ["192.0.2.1", "192.0.2.9"]}
YAML
box_start
ks_pull --into sealed

tunnel "$topology_client" client 192.0.2.1 192.0.2.9 10.9.0.1 10.9.0.9
client_pid=$background
tunnel "$topology_server" peer 192.0.2.9 192.0.2.1 10.9.0.9 10.9.0.1
peer_pid=$background
for end in client peer; do
	check "$end: its statistics say that the server is away" wait_for 10 is "$end" '[.server.connected, .server["key-sets"], .server["peers-without-key"]]' '[false,0,1]'
	check "$end: and why" wait_for 5 is "$end" '.server.error | startswith("server 192.0.2.9, port 4780: ")' true
done
wait_for 10 in_client ip link show hk0 >/dev/null
in_background "$topology_client" ping -q -i 0.2 10.9.0.9 >/dev/null
ping_pid=$background
check "what cannot be sealed is counted" wait_for 10 unsent client "$client_pid"
check_equal "and none of it is sent" 0 "$(of client .sealed.packets)"
tries() { [ "$(in_server sh -c 'awk "/TcpExt|Tcp:/ {print}" /proc/net/snmp' | awk '/^Tcp: [0-9]/ {print $15}')" -ge "$1" ]; }
check "meanwhile they try again and again" wait_for 20 tries 8
for end in client peer; do
	check_equal "$end: says in one line that it has no keys" "1 1" "$(lines "$end" 'no keys came from it yet: trying again until it answers') $(lines "$end" 'trying again')"
done

# --- it comes -------------------------------------------------------------------------------------------

ks_server
check "with it the tunnel works" wait_for 15 in_client ping -q -c 1 -W 1 10.9.0.9
for end in client peer; do
	check "$end: its statistics say so" wait_for 10 is "$end" '[.server.connected, .server["key-sets"] > 0, .server["peers-without-key"], .server.error]' '[true,true,0,""]'
	check_equal "$end: and one line" 1 "$(lines "$end" ': connected$')"
done
topology_stop "$ping_pid"

# --- killed under traffic -------------------------------------------------------------------------------

sealing=$(grep -o 'with SPI .*' "$ks/client.log" | tail -n 1)
ks_receive tcp 7001 1500
tcp=$receiver
ks_receive udp 7002 1500
udp=$receiver
in_client python3 tests/net/seq.py send tcp 10.9.0.9 7001 1500 100 &
in_client python3 tests/net/seq.py send udp 10.9.0.9 7002 1500 100 &
kill -KILL "$key_server_pid"
check "the client notices" wait_for 20 is client .server.connected false
check "and goes on" echoes client 10.9.0.9 1
ks_server
for end in client peer; do
	check "$end: is back at the server" wait_for 20 is "$end" '[.server.connected, .server["peers-without-key"]]' '[true,0]'
	check "$end: says so" wait_for 5 grep -q 'the keys at hand stay in use' "$ks/$end.log"
	check_equal "$end: and that it is back" 1 "$(lines "$end" 'connected again')"
done
wait $tcp $udp
check_equal "TCP lost nothing, changed nothing" "1500 0" "$(cat "$ks/tcp.received")"
check_equal "nor did UDP" "1500 0" "$(cat "$ks/udp.received")"
check_equal "under the SPI that it had" "$sealing" "$(grep -o 'with SPI .*' "$ks/client.log" | tail -n 1)"
topology_stop "$client_pid" "$peer_pid" "$key_server_pid" "$pull_pid"
box_conserves "at the end"
test_end
