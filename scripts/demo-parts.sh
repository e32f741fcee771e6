# shellcheck shell=bash
# The parts of the demo, in the order they are shown; sourced by demo.sh.

d= # the demo's directory: keys, configuration, logs

endpoint() { "$O/halfkey-endpoint" "$@"; }
halfkey() { "$O/halfkey" "$@" -s "$d/control.sock"; }
eve() { jq -c "$@" "$d/eve.json" 2>/dev/null; }
have_eve() { [ -n "$(eve "$1")" ]; }
reason_count() { halfkey stats --json | jq "[.xdp.reasons[\"$1\"].packets // 0, .workers.reasons[\"$1\"].packets // 0] | add"; }
get() { in_client curl -sf --max-time 3 "$@"; }

write_keys() {
	endpoint keygen --out "$d/psp" --domain psp-hosts --peer client=192.0.2.1,10.77.0.1/24,fd77::1/64 \
		--peer server=192.0.2.9,10.77.0.2/24,fd77::2/64 >"$d/keygen.log" 2>&1 &&
		endpoint keygen --out "$d/esp" --domain esp-hosts --envelope esp --suite ctr-hmac \
			--peer client=2001:db8::1,10.78.0.1/24 --peer server=2001:db8::9,10.78.0.2/24 >>"$d/keygen.log" 2>&1
}

write_configuration() {
	cat >"$d/halfkey.yaml" <<-YAML
		mode: inline
		ports: [box-c, box-s]
		instance: $topology_instance
		control: $d/control.sock
		domains:
		  - {name: psp-hosts, envelope: psp, profile: split, receivers: [192.0.2.0/24], keys: psp/box.keys}
		  - {name: esp-hosts, envelope: esp, profile: split, suite: ctr-hmac, mkid: 1, receivers: ["2001:db8::/32"], keys: esp/box.keys}
		hooks:
		  - {use: firewall, rules: firewall.yaml}
		  - {use: signatures, rules: local.rules}
		  - {use: shaper, classes: shaper.yaml}
		feeds:
		  eve: {path: $d/eve.json, stats-interval: 1}
		  mirror: {tap: insp0}
	YAML
	cat >"$d/firewall.yaml" <<-YAML
		default: accept
		rules:
		  - {name: no-admin, match: {protocol: tcp, destination-port: "8081"}, action: drop, log: yes}
	YAML
	cat >"$d/local.rules" <<-'RULES'
		alert tcp any any -> any 80 (msg:"DEMO secret plans requested"; content:"GET"; content:"/secret-plans"; nocase; sid:1000001; rev:1; classtype:policy-violation;)
		alert udp any any -> any 53 (msg:"DEMO query for a bad name"; content:"|05|evil|07|example|00|"; nocase; sid:1000002; rev:1; priority:1;)
		alert udp any any -> any 53 (msg:"DEMO query for a bad name (2)"; content:"|04|evil|07|example|00|"; nocase; sid:1000003; rev:1; priority:1;)
	RULES
	cat >"$d/shaper.yaml" <<-YAML
		classes:
		  - {name: bulk, match: {protocol: tcp, source-port: "8082"}, rate: 8mbit, burst: 32k, queue: 400}
	YAML
}

start_tunnels() {
	local side
	for side in client server; do
		local where="topology_$side"
		in_background "${!where}" "$O/halfkey-endpoint" tunnel -c "$d/psp/$side.tunnel.yaml" --first-use \
			--dev hk0 --stats "$d/$side.stats.json" >"$d/tunnel-$side.log" 2>&1
		[ $side = server ] && server_tunnel=$background
		in_background "${!where}" "$O/halfkey-endpoint" tunnel -c "$d/esp/$side.tunnel.yaml" --first-use \
			--dev hk1 >"$d/tunnel6-$side.log" 2>&1
	done
}

start_servers() {
	mkdir -p "$d/www"
	echo "the moon base opens in May" >"$d/www/secret-plans.txt"
	echo "hello" >"$d/www/index.html"
	head -c 40000000 /dev/zero >"$d/www/bulk"
	local port
	for port in 80 8081 8082; do
		in_background "$topology_server" python3 -m http.server --bind :: --directory "$d/www" $port >"$d/http-$port.log" 2>&1
	done
	in_background "$topology_server" python3 scripts/demo-dns.py serve 10.77.0.2 >"$d/dns.log" 2>&1
}

