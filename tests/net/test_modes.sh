#!/bin/bash
# monitor: XDP forwards, copies are inspected. passive: everything is received
# and looked at, nothing is sent. One queue and two.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin modes

monitor() { # QUEUES
	topology_up "$1"
	sealed_keys
	{ echo "mode: monitor"; sealed_domains; } | box_config
	box_start
	check "monitor, $1 queues: clear traffic is forwarded" pings client 192.0.2.9
	sealed_up
	check "monitor, $1 queues: sealed TCP, client to server" bulk client server 10.9.0.9 4096
	check "monitor, $1 queues: sealed TCP, server to client, inner IPv6" bulk server client fd09::1 4096
	check "monitor, $1 queues: copies were opened" wait_for 20 many_copies # a slow worker misses some
	check_equal "monitor, $1 queues: copies and packets handed agree" true \
		"$(box stats --json | jq '.xdp.copied == .xdp.reasons["to-worker"].packets')"
	check_equal "monitor, $1 queues: no AF_XDP socket is needed" false \
		"$(box status --json | jq '.ports[0].queues[0].socket // false')"
	box_conserves "monitor, $1 queues"
	sealed_down
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

many_copies() { [ "$(reason_count workers inspected)" -ge 3000 ] || { bulk client server 10.9.0.9 2048; false; }; }

clear() { [ "$(reason_count xdp legacy)" -ge "$1" ]; }
opened() { [ "$(reason_count workers inspected)" -ge "$1" ]; }

sent_by_box() { in_box ip -j -s link show dev box-c | jq '.[0].stats64.tx.packets'; }

# The client's port is the mirror: what it sends is received and goes nowhere.
passive() {
	local before
	topology_up 1
	sealed_keys
	{ echo "mode: passive"; sealed_domains; } | box_config
	sed -i 's/^ports:.*/ports: [box-c]/' "$topology_dir/halfkey.yaml"
	in_client ip neigh replace 192.0.2.9 lladdr 02:00:00:00:00:09 dev c0
	box_start
	sealed_tunnel "$topology_client" client
	before=$(sent_by_box)
	in_client ping -q -c 50 -i 0.01 -W 0.1 10.9.0.9 >/dev/null
	in_client ping -q -c 5 -i 0.01 -W 0.1 192.0.2.9 >/dev/null
	check "passive: sealed packets are opened" wait_for 5 opened 50
	check "passive: clear packets are counted" wait_for 5 clear 5
	check_equal "passive: nothing was sent" "$before" \
		"$(sent_by_box)"
	box_conserves "passive"
	sealed_down
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

monitor 1
monitor 2
passive
topology_up
test_end
