#!/bin/bash
# The feeds of a running box: what it opened comes out as EVE JSON, on the
# mirror interface and as pcapng; log rotation, a crash and a full disk cost
# what they must and no more.
# shellcheck disable=SC2154 # what lib.sh sets
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin feeds

configuration() {
	echo "mode: inline"
	sealed_domains
	cat <<-YAML
		hooks:
		  - {use: firewall, rules: firewall.yaml}
		  - {use: signatures, rules: local.rules}
		feeds:
		  eve: {path: $topology_dir/out/eve.json, stats-interval: 1}
		  mirror: {tap: insp0}
		  pcapng: {path: $topology_dir/out/opened.pcapng}
	YAML
}

settings() {
	mkdir "$topology_dir/out"
	cat >"$topology_dir/firewall.yaml" <<-YAML
		default: accept
		rules:
		  - {name: no-9999, match: {protocol: udp, destination-port: "9999"}, action: drop, log: yes}
	YAML
	cat >"$topology_dir/local.rules" <<-RULES
		alert tcp any any -> any 80 (msg:"secret plans"; content:"/secret-plans"; sid:1000001; rev:4; priority:2;)
	RULES
}

eve() { jq -c "$@" "$topology_dir/out/eve.json"; }
eve_has() { [ -n "$(eve "select($1)" | head -n 1)" ]; }

serve() { # an HTTP server on the server's inner address
	mkdir "$topology_dir/www"
	echo "the moon base" >"$topology_dir/www/secret-plans"
	in_background "$topology_server" python3 -m http.server --bind 10.9.0.9 --directory "$topology_dir/www" 80 \
		>"$topology_dir/http.log" 2>&1
	wait_for 10 listens server 80
}
request() { in_client curl -sf --max-time 60 "http://10.9.0.9$1"; }

alerts() {
	check "alerts: a request arrives" request /secret-plans
	check "EVE: the alert" wait_for 10 eve_has '.event_type == "alert" and .alert.signature_id == 1000001'
	check_equal "EVE: inner addresses outside, outer ones in the tunnel" \
		"10.9.0.1 10.9.0.9 80 TCP 192.0.2.1 192.0.2.9 psp unauthenticated" \
		"$(eve -r 'select(.alert.signature_id == 1000001)
			| [.src_ip, .dest_ip, .dest_port, .proto, .tunnel.src_ip, .tunnel.dest_ip, .tunnel.envelope, .tunnel.auth]
			| join(" ")' | head -n 1)"
	check_equal "EVE: signature, revision, severity, port" "secret plans 4 2 box-c" \
		"$(eve -r 'select(.alert.signature_id == 1000001) | "\(.alert.signature) \(.alert.rev) \(.alert.severity) \(.in_iface)"' | head -n 1)"
}

drops() {
	in_client sh -c 'echo nothing | socat -u - UDP4-SENDTO:10.9.0.9:9999'
	check "EVE: the drop" wait_for 10 eve_has '.event_type == "drop" and .dest_port == 9999'
	check_equal "EVE: why, by whom, how long" "hook-drop firewall 36" \
		"$(eve -r 'select(.event_type == "drop") | "\(.drop.reason) \(.hook.name) \(.drop.len)"' | head -n 1)"
	check "EVE: the firewall's log line" wait_for 10 eve_has '.event_type == "alert" and .dest_port == 9999'
}

stats() {
	check "EVE: stats" wait_for 10 eve_has '.event_type == "stats" and .stats.workers.received > 0'
	check_equal "every line is JSON of a known kind" "" \
		"$(eve -r .event_type | grep -vE '^(alert|flow|drop|anomaly|stats)$')"
}

