#!/bin/bash
# Delayed packets: a shaped class comes in order and complete, at its rate and
# not before; a full queue drops and counts; what waits at the end is counted.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin delay

shaper() { # RATE QUEUE
	cat >"$topology_dir/shaper.yaml" <<-YAML
		classes:
		  - {name: all, match: {protocol: udp}, rate: $1, burst: 4k, queue: $2}
	YAML
}

# send COUNT: that many numbered datagrams of 1000 bytes through the tunnel, as fast as they go
send() {
	in_client python3 - "$1" <<-'PY'
		import socket, sys
		out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		for number in range(int(sys.argv[1])):
		    out.sendto(b"%06d" % number + bytes(994), ("10.9.0.9", 7000))
	PY
}

# receive SECONDS: the numbers that came, in order of arrival
receive() {
	in_server python3 - "$1" <<-'PY'
		import select, socket, sys, time
		into = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
		into.bind(("10.9.0.9", 7000))
		end = time.monotonic() + float(sys.argv[1])
		while time.monotonic() < end:
		    if select.select([into], [], [], 0.1)[0]:
		        print(int(into.recv(2000)[:6]), flush=True)
	PY
}
server_listens() { [ -n "$(in_server ss -Huln "sport = :7000")" ]; }

delays_in_order() {
	local numbers=$topology_dir/numbers held
	receive 4 >"$numbers" &
	local receiver=$!
	wait_for 5 server_listens
	send 200
	sleep 0.1
	held=$(box status --json | jq '[.ports[0].queues[].frames.held] | add')
	if [ "${held:-0}" -gt 0 ]; then ok "packets wait ($held)"; else not_ok "packets wait - ${held:-none}"; fi
	check_equal "not all of them are through at once" true \
		"$([ "$(wc -l <"$numbers")" -lt 150 ] && echo true || echo false)"
	wait $receiver
	check_equal "all of them come in the end" 200 "$(wc -l <"$numbers")"
	check_equal "in the order they were sent" "$(seq 0 199 | cksum)" "$(cksum <"$numbers")"
	check_equal "none waits any more" 0 "$(box status --json | jq '[.ports[0].queues[].frames.held] | add')"
	box_conserves "delayed packets"
}

full_queue() {
	receive 1 >"$topology_dir/numbers" &
	local receiver=$!
	wait_for 5 server_listens
	send 600
	wait $receiver
	wait_for 5 none_waits
	check_equal "what a full queue does not take is dropped and counted" true \
		"$([ $(($(reason_count workers hook-drop) + $(reason_count workers delay-full))) -gt 0 ] && echo true || echo false)"
	box_conserves "a full queue"
}
none_waits() { [ "$(box status --json | jq '[.ports[0].queues[].frames.held] | add')" = 0 ]; }

killed_with_packets_waiting() {
	local old
	old=$(box status --json | jq .processes.inspector)
	send 200
	sleep 0.1
	kill -9 "$old"
	wait_for 10 another_inspector "$old"
	check "a killed inspector's delayed packets are counted as shutdown" test "$(reason_count workers shutdown)" -gt 50
	box_conserves "killed with packets waiting"
}
another_inspector() { [ "$(box status --json | jq .processes.inspector)" != "$1" ] && box_ready; }

topology_up 1
sealed_keys
shaper 800kbit 250
{ echo "mode: inline"; sealed_domains; echo "hooks: [{use: shaper, classes: shaper.yaml}]"; } | box_config
box_start
sealed_up
check "traffic of no class passes as it comes" pings client 10.9.0.9
delays_in_order
full_queue
killed_with_packets_waiting
sealed_down
test_end
