#!/bin/bash
# A tunnel whose keys end while it runs: it refuses what still comes under them,
# seals nothing any more and says what to do; with keys whose time it is it goes on.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin hostends
topology_up 1
sealed_keys
keys=$topology_dir/keys
stats=$topology_dir/client.stats
{ echo "mode: inline"; sealed_domains; } | box_config
box_start
sealed_tunnel "$topology_client" client --stats "$stats"
client_pid=$background
sealed_tunnel "$topology_server" server
check "the tunnel works" wait_for 10 pings client 10.9.0.9

# becomes FILE WORDS: the client's keys from now on, which it takes
becomes() {
	: >"$topology_dir/client.tunnel.log"
	mv "$1" "$keys/client.keys"
	kill -HUP "$client_pid"
	wait_for 10 grep -q "$2" "$topology_dir/client.tunnel.log"
}
log_says() { grep -q "$1" "$topology_dir/client.tunnel.log"; }
above() { # FILTER NUMBER: the client's statistics, made anew
	kill -USR1 "$client_pid"
	[ "$(jq "$1" "$stats" 2>/dev/null || echo 0)" -gt "$2" ]
}

cp -p "$keys/client.keys" "$keys/unbound.keys"
# keys that end soon, and as much later as it takes to be there in time: past ones are refused
end_soon() {
	local after
	for after in 10 30 100; do
		cp -p "$keys/unbound.keys" "$keys/bound.keys"
		sed -i "/^receiver=/s/\$/ not-after=$(($(date +%s) + after))/" "$keys/bound.keys"
		becomes "$keys/bound.keys" reloaded && log_says ': reloaded' && return
	done
	return 1
}
check "its keys get an end" end_soon
in_background "$topology_client" ping -q -i 0.2 10.9.0.9 >/dev/null
pings=$background
in_background "$topology_server" ping -q -i 0.2 10.9.0.1 >/dev/null
pongs=$background
check "which stops what it sends" wait_for 30 above '.unsent["key-expired"]' 3
check "and what it takes" wait_for 30 above '.refused["key-expired"]' 3
check "it says so" wait_for 5 log_says 'the time of SPI 0x[0-9a-f]* to 192.0.2.9 is over (not-after): nothing is sent there until there are new keys'
check_equal "once for each SPI" "" "$(grep -o 'SPI 0x[0-9a-f]* .* is over' "$topology_dir/client.tunnel.log" | sort | uniq -d)"
check_equal "nothing else is wrong" "0 0" "$(jq -r '"\(.unsent["spi-used-up"]) \(.refused["no-key"])"' "$stats")"
topology_stop "$pings" "$pongs"
check "with keys whose time it is" becomes "$keys/unbound.keys" ': reloaded'
check "it works again" wait_for 10 pings client 10.9.0.9
sealed_down
box_conserves "at the end"
test_end
