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

# send COUNT: that many numbered datagrams of 1000 bytes through the tunnel, as fast as they go; prints when
# it began (the clock is the whole machine's)
send() {
	in_client python3 - "$1" <<-'PY'
		import socket, sys, time
		out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		print(time.monotonic())
		for number in range(int(sys.argv[1])):
		    out.sendto(b"%06d" % number + bytes(994), ("10.9.0.9", 7000))
	PY
}

# receive COUNT: the numbers that came, in order of arrival, and when the last one did
receive() {
	in_server python3 - "$1" <<-'PY'
		import select, socket, sys, time
		into = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
		into.bind(("10.9.0.9", 7000))
		for _ in range(int(sys.argv[1])):
		    if not select.select([into], [], [], 60)[0]:
		        break
		    number = int(into.recv(2000)[:6])
		    print(number, flush=True)
		print("last", time.monotonic())
	PY
}
server_listens() { [ -n "$(in_server ss -Huln "sport = :7000")" ]; }

delays_in_order() {
	local numbers=$topology_dir/numbers
	receive 200 >"$numbers" &
	local receiver=$!
	wait_for 5 server_listens
	wait_for 5 some_wait & # who looks later may find none
	local waiter=$! began
	began=$(send 200)
	wait $waiter
	check_equal "packets wait" 0 $?
	wait $receiver
	check_equal "all of them come in the end, in the order they were sent" "$(seq 0 199 | cksum)" "$(grep -v last "$numbers" | cksum)"
	# 200 packets of 1028 bytes, less the burst
	check "at the class's rate and not before" awk -v began="$began" '/last/ { exit !($2 - began >= 8) }' "$numbers"
	check "none waits any more" wait_for 5 none_waits
	box_conserves "delayed packets"
}

full_queue() {
	send 600 >/dev/null
	wait_for 20 none_waits
	check_equal "what a full queue does not take is dropped and counted" true \
		"$([ $(($(reason_count workers hook-drop) + $(reason_count workers delay-full))) -gt 0 ] && echo true || echo false)"
	box_conserves "a full queue"
}
waiting() { box status --json | jq '[.ports[0].queues[].frames.held] | add'; }
none_waits() { [ "$(waiting)" = 0 ]; }
many_lost() { [ "$(reason_count workers shutdown)" -gt 50 ]; }
many_wait() { [ "$(waiting)" -gt 100 ]; }
some_wait() { [ "$(waiting)" -gt 0 ]; }

killed_with_packets_waiting() {
	local old
	old=$(box status --json | jq .processes.inspector)
	shaper 8kbit 250 # for minutes
	check "a slower class" box reload
	send 200 >/dev/null
	wait_for 5 many_wait
	kill -9 "$old"
	wait_for 10 another_inspector "$old"
	check "a killed inspector's delayed packets are counted as shutdown" wait_for 5 many_lost
	box_conserves "killed with packets waiting"
}
another_inspector() { [ "$(box status --json | jq .processes.inspector)" != "$1" ] && box_ready; }

topology_up 1
sealed_keys
shaper 200kbit 250
{ echo "mode: inline"; sealed_domains; echo "hooks: [{use: shaper, classes: shaper.yaml}]"; } | box_config
box_start
sealed_up
check "traffic of no class passes as it comes" pings client 10.9.0.9
delays_in_order
full_queue
killed_with_packets_waiting
sealed_down
test_end
