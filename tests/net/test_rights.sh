#!/bin/bash
# The inspector holds keys and sees packets, and has no right to anything else;
# it works all the same: statistics, TAP, kernel verdicts, reload.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin rights

field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$inspector/status" | tr '\t' ' '; }

process() {
	local uid cap
	uid=$(id -u nobody)
	check_equal "the inspector is nobody" "$uid $uid $uid $uid" "$(field Uid)"
	check_equal "in no group of others" "" "$(field Groups | tr -d ' ')"
	for cap in CapInh CapPrm CapEff CapBnd CapAmb; do
		check_equal "$cap is empty" 0000000000000000 "$(field $cap)"
	done
	check_equal "it can gain no new rights" 1 "$(field NoNewPrivs)"
	check "its memory is locked" test "$(field VmLck | tr -dc 0-9)" -gt 10000
	check_equal "the status says so" true "$(box status --json | jq .memory_locked)"
	check_equal "it leaves no core file" 0 \
		"$(sed -n 's/^Max core file size *\([^ ]*\) .*/\1/p' "/proc/$inspector/limits")"
	# what is not dumpable belongs to root in /proc
	check_equal "nobody can trace it or read its memory" 0 "$(stat -c %u "/proc/$inspector/mem")"
}

threads() {
	local task bad=""
	for task in "/proc/$inspector"/task/*; do
		grep -q '^CapEff:[[:space:]]*0000000000000000' "$task/status" || bad="$bad $task"
	done
	check_equal "no thread of it has a capability" "" "$bad"
}

# Of the maps it holds counters (which it cannot write), verdicts and the heartbeat's mapping
maps() {
	local fd names=""
	for fd in "/proc/$inspector"/fd/*; do
		[ "$(readlink "$fd")" = anon_inode:bpf-map ] || continue
		names="$names $(sed -n 's/^map_id:[[:space:]]*//p' "/proc/$inspector/fdinfo/${fd##*/}" |
			xargs bpftool -j map show id | jq -r .name)"
	done
	check_equal "it holds two maps by descriptor" "counters verdicts" \
		"$(echo "$names" | xargs -n1 | sort | xargs)"
	check_equal "and no program or link" 0 \
		"$(find "/proc/$inspector/fd" -lname 'anon_inode:bpf*' | wc -l | xargs -I{} expr {} - 2)"
}

works() {
	check "sealed traffic is opened" pings client 10.9.0.9
	check "the mirror's interface is there" in_box ip link show hkm0
	check_equal "statistics can be read" true "$(box stats --json | jq '.workers.received > 0 and .xdp.received > 0')"
	check "a verdict can be put" box verdicts add tunnel 192.0.2.1 192.0.2.9 "$1" drop 3600
	check_equal "and drops the flow" 1 "$(in_client ping -q -c 3 -i 0.1 -W 0.3 10.9.0.9 | grep -c ' 0 received')"
	check "it can be given another end" box verdicts add tunnel 192.0.2.1 192.0.2.9 "$1" drop 1
	check "it is deleted when its time is over" wait_for 15 verdicts_none
	check "and the flow passes again" pings client 10.9.0.9
}
verdicts_none() { [ "$(bpftool -j map dump pinned "$pins/$topology_instance/verdicts" | jq length)" = 0 ]; }

# An AF_XDP ring is a mapped socket
starter() {
	check "the inspector has the rings" grep -q 'socket:' "/proc/$inspector/maps"
	check_equal "the starter has none: it sees no packet" 0 "$(grep -c 'socket:' "/proc/$box_pid/maps")"
}

topology_up 1
sealed_keys
{ echo "mode: inline"; sealed_domains; echo "feeds: {mirror: {tap: hkm0}}"; } | box_config
box_start
inspector=$(box status --json | jq .processes.inspector)
sealed_up
process
threads
maps
starter
works "$(sed -n 's/.*receiver=192.0.2.9.*spi=\([^ ]*\).*/\1/p' "$topology_dir/keys/client.keys" | head -1)"
box_conserves "rights"
sealed_down
test_end
