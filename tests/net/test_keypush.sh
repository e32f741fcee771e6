#!/bin/bash
# Everything from a key server: box, client and server start with certificates
# and no key. Traffic flows and is inspected; keys rotate under it; the key
# server is killed with -9 and comes back; nothing is lost, misread or repeated.
# shellcheck disable=SC2154,SC2086,SC2046,SC2034 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/keyserver.sh
test_begin keypush
topology_up 1
ks=$topology_dir
endpoint=$O/halfkey-endpoint
at=192.0.2.9:4780
chmod 711 "$topology_dir"

key_server() {
	in_background "$topology_server" "$endpoint" keyserver -c "$ks/keyserver.yaml" 2>>"$ks/keyserver.log"
	key_server_pid=$background
}
generations() { "$endpoint" keyserver -c "$ks/keyserver.yaml" --list | sed -n 's/.*generation \([0-9]*\) .*current.*/\1/p' | sort -n | head -n 1; }
reached() { [ "$(generations)" -ge "$1" ]; }

tunnel() { # WHERE CERT LOCAL PEER INNER INNER-PEER
	local log=$ks/$2.tunnel.log
	: >"$log"
	in_background "$1" "$endpoint" tunnel --server "$at" $(ks_files "$2") --local "$3" --peer "$4=$6" \
		--address "$5" --stats "$ks/$2.stats" 2>>"$log"
	wait_for 20 grep -q 'with SPI' "$log" || not_ok "tunnel $2 gets an SPI - $(tail -n 1 "$log")"
	wait_for 20 grep -q 'keys to receive' "$log" || not_ok "tunnel $2 gets keys - $(tail -n 1 "$log")"
}

ks_certs
ks_config "$at" "lifetime: 12s" "ahead: 3s" "grace: 4s"
key_server
box_config <<-YAML
	mode: inline
	domains:
	  - {name: sealed, envelope: psp, profile: split, receivers: ["192.0.2.1", "192.0.2.9"], keys: none.keys}
YAML
(umask 077; : >"$ks/none.keys")
box_start
in_background "$topology_server" "$O/halfkey" keys pull --server "$at" $(ks_files box) --into sealed \
	-s "$ks/control.sock" 2>>"$ks/pull.log"
has_keys() { [ "$(box keys list --json | jq length)" -ge 2 ]; }
check "the running box gets its keys, without a file" wait_for 10 has_keys

tunnel "$topology_client" client 192.0.2.1 192.0.2.9 10.9.0.1/24 10.9.0.9
tunnel "$topology_server" peer 192.0.2.9 192.0.2.1 10.9.0.9/24 10.9.0.1
check "traffic flows" pings client 10.9.0.9
opened=$(reason_count workers ok)
check "a megabyte arrives whole" bulk client server 10.9.0.9 1024
check_equal "and is opened by the box" yes "$([ "$(reason_count workers ok)" -gt $((opened + 500)) ] && echo yes)"

# --- rotation under traffic ---------------------------------------------------------------------

first=$(generations)
in_client ping -q -i 0.02 -c 1200 10.9.0.9 >"$ks/ping" 2>&1 &
pinging=$!
check "keys rotate by themselves" wait_for 30 reached $((first + 1))
"$endpoint" keyserver -c "$ks/keyserver.yaml" --rotate all
sleep 5
topology_stop "$key_server_pid"
key_server
sleep 1
kill -9 "$key_server_pid"
wait "$key_server_pid" 2>/dev/null
sleep 1
key_server
wait $pinging
check_equal "no packet of 1200 is lost over rotations and a kill -9" "1200 received, 0% packet loss" \
	"$(grep -o '[0-9]* received.*loss' "$ks/ping")"
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
