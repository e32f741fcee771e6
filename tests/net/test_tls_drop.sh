#!/bin/bash
# A hook drops what a TLS connection says: in mid-stream the rest of that direction
# stays dropped, however often TCP sends it again, and the other direction goes on
# by policy. The next connection is looked at afresh.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/tls.sh
tls_begin tls_drop

config() {
	cat >"$topology_dir/local.rules" <<-'RULES'
		drop tcp any any -> any 8443 (msg:"not to the server"; content:"forbidden fruit"; sid:1000001; rev:1;)
		alert tcp any 8443 -> any any (msg:"from the server"; content:"windfall"; sid:1000002; rev:1;)
	RULES
	cat >"$topology_dir/firewall.yaml" <<-'YAML'
		default: accept
		rules:
		  - {name: no-443, match: {protocol: tcp, destination-port: 443}, action: drop}
	YAML
	box_config <<-YAML
		mode: inline
		$(tls_domain)
		hooks:
		  - {use: signatures, rules: local.rules}
		  - {use: firewall, rules: firewall.yaml}
		feeds: {eve: {path: $topology_dir/eve.json}}
	YAML
}

# of one moment: TCP goes on sending
all_dropped() { box stats --json | jq -r '.workers.reasons | "\(.["hook-drop"].dropped) \(.["flow-drop"].dropped == .["flow-drop"].packets)"'; }
connections_are() { [ "$(box keys list --json | jq length)" -eq "$1" ]; }
arrived() { grep -aq "$1" "$topology_dir/$2.out"; }
not_arrived() { ! arrived "$@"; }
eve() { jq -r "$@" "$topology_dir/eve.json"; }
eve_has() { [ -n "$(eve "select($1) | .event_type" | head -n 1)" ]; }

signature() {
	local again
	tls_connect "signature: a connection comes about" 8443 "$topology_dir/keys.log"
	check "signature: its key is there" wait_for 5 connections_are 1
	check "signature: what is allowed arrives" tls_tell client "said by the client" 20
	tls_say client "a forbidden fruit" 1
	check "signature: what is not is dropped" has hook-drop 1
	check "signature: TCP sends it again, and it is dropped again" has flow-drop 3
	check "signature: it does not arrive" not_arrived "forbidden fruit" server
	check "signature: the server still says what it has to say" tls_tell server "some windfall" 40
	check "signature: which is inspected as before" wait_for 5 eve_has '.alert.signature_id == 1000002'
	tls_say client "harmless by itself" 1
	again=$(box_count flow-drop)
	check "signature: the client's rest is dropped as well" has flow-drop $((again + 1))
	check "signature: and does not arrive" not_arrived "harmless" server
	check_equal "signature: one drop of the hook, all others by the flow" "1 true" \
		"$(all_dropped)"
	check_equal "signature: counted where the hook is" 1 "$(box stats --json | jq '.hooks[0].drops')"
	tls_down
	box_conserves "signature"
}

records() {
	local why
	wait_for 5 eve_has '.event_type == "drop" and .drop.reason == "flow-drop"'
	why=$(eve -c 'select(.event_type == "drop") | [.drop.reason, .hook.name, .proto, .dest_port, .tunnel.envelope, .tunnel.inner]' | sort -u)
	check_equal "EVE: the hook's drop and the flow's" \
		'["flow-drop",null,"TCP",8443,"tls",null] ["hook-drop","signatures","TCP",8443,"tls","not-ip"]' "$(echo "$why" | tr '\n' ' ' | sed 's/ $//')"
	check_equal "EVE: an alert on application data between the two ends" "192.0.2.9 8443 192.0.2.1 TCP TLS 1.2 tls TCP authenticated" \
		"$(eve 'select(.alert.signature_id == 1000002) | [.src_ip, .src_port, .dest_ip, .proto, .tls.version, .tunnel.envelope, .tunnel.proto, .tunnel.auth] | join(" ")' | head -n 1)"
	check_equal "EVE: no SPI where there is none" "" "$(eve 'select(.tunnel.envelope == "tls" and .tunnel.spi) | .event_type' | head -n 1)"
}

fresh() {
	tls_connect "afresh: the next connection comes about" 8443 "$topology_dir/keys.log"
	check "afresh: its key is there" wait_for 5 connections_are 2
	check "afresh: what it says arrives" tls_tell client "said by the next client" 20
	tls_down
	box_conserves "afresh"
}

firewall() {
	local before
	before=$(box_count hook-drop)
	tls_connect "firewall: a connection comes about, in the clear so far" 443 "$topology_dir/keys.log"
	check "firewall: its key is there" wait_for 5 connections_are 3
	tls_say client "to a port that is closed" 1
	check "firewall: the first data is dropped" has hook-drop $((before + 1))
	check "firewall: and does not arrive" not_arrived "a port that is closed" server
	check "firewall: the server's data does" tls_tell server "from a port that is closed" 20
	tls_down
	box_conserves "firewall"
}

tls_topology
config
box_start
signature
records
fresh
firewall
test_end
