#!/bin/bash
# What the data path makes of a key server: TCP and UDP payloads through tunnels
# whose keys rotate under them, while the key server is away, and after a tunnel
# was started anew; and Wireshark's own dissector, with the rows that the key
# server prints, opens real tunnel traffic of every suite of stock IPsec stacks.
# shellcheck disable=SC2154,SC2086,SC2046,SC2034 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/keyserver.sh
test_begin keytunnel
ks_topology

box_down() {
	topology_stop "$pull_pid"
	box_stop
	box_pid=
	"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
}
current() { "$endpoint" keyserver -c "$ks/keyserver.yaml" --list --json | jq "[.[] | select(.state == \"current\" and .host == \"server\") | .generation][0]"; }
newer() { [ "$(current)" -gt "$1" ]; }

# --- TCP and UDP over rotations and an outage --------------------------------------------------------------

ks_config "$at" "lifetime: 11s" "ahead: 2s" "grace: 8s" "delegation: 1h"
ks_server
ks_box "envelope: psp, profile: split"
ks_tunnels
ks_receive tcp 7001 5000
tcp=$receiver
ks_receive udp 7002 5000
udp=$receiver
in_client python3 tests/net/seq.py send tcp 10.9.0.9 7001 5000 100 &
in_client python3 tests/net/seq.py send udp 10.9.0.9 7002 5000 100 &
first=$(current)
check "keys rotate under them" wait_for 15 newer "$first"
# who had not heard of it would go on with keys that end with their grace
check "both ends seal with the next ones" wait_for 15 ks_spis 2
topology_stop "$key_server_pid" # away for longer than a generation lives
sleep 13
second=$(current)
ks_server
check "and again when the key server is back" wait_for 15 newer "$second"
wait $tcp $udp
check_equal "TCP lost nothing, changed nothing" "5000 0" "$(cat "$ks/tcp.received")"
check_equal "nor did UDP" "5000 0" "$(cat "$ks/udp.received")"
for reason in no-key stale-key implausible key-expired; do
	check_equal "the box counts no $reason" 0 "$(reason_count workers $reason)"
done

# --- a tunnel that starts anew ------------------------------------------------------------------------------

cat "$ks"/*.tunnel.log >"$ks/all.log"
topology_stop "$client_pid"
ks_tunnel "$topology_client" client 192.0.2.1 192.0.2.9 10.9.0.1 10.9.0.9
client_pid=$tunnel_pid
cat "$ks/client.tunnel.log" >>"$ks/all.log"
check "a tunnel that starts anew is at work with the first packet" echoes client 10.9.0.9 1
check_equal "no SPI was used twice" "" "$(sed -n 's/.*: to \(.*\) with SPI \(.*\)/\1 \2/p' "$ks/all.log" | sort | uniq -d)"
topology_stop "$client_pid" "$peer_pid" "$key_server_pid"
box_conserves "after rotations, an outage and a new start"
box_down

# --- Wireshark opens it ---------------------------------------------------------------------------------------

rows() { # the table, both directions, as tshark's options
	local row
	while IFS= read -r row; do printf '%s\0' -o "uat:esp_sa:$row"; done < <(
		in_server "$endpoint" keys --server "$at" $(ks_files peer) --inbound --format wireshark
		in_client "$endpoint" keys --server "$at" $(ks_files client) --inbound --format wireshark
	)
}
dissect() { # FILTER FIELD
	tshark -r "$ks/wire.pcap" -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE "${table[@]}" \
		-Y "$1" -T fields -E occurrence=l -e "$2" 2>/dev/null
}
captures() { in_client ping -q -c 1 -W 1 10.9.0.9 && [ "$(stat -c %s "$ks/wire.pcap")" -gt 100 ]; }
captured() { [ "$(tcpdump -r "$ks/wire.pcap" 2>/dev/null | wc -l)" -gt 200 ]; }
one() { # SUITE PROFILE
	local suite=$1 sealed
	rm -rf "$ks/state"
	ks_config "$at" "envelope: esp" "suite: $suite" "profile: $2" "lifetime: 1h" "ahead: 1m" "grace: 1m"
	ks_server
	ks_box "envelope: esp, suite: $suite, profile: $2, mkid: 1"
	ks_tunnels --envelope esp --suite "$suite"
	in_background "$topology_client" tcpdump --immediate-mode -U -s 2000 -B 16384 -i c0 -w "$ks/wire.pcap" 'udp port 4500' 2>"$ks/tcpdump.log"
	wait_for 10 captures || not_ok "$suite: tcpdump captures - $(tail -n 1 "$ks/tcpdump.log")"
	ks_receive udp 7003 50
	in_client python3 tests/net/seq.py send udp 10.9.0.9 7003 50 200
	wait $receiver
	check_equal "$suite: UDP through the tunnel" "50 0" "$(cat "$ks/udp.received")"
	check "$suite: TCP through the tunnel" bulk client server 10.9.0.9 256
	wait_for 10 captured
	topology_stop "$background"
	if command -v tshark >/dev/null; then
		mapfile -d '' -t table < <(rows)
		sealed=$(dissect esp esp.spi | wc -l)
		check_equal "$suite: rows for both directions" yes "$([ ${#table[@]} -ge 4 ] && echo yes)"
		check_equal "$suite: tshark finds every ICV of $sealed packets good" "$sealed" "$(dissect 'esp.icv_good == 1' esp.spi | wc -l)"
		check_equal "$suite: and opens every one of them" "$sealed" "$(dissect 'esp && ip.addr == 10.9.0.9' esp.spi | wc -l)"
		check_equal "$suite: the datagrams are what was sent" 50 "$(dissect 'udp.dstport == 7003' udp.payload | cut -c1-8 | sort -u | wc -l)"
		check_equal "$suite: and not a handful" yes "$([ "$sealed" -gt 200 ] && echo yes)"
	else
		skip "$suite: tshark opens it - tshark is not installed"
	fi
	check_equal "$suite: the box opened them, too" yes "$([ "$(reason_count workers ok)" -gt 100 ] && echo yes)"
	topology_stop "$client_pid" "$peer_pid" "$key_server_pid"
	box_down
}
one ctr-hmac split
one cbc-hmac split
one gcm single
test_end
