#!/bin/bash
# Rotation without loss: every root of a sealed path is rotated twice under
# traffic (so that a slot comes back with another key), in the order of
# docs/keys.md: the box first, then the hosts, then the old keys go.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin rotation

# One pair of tunnels per generation, one after the other.
#   generation 1: slot 0, generation 2: slot 1, generation 3: slot 0 again
make_keys() { # GENERATION SLOT ENVELOPE-OPTION...
	local g=$1 slot=$2
	shift 2
	sealed_keys --slot "$slot" --generation "$g" "$@"
	rm -rf "$topology_dir/keys.$g"
	mv "$topology_dir/keys" "$topology_dir/keys.$g"
}

tunnels=()
tunnel() { # GENERATION NAMESPACE NAME LOCAL PEER
	local log=$topology_dir/$3.$1.log first=(--first-use)
	[ -e "$topology_dir/keys.$1/$3.state" ] && first=()
	: >"$log"
	in_background "$2" "$O/halfkey-endpoint" tunnel -c "$topology_dir/keys.$1/$3.tunnel.yaml" \
		--state "$topology_dir/keys.$1/$3.state" "${first[@]}" 2>>"$log"
	tunnels+=("$background")
	wait_for 10 grep -q ' ready ' "$log" || { not_ok "tunnel $3 $1 starts - $(tail -n 1 "$log")"; return 1; }
}

counts() { echo "$(box_count no-key) $(box_count stale-key) $(box_count implausible) $(box_count bad-icv) $(box_count key-expired)"; }
state_is() { [ "$(box keys list --json | jq -r "[.[] | select(.generation == $1) | .state] | unique | join(\",\")")" = "$2" ]; }
ping_both() { in_client ping -q -i 0.002 -c "$1" -W 2 10.9.0.9 >"$topology_dir/ping"; }
received() { sed -n 's/.*transmitted, \([0-9]*\) received.*/\1/p' "$topology_dir/ping"; }

one() { # TAG KEYGEN-OPTION...
	local tag=$1 g domain pid
	shift
	rm -rf "$topology_dir"/keys* "$topology_dir"/*.log
	make_keys 1 0 "$@"; make_keys 2 1 "$@"; make_keys 3 0 "$@"
	cp -a "$topology_dir/keys.1" "$topology_dir/keys"
	domain=$(sed -n 's/.*name: *\([a-z0-9-]*\).*/\1/p' "$topology_dir/keys/domain.yaml" | head -n 1)
	{ echo "mode: inline"; sealed_domains; } | box_config
	box_start
	tunnel 1 "$topology_client" client && tunnel 1 "$topology_server" server || return
	check "$tag: generation 1 carries traffic" pings client 10.9.0.9
	ping_both 1500 &
	pid=$!
	for g in 2 3; do
		check "$tag: the box is given generation $g, and the older ones an end" box keys rotate "$domain" 60 "$topology_dir/keys.$g/box.keys"
		check "$tag: it is accepted before anybody uses it" wait_for 5 state_is "$g" next
		move_over "$g"
		check "$tag: then it is in use" wait_for 5 state_is "$g" current
		check_equal "$tag: and generation $((g - 1)) is the one before" true "$(state_is $((g - 1)) previous && echo true)"
	done
	wait "$pid"
	sleep 0.3
	check "$tag: traffic went on all the while" [ "$(received)" -gt 300 ]
	check_equal "$tag: the box opened every sealed packet" "$(box stats --json | jq '.workers.received')" "$(box_count ok)"
	check_equal "$tag: none was without key, stale or misread" "0 0 0 0 0" "$(counts)"
	retire_old "$tag" "$domain"
	box_conserves "$tag: two rotations"
	topology_stop "${tunnels[@]}"
	tunnels=()
	box_stop
	# shellcheck disable=SC2034 # test_end looks at it
	box_pid=
	"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
}

# The hosts change over: their old tunnels end, new ones begin.
move_over() {
	topology_stop "${tunnels[@]}"
	tunnels=()
	tunnel "$1" "$topology_client" client && tunnel "$1" "$topology_server" server
}

retire_old() {
	local tag=$1 domain=$2 receiver
	for receiver in 192.0.2.1 192.0.2.9; do
		check "$tag: the first generation of $receiver is retired" box keys retire "$domain" slot=0 generation=1 "receiver=$receiver"
	done
	check "$tag: the newest goes on" pings client 10.9.0.9
	move_over 1
	in_client ping -q -c 5 -i 0.05 -W 1 10.9.0.9 >/dev/null 2>&1
	check "$tag: a late packet of the first is stale-key, not garbage" test "$(box_count stale-key)" -ge 5
}

topology_up 1
one psp-split
topology_down
topology_up 1
one psp-single --profile single
test_end