start_box() {
	in_background "$topology_box" "$O/halfkeyd" -c "$d/halfkey.yaml" >"$d/halfkeyd.log" 2>&1
}

box_ready() { halfkey status --json | jq -e .armed; }

set_up() {
	title "Setting up"
	topology_up 1 || give_up "the namespaces could not be made"
	d=$topology_dir
	write_keys || give_up "keygen failed"
	write_configuration
	"$O/halfkey" check -c "$d/halfkey.yaml" >"$d/check.log" 2>&1 || give_up "halfkey check refuses the configuration"
	start_box
	wait_for 15 box_ready || give_up "halfkeyd does not inspect"
	start_tunnels
	start_servers
	wait_for 10 get http://10.77.0.2/ || give_up "no HTTP through the tunnel"
	expect "HTTP crosses the sealed tunnel: PSP version 5 over IPv4" get http://10.77.0.2/
	expect "the same with inner IPv6" get 'http://[fd77::2]/'
	wait_for 5 get http://10.78.0.2/
	expect "the same in ESP (ctr-hmac) over IPv6" get http://10.78.0.2/
	grep -E 'mode|crypto' "$d/halfkeyd.log" | head -n 4 | show
}

capture() { # NAMESPACE PORT FILE: tcpdump, ready when this returns
	# --immediate-mode: else up to a second of packets dies with it, in the kernel's buffer
	in_background "$1" tcpdump --immediate-mode -U -q -i "$2" -s 0 -w "$3" >"$3.log" 2>&1
	wait_for 5 test -s "$3"
}

part_ciphertext() {
	title "The wire carries ciphertext; the box sees plaintext"
	capture "$topology_client" c0 "$d/wire.pcap"; local wire=$background
	capture "$topology_box" insp0 "$d/seen.pcap"; local seen=$background
	get http://10.77.0.2/secret-plans.txt >/dev/null
	in_client python3 scripts/demo-dns.py ask 10.77.0.2 harmless.example >"$d/dns.answer"
	wait_for 3 grep -aq 'moon base' "$d/seen.pcap"
	topology_stop "$wire" "$seen"
	echo "    on the wire (udp port 1000):"
	tcpdump -nr "$d/wire.pcap" -x 'udp dst port 1000 and greater 130' 2>/dev/null | grep -m 3 -E '0x00(2|3|4)0' | show
	echo "    what the box saw (mirror interface insp0):"
	tcpdump -nr "$d/seen.pcap" -A 2>/dev/null | grep -a -m 2 -E 'GET|moon base' | show
	expect "the wire never carries the text" sh -c "! grep -aq 'moon base' '$d/wire.pcap'"
	expect "the box's mirror does" grep -aq 'moon base' "$d/seen.pcap"
	expect "DNS-shaped UDP is answered through the tunnel" grep -q 203.0.113.7 "$d/dns.answer"
}

part_alerts() {
	title "Alerts name the inner addresses and the rule"
	in_client python3 scripts/demo-dns.py ask 10.77.0.2 evil.example >/dev/null
	wait_for 3 have_eve 'select(.alert.signature_id == 1000003)'
	eve 'select(.event_type == "alert") | {src: .src_ip, dest: .dest_ip, proto, sid: .alert.signature_id, rule: .alert.signature, spi: .tunnel.spi, auth: .tunnel.auth}' | head -n 2 | show
	expect "HTTP: 10.77.0.1 asked for the secret plans" have_eve \
		'select(.alert.signature_id == 1000001 and .src_ip == "10.77.0.1" and .dest_ip == "10.77.0.2")'
	expect "UDP: a query for a bad name" have_eve 'select(.alert.signature_id == 1000003)'
	expect "marked unauthenticated: the box cannot verify in split" have_eve 'select(.event_type == "alert" and .tunnel.auth == "unauthenticated")'
}

part_firewall() {
	title "The firewall hook drops what it is told to"
	local before after
	before=$(reason_count hook-drop)
	expect "a request to port 8081 gets nowhere" sh -c "! nsenter --net=/run/netns/$topology_client curl -sf --max-time 2 http://10.77.0.2:8081/"
	after=$(reason_count hook-drop)
	echo "hook-drop: $before before, $after after" | show
	expect "and is counted as hook-drop" test "$after" -gt "$before"
	expect "the request next to it passes" get http://10.77.0.2/
}

