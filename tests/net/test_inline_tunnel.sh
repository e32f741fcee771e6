#!/bin/bash
# Inline keying with the real program at both ends and the box between them: TCP
# on children that the ends make for each other, renewals under traffic, reload
# and restart of either end and of the box, a child for each flow, an old
# creation played again, captures sealed and opened.
# shellcheck disable=SC2154 # the variables of lib.sh, sealed.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin inline-tunnel
lifetime=8 # seconds; renewed after 6

# end NAME OPTION...: starts the tunnel of that end; its pid in pid_of
declare -A pid_of
end_start() {
	local name=$1 where=$topology_client
	shift
	[ "$name" = client ] || where=$topology_server
	: >"$topology_dir/$name.log"
	in_background "$where" "$O/halfkey-endpoint" tunnel -c "$topology_dir/keys/$name.tunnel.yaml" \
		--state "$topology_dir/keys/$name.state" --stats "$topology_dir/$name.json" --lifetime $lifetime "$@" \
		2>>"$topology_dir/$name.log"
	pid_of[$name]=$background
	wait_for 10 grep -q ' ready ' "$topology_dir/$name.log" ||
		not_ok "tunnel $name starts - $(tail -n 1 "$topology_dir/$name.log")"
}
end_stop() { topology_stop "${pid_of[$1]}"; }
ends_start() { end_start client "$@" && end_start server "$@"; }
ends_stop() { end_stop client && end_stop server; }

# count NAME FILTER: of a tunnel's statistics, as they are now
count() {
	local before
	before=$(stat -c %Y.%y "$topology_dir/$1.json" 2>/dev/null)
	if kill -USR1 "${pid_of[$1]}" 2>/dev/null; then
		wait_for 5 newer "$topology_dir/$1.json" "$before"
	fi
	jq -r "$2" "$topology_dir/$1.json"
}
newer() { [ "$(stat -c %Y.%y "$1" 2>/dev/null)" != "$2" ] && jq -e . "$1"; }

# A packet there and back, until one makes it
heals() { answers client 10.9.0.9; }
# steady NAME COUNT: that many echo requests in a row, none lost
steady() { check "$1" echoes client 10.9.0.9 "$2" 0.02; }

# Refusals that are none: creations in packets of their own
refused() { count "$1" '.refused | del(.["creation-alone"]) | [.[]] | add'; }

transfer() { # ADDRESS: 3 MB of noise from client to it
	rm -f "$topology_dir/got"
	in_background "$topology_server" timeout 200 socat -u TCP4-LISTEN:5001,bind=10.9.0.9,reuseaddr "CREATE:$topology_dir/got"
	local receiver=$background
	wait_for 5 listening || return 1
	in_client timeout 200 socat -u "OPEN:$topology_dir/noise" TCP:10.9.0.9:5001 || return 1
	wait "$receiver"
	cmp "$topology_dir/got" "$topology_dir/noise"
}
listening() { in_server ss -Hltn 'sport = :5001' | grep -q .; }
child_count() { box stats --json | jq ".children.$1"; }

box_up() {
	sealed_domains | box_config_with
	box_start
}
# With no-key dropped, what heals has to heal through the box.
box_config_with() {
	{
		echo "mode: inline"
		echo "policy: {no-key: drop}"
		cat
	} | box_config
}

first_traffic() {
	in_background "$topology_client" tcpdump --immediate-mode -q -U -i c0 -w "$topology_dir/wire.pcap" "udp port 4500" 2>"$topology_dir/dump"
	dump=$background
	wait_for 5 grep -q listening "$topology_dir/dump"
	ends_start --first-use
	heals
	wait_for 10 both_confirmed
	check "TCP through the box, on children" transfer
	check "both ends gave each other a child" [ "$(count client .inline.installed)" -ge 1 -a "$(count server .inline.installed)" -ge 1 ]
	check "what the client sent went on the server's child" \
		[ "$(count client '.inline["sealed-on-child"]')" -gt $((10 * $(count client '.inline["sealed-on-parent"]'))) ]
	check_equal "the box knew every packet's key" 0 "$(box_count no-key)"
	check_equal "the server refused nothing" 0 "$(refused server)"
	check_equal "the client refused nothing" 0 "$(refused client)"
	topology_stop "$dump"
}
both_confirmed() { [ "$(child_count confirmed)" -ge 2 ]; }

