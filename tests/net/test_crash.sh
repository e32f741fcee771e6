#!/bin/bash
# What happens when parts of the daemon die or hang: traffic goes on by the
# fail policy, inspection comes back within seconds, a new start adopts what is
# pinned, and no packet is lost from the accounts.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin crash

inspector() { box status --json | jq -r .processes.inspector; }
restarts() { box status --json | jq -r .processes.restarts; }
another_inspector() { local now; now=$(inspector); [ -n "$now" ] && [ "$now" != "$1" ] && box_ready; }
xdp_count() { reason_count xdp "$1"; }
map_id() { bpftool -j map show pinned "$pins/$topology_instance/$1" | jq .id; }

# A reason's packets straight from the pinned map: also without a daemon
pinned_count() { # NUMBER
	bpftool -j map lookup pinned "$pins/$topology_instance/counters" \
		key "$1" 0 0 0 | jq '[.formatted.values[].value.packets] | add'
}
inspects() { # are sealed packets handed to a worker again?
	local before
	before=$(reason_count workers ok)
	answers client 10.9.0.9 && wait_for 2 opened_more_than "$before"
}
opened_more_than() { [ "$(reason_count workers ok)" -gt "$1" ]; }
pinned_more_than() { [ "$(pinned_count "$1")" -gt "$2" ]; } # NUMBER BEFORE

# Packets in its rings die with it, and until its sockets are gone a few more.
killed_inspector() {
	local old before
	old=$(inspector)
	before=$(pinned_count 49)
	in_client env PATIENCE=5 python3 tests/net/echo.py 10.9.0.9 300 0.01 >"$topology_dir/ping" &
	local ping=$!
	kill -STOP "$box_pid" # so that there is time between the two
	kill -9 "$old"
	check "between the two the fail policy carries the traffic (no-socket)" wait_for 10 pinned_more_than 49 "$before"
	kill -CONT "$box_pid"
	check "a killed inspector is replaced" wait_for 10 another_inspector "$old"
	wait $ping
	local lost
	lost=$(sed -n 's/.*transmitted, \([0-9]*\) received.*/\1/p' "$topology_dir/ping")
	if [ "${lost:-0}" -ge 270 ]; then ok "sealed traffic went on ($lost of 300 answers)"; else
		not_ok "sealed traffic went on - only ${lost:-0} of 300 answers"; fi
	check "the new inspector inspects" inspects
	check_equal "the restart is counted" 1 "$(restarts)"
	box_conserves "a killed inspector"
}

hung_inspector() {
	local old before
	old=$(inspector)
	before=$(pinned_count 50)
	in_background "$topology_client" ping -q -i 0.2 10.9.0.9 >/dev/null
	kill -STOP "$old"
	check "traffic goes on while the inspector hangs" answers client 10.9.0.9
	check "a hung inspector is replaced" wait_for 20 another_inspector "$old"
	check "until then it went by the heartbeat's policy" pinned_more_than 50 "$before"
	topology_stop "$background"
	check_equal "that is said once" 1 "$(grep -c "(pid $old) hangs" "$topology_dir/halfkeyd.log")"
	check "its successor inspects" inspects
	box_conserves "a hung inspector"
}

short_hang() {
	local old
	box_stop
	sed -i 's/^heartbeat-ms:.*/heartbeat-ms: 4000/' "$topology_dir/halfkey.yaml" # a hang is 40 s
	box_start
	old=$(inspector)
	kill -STOP "$old"
	check "traffic goes on in a short pause" answers client 10.9.0.9
	kill -CONT "$old"
	check "the same inspector goes on after a short pause" inspects
	check_equal "it was not replaced" "$old" "$(inspector)"
	box_conserves "a short pause"
}

killed_starter() {
	local ids
	ids="$(map_id settings) $(map_id counters) $(map_id verdicts)"
	kill -9 "$box_pid"
	wait "$box_pid" 2>/dev/null
	check "traffic goes on without a daemon" answers client 10.9.0.9
	check "its inspector ends by itself" wait_for 10 nobody_is_left
	box_start
	check_equal "a start after kill -9 adopts the maps" "$ids" \
		"$(map_id settings) $(map_id counters) $(map_id verdicts)"
	check "it says so" wait_for 5 grep -q 'adopted' "$topology_dir/halfkeyd.log"
	check "and inspects" inspects
	box_conserves "kill -9 of the starter"
}

stopped() {
	local ids before
	ids="$(map_id settings) $(map_id counters)"
	before=$(pinned_count 48)
	kill "$box_pid"
	wait "$box_pid"
	check_equal "SIGTERM ends with status 0" 0 $?
	check "traffic goes on after SIGTERM" answers client 10.9.0.9
	check "halfkey status says that the program is still there" \
		grep -q "still in place.*halfkey detach -i $topology_instance" <<<"$("$O/halfkey" status -i "$topology_instance" 2>&1)"
	check "as disarmed" pinned_more_than 48 "$before"
	check "no process is left" nobody_is_left
	check_equal "the control socket is gone" no "$([ -e "$topology_dir/control.sock" ] && echo yes || echo no)"
	box_start
	check_equal "a start after SIGTERM adopts the maps" "$ids" "$(map_id settings) $(map_id counters)"
	check "and inspects" inspects
	box_conserves "SIGTERM and start"
	check_equal "no worker's frame account was out of balance" 0 \
		"$(grep -c 'frame account' "$topology_dir/halfkeyd.log")"
}

# A port that goes down is waited for; one that is gone ends the run, as a failure.
port_lost() {
	in_server ip link set s0 down
	check "a link that goes down is said" wait_for 5 grep -q 'port box-s: its link is down' "$topology_dir/halfkeyd.log"
	in_server ip link set s0 up
	check "one that comes back, too" wait_for 5 grep -q 'port box-s: its link is up again' "$topology_dir/halfkeyd.log"
	check "it inspects again" wait_for 10 inspects
	in_box ip link del box-s
	wait_for 10 topology_ended "$box_pid"
	wait "$box_pid"
	check_equal "a port that is gone ends halfkeyd with status 1" 1 $?
	check "with a sentence" wait_for 5 grep -q 'port box-s (ifindex [0-9]*) is gone' "$topology_dir/halfkeyd.log"
	check "what is pinned can be taken away" "$O/halfkey" detach -i "$topology_instance"
}

two_daemons() {
	check_equal "a second daemon of the instance is refused" 1 \
		"$(in_box "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" >"$topology_dir/second" 2>&1; echo $?)"
	check "with a sentence" grep -q 'a halfkeyd runs with this instance' "$topology_dir/second"
	sed 's/^instance: .*/&b/; s/control.sock/second.sock/' "$topology_dir/halfkey.yaml" >"$topology_dir/second.yaml"
	check_equal "so is another instance on the same ports" 1 \
		"$(in_box "$O/halfkeyd" -c "$topology_dir/second.yaml" >"$topology_dir/second" 2>&1; echo $?)"
	check "with the name of the one that has them" \
		grep -q "port 'box-c': Halfkey's instance '$topology_instance' has it" "$topology_dir/second"
	check "halfkey status finds out that its socket is elsewhere" \
		grep -q "control socket elsewhere" <<<"$("$O/halfkey" status -i "$topology_instance" 2>&1)"
	check "the first goes on" inspects
}

topology_up "${1:-2}"
sealed_keys
{ echo "mode: inline"; echo "heartbeat-ms: 2000"; sealed_domains; } | box_config # a hang is 20 s
box_start
sealed_up
check "it inspects" inspects
killed_inspector
hung_inspector
two_daemons
killed_starter
stopped
short_hang
port_lost
sealed_down
test_end
