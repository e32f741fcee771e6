# shellcheck shell=bash
# What the namespace tests share. A test:
#
#   . "$(dirname "$0")/lib.sh"
#   test_begin forward            # needs root; sets the clean-up trap
#   topology_up 2
#   box_config <<-YAML            # mode, domains, hooks, feeds; the rest is filled in
#     mode: inline
#   YAML
#   box_start
#   check "TCP arrives whole" in_client curl ...
#   box_conserves "after TCP"
#   test_end                      # stops everything and looks for leftovers
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
O=$(realpath "${O:-build}")
export O
. tests/report.sh
. scripts/topology.sh

box_pid=

test_begin() {
	test_name=$1
	if [ "$(id -u)" -ne 0 ]; then
		skip "all of it - needs root"
		exit 0
	fi
	trap topology_down EXIT
	trap 'exit 130' INT TERM
}

# The box's configuration comes on standard input; ports, instance and socket are added. A test that
# says nothing about the heartbeat has a patient one: where a worker gets no processor for 200 ms,
# the fail policy would rightly carry packets that the test wants to see opened.
box_config() {
	local draft=$topology_dir/halfkey.yaml.new
	cat >"$draft"
	{
		grep -q '^heartbeat-ms:' "$draft" || echo "heartbeat-ms: 20000"
		echo "ports: [box-c, box-s]"
		echo "instance: $topology_instance"
		echo "control: $topology_dir/control.sock"
	} >>"$draft"
	mv "$draft" "$topology_dir/halfkey.yaml"
}

# box_start: runs halfkeyd in the box and waits until it inspects
box_start() {
	in_background "$topology_box" "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" 2>>"$topology_dir/halfkeyd.log"
	box_pid=$background
	if ! wait_for 20 box_ready; then
		not_ok "halfkeyd starts - $(tail -n 3 "$topology_dir/halfkeyd.log" | tr '\n' ' ')"
		exit 1
	fi
}

box() { "$O/halfkey" "$@" -s "$topology_dir/control.sock"; }
box_ready() { [ "$(box status --json | jq .armed)" = true ]; } # jq -e is content with empty input
# box_kill: with -9; its inspector ends by itself, and only then are its queues free
box_kill() {
	kill -9 "$box_pid"
	wait "$box_pid" 2>/dev/null
	wait_for 10 nobody_is_left
}
nobody_is_left() { [ -z "$(ip netns pids "$topology_box")" ]; }
box_stop() { topology_stop "$box_pid"; }

# Counters that traffic has still to move: check_count NAME WANTED COMMAND..., which prints the number
check_count() {
	local name=$1 wanted=$2
	shift 2
	wait_for 5 prints "$wanted" "$@"
	check_equal "$name" "$wanted" "$("$@")"
}
prints() { [ "$("${@:2}")" = "$1" ]; }

# box_count REASON: packets of a reason, XDP's and workers' together
box_count() { box stats --json | jq "[.xdp.reasons[\"$1\"].packets // 0, .workers.reasons[\"$1\"].packets // 0] | add"; }

# Every packet that came to a worker was opened; of one moment, so that late ones do not matter
all_opened() { box stats --json | jq -e '.workers.received == .workers.reasons.ok.packets'; }

# The conservation equations (docs/architecture.md), once traffic rests; and the
# inspector's list of system calls holds all that it needed so far.
box_conserves() {
	local answer=""
	wait_for 3 conserved
	check_equal "every packet is counted once ($*)" conserved "$answer"
	check_equal "no system call was refused ($*)" 0 "$(box status --json | jq .processes.calls_refused)"
}
conserved() { # in $answer, what is not
	answer=$(box stats --json | jq -r '
			([.xdp.reasons[].packets] | add) as $xdp
			| (.xdp.reasons["to-worker"].packets // 0) as $handed
			| ([.workers.reasons[].packets] | add // 0) as $ended
			| if .xdp.received != $xdp then "XDP received \(.xdp.received), counted \($xdp)"
			  elif $handed != .workers.received + .workers.ring_lost + .workers.handed_before then
				"handed to workers \($handed), received \(.workers.received), lost \(.workers.ring_lost), before \(.workers.handed_before)"
			  elif .workers.received != $ended then "workers received \(.workers.received), ended \($ended)"
			  else "conserved" end') || true
	[ "$answer" = conserved ]
}

# No pins, namespaces or processes may be left. Ends the test with its status.
test_end() {
	local left
	if [ -n "$box_pid" ]; then
		topology_stop "$box_pid"
		"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
	fi
	left=$(ls -d /sys/fs/bpf/halfkey/v*/"$topology_instance" 2>/dev/null)
	check_equal "no pins are left" "" "$left"
	topology_down
	left=$(ip netns list | grep -c "^hk-$topology_id-")
	check_equal "no namespaces are left" 0 "$left"
	exit $test_failed
}
