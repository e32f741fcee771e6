#!/bin/bash
# Everything from a key server: box, client and server start with certificates
# and no key. Traffic flows and is inspected; keys rotate under it; the key
# server is killed with -9 and comes back; nothing is lost, misread or repeated.
# shellcheck disable=SC2154,SC2086,SC2046,SC2034 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/keyserver.sh
test_begin keypush
ks_topology

generations() { "$endpoint" keyserver -c "$ks/keyserver.yaml" --list | sed -n 's/.*generation \([0-9]*\) .*current.*/\1/p' | sort -n | head -n 1; }
reached() { [ "$(generations)" -ge "$1" ]; }

ks_config "$at" "lifetime: 14s" "ahead: 3s" "grace: 10s" "delegation: 1h" # the server may be away for long
ks_server
ks_box "envelope: psp, profile: split"
check "the running box gets its keys, without a file" box_has_keys
ks_tunnels
check "traffic flows" pings client 10.9.0.9
opened=$(reason_count workers ok)
check "a megabyte arrives whole" bulk client server 10.9.0.9 1024
check_equal "and is opened by the box" yes "$([ "$(reason_count workers ok)" -gt $((opened + 500)) ] && echo yes)"

# --- rotation under traffic ---------------------------------------------------------------------

first=$(generations)
echo_begin "$ks/ping" 0.02
check "keys rotate by themselves" wait_for 30 reached $((first + 1))
second=$(generations)
"$endpoint" keyserver -c "$ks/keyserver.yaml" --rotate all
check "and when they are told to" wait_for 30 reached $((second + 1))
check "both ends have heard of both" wait_for 15 ks_spis 3
topology_stop "$key_server_pid"
ks_server
third=$(generations)
kill -9 "$key_server_pid"
wait "$key_server_pid" 2>/dev/null
ks_server
check "and when the key server is back" wait_for 60 reached $((third + 1))
echo_end
check "no packet is lost over rotations and a kill -9" none_lost "$ks/ping"
check "and later ones work" pings client 10.9.0.9
check_equal "no SPI was used twice" "" "$(sed -n 's/.*: to \(.*\) with SPI \(.*\)/\1 \2/p' "$ks"/*.tunnel.log | sort | uniq -d)"
check_equal "more than one was" yes "$([ "$(grep -c 'with SPI' "$ks/client.tunnel.log")" -gt 2 ] && echo yes)"
for reason in no-key stale-key implausible; do
	check_equal "the box counts no $reason" 0 "$(reason_count workers $reason)"
done
in_server "$endpoint" keys --server "$at" $(ks_files client) 2>/dev/null | sed -n 's/.*key=\([0-9a-f]*\).*/\1/p' >"$ks/keys"
check_equal "there are keys to look for" yes "$([ -s "$ks/keys" ] && echo yes)"
check_equal "no key is in a log" 0 "$(cat "$ks"/*.log "$ks"/*.tunnel.log | grep -cFf "$ks/keys")"
box_conserves "after rotations"
test_end