mirrored() {
	in_background "$topology_box" tcpdump -Z root --immediate-mode -i insp0 -nn -U \
		-w "$topology_dir/mirror.pcap" 2>"$topology_dir/tcpdump.log"
	local tcpdump=$background
	wait_for 10 grep -q 'listening on' "$topology_dir/tcpdump.log"
	check "mirror: a request arrives" request /secret-plans
	wait_for 10 shows mirror.pcap 'GET /secret-plans' && wait_for 10 shows mirror.pcap 'the moon base'
	topology_stop "$tcpdump"
	check "the mirror shows the request" grep -qa 'GET /secret-plans' "$topology_dir/mirror.pcap"
	check "the mirror shows the answer" grep -qa 'the moon base' "$topology_dir/mirror.pcap"
	check_equal "the two directions have their own addresses" \
		"02:48:4b:00:00:00 10.9.0.1 02:48:4b:00:00:01 10.9.0.9" \
		"$(tshark -r "$topology_dir/mirror.pcap" -Y tcp -T fields -e eth.src -e ip.src 2>/dev/null | sort -u | xargs)"
}

shows() { grep -qa "$2" "$topology_dir/$1"; }

recorded() {
	check "pcapng shows the request" wait_for 5 shows out/opened.pcapng 'GET /secret-plans'
	check_equal "pcapng tells the ports" "box-c box-s" \
		"$(tshark -r "$topology_dir/out/opened.pcapng" -T fields -e frame.interface_name 2>/dev/null | sort -u | xargs)"
}

rotates() {
	local before
	mv "$topology_dir/out/eve.json" "$topology_dir/out/eve.json.1"
	kill -HUP "$box_pid"
	check "rotation: a new file after SIGHUP" wait_for 10 eve_has '.event_type == "stats"'
	before=$(wc -l <"$topology_dir/out/eve.json.1")
	check "rotation: a request arrives" request /secret-plans
	check "rotation: alerts go to the new file" wait_for 10 eve_has '.event_type == "alert"'
	check_equal "rotation: the old file rests" "$before" "$(wc -l <"$topology_dir/out/eve.json.1")"
	check_equal "rotation: the mirror stays" 1 "$(in_box ip -o link show dev insp0 | wc -l)"
}

more_alerts() { [ "$(eve 'select(.event_type == "alert")' | wc -l)" -gt "$1" ]; }
inspector() { box status --json | jq .processes.inspector; }
inspects_again() { [ "$(inspector)" != "$1" ] && box_ready; }

survives() { # the inspector is killed: the starter's descriptors serve the next one
	local old lines
	old=$(inspector)
	kill -KILL "$old"
	check "crash: inspecting again" wait_for 20 inspects_again "$old"
	lines=$(eve 'select(.event_type == "alert")' | wc -l)
	check "crash: a request arrives" request /secret-plans
	check "crash: alerts go on" wait_for 5 more_alerts "$lines"
	check_equal "crash: the mirror stays" 1 "$(in_box ip -o link show dev insp0 | wc -l)"
	check_equal "crash: the capture is still whole" 0 \
		"$(capinfos "$topology_dir/out/opened.pcapng" >/dev/null 2>&1; echo $?)"
}

flows() { # all flows end when the box does
	box_stop
	check "EVE: flows at the end" wait_for 5 eve_has '.event_type == "flow"'
	# a late segment of another connection may have made a flow of its own
	check_equal "EVE: both directions of a flow" "10.9.0.1 10.9.0.9 80" \
		"$(eve -r 'select(.event_type == "flow" and .dest_port == 80)
			| select(.flow.pkts_toserver > 3 and .flow.pkts_toclient > 3 and .flow.alerted)
			| "\(.src_ip) \(.dest_ip) \(.dest_port)"' | tail -n 1)"
	check "the mirror goes with the box" wait_for 5 eval '! in_box ip link show dev insp0'
}

topology_up
sealed_keys
settings
configuration | box_config
box_start
sealed_up
serve
alerts
drops
stats
mirrored
recorded
rotates
box_conserves "before the crash"
survives
box_conserves "after the crash"
flows
test_end
