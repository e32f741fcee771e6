#!/bin/bash
# A pool: three halfkeyd in three namespaces, with the same key files and nothing
# else in common. A balancer gives every packet of a flow to another box; each
# opens what it gets. Boxes die in the middle, and the others go on.
#
#                       ┌── up1 ── box 1 ── down1 ──┐
#   client ── balancer ─┼── up2 ── box 2 ── down2 ──┼─ balancer ── server
#                       └── up3 ── box 3 ── down3 ──┘
# shellcheck disable=SC2154,SC2034,SC2317,SC2329 # the variables of lib.sh and topology.sh, and what it calls
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin pool

which=1
pids=()
ns() { echo "hk-$topology_id-pool$1"; }
box() { "$O/halfkey" "$@" -s "$topology_dir/control$which.sock"; }
each() { # COMMAND...: once for each box, which is $which meanwhile
	for which in 1 2 3; do "$@"; done
	which=1
}

pool_down() {
	local n
	for n in 1 2 3; do
		[ -e "/run/netns/$(ns $n)" ] || continue
		for pid in $(ip netns pids "$(ns $n)" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
		"$O/halfkey" detach -i "$topology_instance-$n" >/dev/null 2>&1 || true
		ip netns del "$(ns $n)" 2>/dev/null || true
		rm -rf /sys/fs/bpf/halfkey/v*/"$topology_instance-$n"
	done
	topology_down
}
trap pool_down EXIT

pool_up() {
	local n side
	topology_up 1
	for n in 1 2 3; do
		ip netns add "$(ns $n)"
		for side in up down; do
			topology_link "$topology_box" $side$n "$(ns $n)" "box-$side" 1 1500
			nsenter --net="/run/netns/$(ns $n)" -- sysctl -qw "net.ipv6.conf.box-$side.disable_ipv6=1"
			nsenter --net="/run/netns/$(ns $n)" -- ip link set "box-$side" up
			in_box sysctl -qw "net.ipv6.conf.$side$n.disable_ipv6=1"
			in_box ip link set "$side$n" up
		done
	done
	for side in "box-c up" "box-s down"; do
		# shellcheck disable=SC2086
		set -- $side
		in_background "$topology_box" "$O/tests/spread" "$1" "$2"1 "$2"2 "$2"3 >"$topology_dir/spread.$1"
		wait_for 5 grep -q ready "$topology_dir/spread.$1" ||
			{ not_ok "the balancer at $1 begins"; exit 1; }
	done
}

settings() {
	cat >"$topology_dir/firewall.yaml" <<-YAML
		default: accept
		rules:
		  - {name: ping, match: {protocol: icmp}, action: log}
	YAML
	chmod 600 "$topology_dir/firewall.yaml"
	cat >"$topology_dir/halfkey$which.yaml" <<-YAML
		mode: inline
		heartbeat-ms: 20000
		ports: [box-up, box-down]
		instance: $topology_instance-$which
		control: $topology_dir/control$which.sock
		$(sealed_domains)
		hooks:
		  - {use: firewall, rules: firewall.yaml}
		feeds:
		  eve: {path: $topology_dir/eve$which.json}
	YAML
}
start() {
	in_background "$(ns $which)" "$O/halfkeyd" -c "$topology_dir/halfkey$which.yaml" 2>>"$topology_dir/halfkeyd$which.log"
	pids[which]=$background
	wait_for 20 box_ready ||
		{ not_ok "box $which starts - $(tail -n 1 "$topology_dir/halfkeyd$which.log")"; exit 1; }
}

opened=()
count_opened() { opened[which]=$(reason_count workers ok); }
rose_by() { # LEAST: this box opened so many more than count_opened saw
	local before=${opened[which]}
	[ "$(reason_count workers ok)" -ge $((before + $1)) ]
}
check_rose() { check "$1: box $which opened its share" wait_for 5 rose_by "$2"; }
counts() { local r; for r in no-key stale-key implausible bad-icv no-domain tx-failed; do echo "$r $(box_count $r)"; done | grep -v ' 0$'; }
check_counts() {
	check_equal "$1: box $which misread nothing" "" "$(counts)"
	check "$1: box $which opened all that it got" wait_for 3 all_opened
	box_conserves "$1, box $which"
}
sum_opened() {
	local n sum=0
	for which in 1 2 3; do n=$(reason_count workers ok); sum=$((sum + n)); done
	which=1
	echo $sum
}
sealed_sum() { # by both ends, from what they say when they end
	sed -n 's/.*sealed \([0-9]*\), opened.*/\1/p' "$topology_dir"/*.tunnel.log | awk '{ sum += $1 } END { print sum + 0 }'
}
sees_inner() { grep -q '"src_ip": *"10.9.0.1"' "$topology_dir/eve$which.json"; }
firewall_saw_all() { # of one moment
	box stats --json | jq -e '.workers.reasons.ok.packets == ([.hooks[] | select(.name == "firewall") | .counters["default.hits"]] | add)'
}
check_feeds() {
	check "box $which: EVE shows the inner flow" wait_for 5 sees_inner
	check "box $which: the firewall saw every packet" wait_for 3 firewall_saw_all
}
flood() { echoes client 10.9.0.9 "$1" 0.005 | sed -n 's/.*transmitted, \([0-9]*\) received.*/\1/p'; }

together() { # LABEL: all three alive
	each count_opened
	check_equal "$1: no answer of 600 is lost" 600 "$(flood 600)"
	each check_rose "$1" 390
	check "$1: a megabyte of TCP arrives whole, packet by packet over three boxes" bulk client server 10.9.0.9 1024
	check "$1: and back" bulk server client 10.9.0.1 1024
	each check_counts "$1"
}

# The inspector and the starter of one box at once: its fail policy passes what it gets.
one_dies() {
	local inspector lost
	which=2
	inspector=$(box status --json | jq .processes.inspector)
	which=1
	PATIENCE=5 echo_begin "$topology_dir/flood" 0.01
	kill -9 "${pids[2]}" "$inspector"
	each_alive count_opened
	each_alive check_rose "one box dead" 200
	echo_end
	lost=$(sed -n 's/\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 - \2/p' "$topology_dir/flood")
	check "one box dies in the middle: the flow goes on (${lost/-/sent, answered})" test $((${lost:-99})) -le 40
	each_alive count_opened
	check "one box dead: a megabyte of TCP arrives whole" bulk client server 10.9.0.9 1024
	each_alive check_rose "one box dead, TCP" 200
	each_alive check_counts "one box dead"
}
each_alive() { for which in 1 3; do "$@"; done; which=1; }

# A box that is gone for good, cables and all: the balancer leaves it out.
one_goes() {
	in_box ip link set up2 down
	in_box ip link set down2 down
	each_alive count_opened
	check_equal "one box gone: no answer of 400 is lost" 400 "$(flood 400)"
	each_alive check_rose "one box gone" 390
}

# And one that comes back has nothing to learn.
one_returns() {
	in_box ip link set up2 up
	in_box ip link set down2 up
	which=2
	start
	each count_opened
	check_equal "one box returns: no answer of 600 is lost" 600 "$(flood 600)"
	each check_rose "one box returns" 390
}

pool_up
sealed_keys
each settings
each start
sealed_up
check "the flow runs" pings client 10.9.0.9 || exit 1
together "three boxes"
each check_feeds
sealed_down
check_count "every sealed packet of the flow was opened, by one box" "$(sealed_sum)" sum_opened
sealed_keys # a tunnel that begins anew has new keys; each box reads them for itself
each box reload >/dev/null
sealed_up
one_dies
one_goes
one_returns
sealed_down
for n in 1 2 3; do topology_stop "${pids[n]}"; "$O/halfkey" detach -i "$topology_instance-$n" >/dev/null 2>&1; done
check_equal "no pins are left" "" "$(ls -d /sys/fs/bpf/halfkey/v*/"$topology_instance"-* 2>/dev/null)"
pool_down
test_end