renewals() {
	steady "no packet is lost over two lifetimes" $((50 * 2 * lifetime))
	check "children were renewed before they ended" \
		[ "$(count client .inline.renewed)" -ge 2 -a "$(count server .inline.renewed)" -ge 2 ]
	check_equal "nothing was sealed on a child past its lifetime, nor opened" 0 "$(refused server)"
	check "creations that came again changed nothing" [ "$(child_count known)" -gt 0 ]
	check_equal "none of it was without a key" 0 "$(box_count no-key)"
}

reloads() {
	kill -HUP "${pid_of[client]}" "${pid_of[server]}"
	wait_for 5 grep -q reloaded "$topology_dir/client.log" && wait_for 5 grep -q reloaded "$topology_dir/server.log"
	steady "reload of both ends loses nothing" 50
	check_equal "it was no start: the parents' state stayed" "1 1" "$(count client .reloads.done) $(count server .reloads.done)"
}

restarts() {
	local name
	for name in client server; do
		end_stop "$name"
		end_start "$name"
		check "after a restart of the $name packets flow again" heals
		steady "and none is lost from there on" 50
		check "children go both ways again" wait_for 10 children_both
	done
}
children_both() {
	in_client ping -q -c 5 -i 0.1 10.9.0.9
	[ "$(count client '.inline["children-sealing"]')" -ge 1 ] && [ "$(count server '.inline["children-sealing"]')" -ge 1 ]
}

box_restarts() {
	in_background "$topology_client" ping -i 0.02 10.9.0.9 >"$topology_dir/ping"
	local ping=$background before
	box_kill
	box_start
	check "a box that lost its children finds them again" wait_for 15 both_confirmed
	check "the flow goes on" wait_for 20 answered 250
	topology_stop "$ping"
	before=$(box_count no-key)
	steady "from there on it opens and passes everything" 100
	check_equal "it takes the next repetition; until then children are no-key (${before} packets)" "$before" "$(box_count no-key)"
}
answered() { [ "$(grep -c 'bytes from' "$topology_dir/ping")" -gt "$1" ]; }

