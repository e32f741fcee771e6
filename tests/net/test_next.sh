#!/bin/bash
# The next keys by `keygen --next`, step by step as it prints them, with the box
# in the middle and traffic all the while: nothing is lost, and the box opens all.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/sealed.sh"
test_begin next

configuration() {
	echo "mode: inline"
	sealed_domains
}

# place FILE: FILE of the next keys in the place of the box's or both hosts' key files
place_box() { # FILE: with the reader keys of the same step, where there are any
	local readers=$topology_dir/next/readers${1#box}
	cp "$topology_dir/next/$1" "$topology_dir/keys/box.keys"
	[ ! -e "$readers" ] || cat "$readers" >>"$topology_dir/keys/box.keys"
}
place_hosts() { # SUFFIX
	local host
	for host in client server; do cp "$topology_dir/next/$host$1" "$topology_dir/keys/$host.keys"; done
}

# Both tunnels read their files again
hang_up() {
	local log pid
	for log in client server; do : >"$topology_dir/$log.tunnel.log"; done
	for pid in "${sealed_pids[@]}"; do kill -HUP "$pid"; done
	for log in client server; do
		wait_for 10 grep -q reloaded "$topology_dir/$log.tunnel.log" || return 1
	done
}

prepare() {
	local host
	for host in client server; do
		"$O/halfkey-endpoint" tunnel --first-use --prepare -c "$topology_dir/keys/$host.tunnel.yaml" \
			--state "$topology_dir/keys/$host.state" || return 1
	done
}

rotate() { # NAME KEYGEN-OPTION...
	local name=$1
	shift
	topology_up 1
	sealed_keys "$@"
	chmod 711 "$topology_dir"
	configuration | box_config
	box_start
	sealed_up || return
	"$O/halfkey-endpoint" keygen -o "$topology_dir/next" --next "$topology_dir/keys" >"$topology_dir/steps" 2>&1
	check_equal "$name: one command makes the next keys, and says what to do" 5 \
		"$(grep -cE '^  [1-5]\. ' "$topology_dir/steps")"
	echo_begin "$topology_dir/pings" 0.02
	place_box box.accept.keys
	check "$name: 1. the box takes both" box reload
	place_hosts .accept.keys
	check "$name: 2. the hosts take both" hang_up
	place_hosts .change.keys
	if grep -q -- --prepare "$topology_dir/steps"; then check "$name: 3. state for the new SPIs" prepare; fi
	check "$name: 3. the hosts change over" hang_up
	check "$name: new connections pass" bulk client server 10.9.0.9 2000
	place_hosts .keys
	check "$name: 4. the hosts have the new keys alone" hang_up
	place_box box.keys
	check "$name: 5. so has the box" box reload
	check "$name: and so they pass in the end" bulk server client 10.9.0.1 2000
	echo_end
	check "$name: no ping of all that time was lost" none_lost "$topology_dir/pings"
	check_equal "$name: the box opened every one" "0 0 0" \
		"$(box_count no-key) $(box_count stale-key) $(box_count implausible)"
	box_conserves "$name"
	sealed_down
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

rotate "PSP"
rotate "EESP with reader tags" --envelope eesp --reader
rotate "ESP of three levels" --envelope esp --level region --level group --level task
rotate "Inline keying" --envelope inline
topology_up
test_end
