#!/bin/bash
# Inline forwarding: bulk TCP in both directions through the box, sealed and in
# the clear, over IPv4 and IPv6, with one queue and with two; what the other end
# gets is what was sent, and every packet is counted once.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin forward

clear_traffic() { # LABEL
	check "$1: ping over IPv4" pings client 192.0.2.9
	check "$1: ping over IPv6" pings client 2001:db8::9
	check "$1: clear TCP, client to server, IPv4" bulk client server 192.0.2.9 4096
	check "$1: clear TCP, server to client, IPv6" bulk server client 2001:db8::1 4096
}

sealed_traffic() { # LABEL
	check "$1: sealed ping, inner IPv4" pings client 10.9.0.9
	check "$1: sealed TCP, client to server, inner IPv4" bulk client server 10.9.0.9 4096
	check "$1: sealed TCP, server to client, inner IPv4" bulk server client 10.9.0.1 4096
	check "$1: sealed TCP, client to server, inner IPv6" bulk client server fd09::9 2048
	check "$1: sealed TCP, server to client, inner IPv6" bulk server client fd09::1 2048
}

opened() { # LABEL: the box saw inside
	local count
	count=$(reason_count workers ok)
	if [ "$count" -gt 1000 ]; then ok "$1: $count packets were opened and sent on"; else not_ok "$1: opened - only $count"; fi
	check_equal "$1: none was lost on the way out" 0 "$(reason_count workers tx-failed)"
	check_equal "$1: none was implausible" 0 "$(reason_count workers implausible)"
}

run() { # QUEUES LABEL KEYGEN-OPTION...
	local queues=$1 label="$2"
	shift 2
	topology_up "$queues"
	sealed_keys "$@"
	{ echo "mode: inline"; sealed_domains; } | box_config
	box_start
	check_equal "$label: workers" "$queues" "$(box status --json | jq '.ports[0].queues | length')"
	[ "$queues" = 2 ] || clear_traffic "$label"
	sealed_up && sealed_traffic "$label"
	sealed_down
	opened "$label"
	box_conserves "$label"
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

run 1 "psp split, one queue"
run 2 "psp split, two queues"
run 1 "psp split over IPv6" -6
run 1 "psp single" --profile single
run 1 "esp ctr-hmac" --envelope esp
topology_up
test_end