part_shaper() {
	title "The shaper holds a class to its rate"
	local bytes rate
	bytes=$(in_client curl -s --max-time 5 -o /dev/null -w '%{size_download}' http://10.77.0.2:8082/bulk)
	rate=$((bytes * 8 / 5 / 1000))
	echo "asked for 8000 kbit/s, measured $rate kbit/s over 5 s" | show
	expect "within 30 % of the asked rate" test "$rate" -ge 5600 -a "$rate" -le 10400
}

inspector_pid() { halfkey status --json | jq .processes.inspector; }
new_inspector() { local now; now=$(inspector_pid) && [ -n "$now" ] && [ "$now" != "$1" ] && box_ready; }

# Packets that XDP sent on by itself because no worker could look.
uninspected() { halfkey stats --json | jq '[.xdp.reasons | (.disarmed, ."no-socket", .heartbeat) | .packets // 0] | add'; }

part_crash() {
	title "The inspector dies; traffic does not"
	local old before pings start answered
	old=$(inspector_pid)
	before=$(uninspected)
	in_background "$topology_client" ping -q -i 0.001 -c 2500 10.77.0.2 >"$d/ping.log" 2>&1
	pings=$background
	sleep 0.5
	start=$(date +%s%N)
	kill -9 "$old"
	wait_for 10 new_inspector "$old"
	echo "inspector $old killed; $(inspector_pid) inspects $((($(date +%s%N) - start) / 1000000)) ms later" | show
	expect "a new inspector has taken over" new_inspector "$old"
	wait "$pings"
	answered=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$d/ping.log")
	echo "$answered of 2500 pings answered; $(($(uninspected) - before)) packets went by the fail policy (worker-dead: pass)" | show
	expect "traffic went on by the fail policy" test "$(uninspected)" -gt "$before"
	expect "and lost next to nothing (99 % answered)" test "${answered:-0}" -ge 2475
	before=$(eve 'select(.alert.signature_id == 1000001)' | wc -l)
	get http://10.77.0.2/secret-plans.txt >/dev/null
	more_alerts() { [ "$(eve 'select(.alert.signature_id == 1000001)' | wc -l)" -gt "$1" ]; }
	wait_for 3 more_alerts "$before"
	expect "and alerts again" more_alerts "$before"
}

part_maps() {
	title "The pinned maps, through bpftool"
	local pins tool
	pins=$(halfkey status --json | jq -r .pins)
	tool=$(command -v bpftool || echo /usr/sbin/bpftool)
	echo "bpftool map dump pinned $pins/settings" | show
	"$tool" map dump pinned "$pins/settings" 2>/dev/null | grep -E 'mode|armed|ifindex|heartbeat' | head -n 5 | show
	expect "settings have field names" sh -c "$tool map dump pinned $pins/settings | grep -q heartbeat_ns"
	expect "so have the counters" sh -c "$tool map dump pinned $pins/counters | grep -q packets"
	expect "and the receivers" sh -c "$tool map dump pinned $pins/receivers | grep -q prefixlen"
}

server_refusals() {
	kill -USR1 "$server_tunnel" && sleep 0.3
	jq '.. | .["bad-icv"]? // empty' "$d/server.stats.json" | head -n 1
}

part_forgery() {
	title "The box holds Ek, and still cannot forge"
	local before after
	before=$(server_refusals)
	in_box "$O/tests/forge" box-s "$d/psp/box.keys" "$d/wire.pcap" harmless hijacked >"$d/forge.log" 2>&1
	sleep 0.3
	after=$(server_refusals)
	{ cat "$d/forge.log"; echo "server refused as bad-icv: ${before:-0} before, ${after:-0} after"; } | show
	expect "three forgeries from the box's own keys are refused by the server" test "$((${after:-0} - ${before:-0}))" -eq 3
}

part_counts() {
	title "Every packet is counted once"
	sleep 0.5
	halfkey stats | grep -E '^(where|xdp|worker|workers) ' | show
	expect "what XDP received is what its reasons add up to" sh -c \
		"'$O/halfkey' stats --json -s '$d/control.sock' | jq -e '.xdp.received == ([.xdp.reasons[].packets] | add)'"
	expect "what workers received is what their reasons add up to" sh -c \
		"'$O/halfkey' stats --json -s '$d/control.sock' | jq -e '.workers.received == ([.workers.reasons[].packets] | add)'"
}