# What the client sent at the beginning, again, at a server that came back in between: its numbers are
# refused, and where they were lost the creation's nonce
replays() {
	local send=(in_client python3 tests/net/inline.py send c0 "$topology_dir/creations.pcap")
	end_stop client
	end_stop server
	end_start server
	"${send[@]}"
	check "after a restart old creations are refused by their numbers" wait_for 10 saw_replays
	check_equal "none is installed" 0 "$(count server .inline.installed)"
	end_stop server
	rm "$topology_dir"/keys/server.state/*.windows
	end_start server
	"${send[@]}"
	check "without the windows the server sees them" wait_for 10 saw_old
	check_equal "and installs none of them" 0 "$(count server .inline.installed)"
	check_equal "it has no child to seal on" 0 "$(count server '.inline["children-sealing"]')"
	"${send[@]}"
	check "once more, and their numbers are refused as well" wait_for 10 saw_replays
	end_stop server
}
saw_old() { [ "$(count server .inline.old)" -ge 1 ]; }
saw_replays() { [ "$(count server .refused.replay)" -ge 1 ]; }

# Packets of the whole MTU, and around the size up to which a creation goes along
edges() {
	local mtu size
	mtu=$(in_client ip -j link show dev hk0 | jq .[0].mtu)
	for size in $((mtu - 28)) $((mtu - 28 - 56)) $((mtu - 28 - 55)); do
		check "an inner packet of $((size + 28)) bytes, MTU $mtu, with a creation due" \
			echoes client 10.9.0.9 2 1.1 $size
	done
	check_equal "no outer packet was too big" "0 0" "$(count client '.unsent["too-big"]') $(count server '.unsent["too-big"]')"
}

flows() {
	ends_start --children flow --carrier ip
	heals
	check "TCP with a child for each flow, over IP" transfer
	steady "and ICMP" 20
	check "each flow has its own" [ "$(count client .inline.created)" -ge 3 ]
	check "and goes on it" [ "$(count client '.inline["sealed-on-child"]')" -gt 500 ]
	check_equal "nothing was out of scope" 0 "$(refused server)"
	ends_stop
}

ranges() {
	local before
	before=$(box_count no-key)
	check "a range without the peer is refused, by its address" refuses_range
	ends_start --children range --range 192.0.2.1-192.0.2.9
	heals
	wait_for 10 children_both
	check "TCP with children of a range" transfer
	check "on them" [ "$(count client '.inline["sealed-on-child"]')" -gt 500 ]
	check_equal "each of them known to the box" "$before" "$(box_count no-key)"
	check_equal "and nothing out of scope" "0 0" "$(refused client) $(refused server)"
	ends_stop
}
refuses_range() {
	in_client "$O/halfkey-endpoint" tunnel -c "$topology_dir/keys/client.tunnel.yaml" --children range \
		--range 192.0.2.1-192.0.2.8 2>&1 | grep -q "range: does not hold the peer 192.0.2.9"
}

over_ipv6() {
	local before
	sealed_keys -6 -e inline
	sealed_domains | box_config_with
	check "the box takes the keys of IPv6 hosts" box reload
	before=$(box_count no-key)
	ends_start --first-use
	heals
	check "TCP over IPv6 outside" transfer
	check "on children" [ "$(count client '.inline["sealed-on-child"]')" -gt 500 ]
	check_equal "each of them known to the box" "$before" "$(box_count no-key)"
	check_equal "and none refused" "0 0" "$(refused client) $(refused server)"
	ends_stop
}

captures() {
	local keys=$topology_dir/keys dir=$topology_dir
	"$O/halfkey-endpoint" open -e inline -k "$keys/client.keys" -t 192.0.2.1 --json "$dir/wire.pcap" "$dir/back.pcap" >"$dir/open.json"
	check "\`open\` follows a capture of both ends onto the children" \
		[ "$(jq .opened "$dir/open.json")" -gt 100 -a "$(jq '.refused["no-key"]' "$dir/open.json")" = 0 ]
	check_equal "nothing in it is refused but what is the server's" 0 \
		"$(jq '.refused | del(.["not-ours"], .["creation-alone"]) | [.[]] | add' "$dir/open.json")"
	"$O/halfkey-endpoint" seal -e inline -k "$keys/client.keys" --state "$keys/client.state" -f 192.0.2.1 -t 192.0.2.9 \
		"$dir/back.pcap" "$dir/sealed.pcap" >"$dir/seal.log" 2>&1
	"$O/halfkey-endpoint" open -e inline -k "$keys/server.keys" -t 192.0.2.9 "$dir/sealed.pcap" "$dir/again.pcap" >>"$dir/seal.log" 2>&1
	check "what \`seal\` sealed \`open\` opens, to the byte ($(tail -n 1 "$dir/seal.log"))" cmp "$dir/back.pcap" "$dir/again.pcap"
}

topology_up 1
head -c 3000000 /dev/urandom >"$topology_dir/noise"
sealed_keys -e inline
box_up
first_traffic
python3 - "$topology_dir/wire.pcap" "$topology_dir/creations.pcap" <<-'PYTHON'
	# of the capture the first packets on a parent from the client
	import sys
	with open(sys.argv[1], "rb") as wire, open(sys.argv[2], "wb") as out:
	    out.write(wire.read(24))
	    count = 0
	    while (head := wire.read(16)) and count < 3:
	        frame = wire.read(int.from_bytes(head[8:12], "little"))
	        if frame[26:30] == bytes([192, 0, 2, 1]) and not frame[42] >> 7:
	            out.write(head + frame)
	            count += 1
PYTHON
renewals
edges
reloads
restarts
box_restarts
box_conserves "inline keying"
replays
flows
ranges
captures
over_ipv6
test_end
