#!/bin/bash
# Packets at the very edge of the MTU, clear and sealed, IPv4 and IPv6 outside;
# and frames larger than the small UMEM frame takes.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin mtu

clear_edge() { # MTU
	check "MTU $1: a clear IPv4 packet of exactly $1 bytes" pings client 192.0.2.9 $(($1 - 28))
	check "MTU $1: a clear IPv6 packet of exactly $1 bytes" pings client 2001:db8::9 $(($1 - 48))
}

sealed_edge() { # MTU OVERHEAD LABEL
	local inner=$(($1 - $2)) opened
	sealed_up --mtu "$inner"
	opened=$(reason_count workers ok)
	check "MTU $1: a sealed packet of exactly $1 bytes, $3" pings client 10.9.0.9 $((inner - 28))
	check "MTU $1: one byte less, $3" pings server 10.9.0.1 $((inner - 29))
	check "MTU $1: an inner IPv6 packet at the edge, $3" pings client fd09::9 $((inner - 48))
	check "MTU $1: all of them were opened, $3" wait_for 5 opened_since "$opened" 18
	check "MTU $1: bulk TCP, $3" bulk client server 10.9.0.9 2048
	sealed_down
}

# Tunnels stay below 1500: packets of our own making go further. Their insides
# are noise, which passes by default; every byte must arrive as it was sent.
crafted_edge() { # MTU
	local before
	before=$(reason_count workers implausible)
	in_server timeout 120 python3 tests/net/psp_noise.py receive 20 >"$topology_dir/got" &
	local receiver=$!
	wait_for 5 server_listens
	in_client python3 tests/net/psp_noise.py send 20 $(($1 - 28)) 192.0.2.9 >"$topology_dir/sent"
	wait $receiver
	check "MTU $1: sealed packets of exactly $1 bytes arrive unchanged" cmp "$topology_dir/sent" "$topology_dir/got"
	check "MTU $1: all of them reached the worker" wait_for 5 noise_is $((before + 20))
}
opened_since() { [ $(($(reason_count workers ok) - $1)) -ge "$2" ]; }
noise_is() { [ "$(reason_count workers implausible)" = "$1" ]; }
server_listens() { [ -n "$(in_server ss -Huln "sport = :1000")" ]; }

run() { # MTU OVERHEAD LABEL KEYGEN-OPTION...
	local mtu=$1 overhead=$2 label=$3
	shift 3
	topology_up 1 "$mtu"
	sealed_keys "$@"
	{ echo "mode: inline"; sealed_domains; } | box_config
	box_start
	[ $# -gt 0 ] || clear_edge "$mtu"
	if [ "$mtu" -le 1500 ]; then sealed_edge "$mtu" "$overhead" "$label"; else crafted_edge "$mtu"; fi
	box_conserves "MTU $mtu, $label"
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

# PSP: IP, UDP 8, header 16, ICV 16
for mtu in 1499 1500 1501; do run $mtu 60 "outer IPv4"; done
run 1500 80 "outer IPv6" -6
run 3498 60 "large frames"
topology_up
test_end
