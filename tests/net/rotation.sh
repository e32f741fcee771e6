# shellcheck shell=bash disable=SC2154,SC2034
# Rotation under full traffic, sourced after lib.sh and sealed.sh: a tunnel whose
# keys are rotated twice (so that a slot comes back with another key) in the order
# of docs/keys.md, while pings flood and TCP transfers follow each other through it.
# Nothing is lost and nothing misread: not a ping, not a byte, not a counter.

live=          # what the hosts run with
rotation_loops=()
host() { "$O/halfkey-endpoint" "$@"; }

rotation_tunnel() { # NAMESPACE NAME
	local log=$topology_dir/$2.log
	: >"$log"
	in_background "$1" "$O/halfkey-endpoint" tunnel -c "$live/$2.tunnel.yaml" --first-use 2>>"$log"
	eval "pid_$2=$background"
	wait_for 10 grep -q ' ready ' "$log" || { not_ok "tunnel $2 starts - $(tail -n 1 "$log")"; return 1; }
}

# The host's key file becomes keys.GENERATION/NAME.KIND, without a pause.
reloads() { grep -c ' reloaded' "$topology_dir/$1.log"; }
reloaded() { [ "$(reloads "$1")" -ge "$2" ]; }
install_keys() { # GENERATION KIND
	local name pid before
	for name in client server; do
		cp "$topology_dir/keys.$1/$name.$2" "$live/$name.keys.new"
		chmod 600 "$live/$name.keys.new"
		mv "$live/$name.keys.new" "$live/$name.keys"
		[ "$2" != change.keys ] ||
			check "$tag: $name prepares the state of its new SPIs" host tunnel -c "$live/$name.tunnel.yaml" --first-use --prepare
		before=$(reloads $name)
		pid=pid_$name
		kill -HUP "${!pid}"
		check "$tag: $name takes $2 of generation $1" wait_for 5 reloaded $name $((before + 1))
	done
}

# Floods until $topology_dir/go is gone; one line of sent and received for each round.
flood_loop() {
	while [ -e "$topology_dir/go" ]; do
		echoes client 10.9.0.9 250 0.002 |
			sed -n 's/\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' >>"$topology_dir/pings"
	done
}
bulk_loop() {
	while [ -e "$topology_dir/go" ]; do
		bulk client server 10.9.0.9 256 >>"$topology_dir/bulks.log" 2>&1
		echo $? >>"$topology_dir/bulks"
	done
}
traffic_begin() {
	rm -f "$topology_dir"/{pings,bulks,bulks.log}
	touch "$topology_dir/go"
	flood_loop &
	rotation_loops=($!)
	bulk_loop &
	rotation_loops+=($!)
}
traffic_end() { # TAG
	rm -f "$topology_dir/go"
	wait "${rotation_loops[@]}"
	check_equal "$1: not one ping is lost ($(awk '{n += $1} END {print n}' "$topology_dir/pings") were sent)" "0" \
		"$(awk '{n += $1 - $2} END {print n}' "$topology_dir/pings")"
	check_equal "$1: not one TCP byte is lost or changed ($(wc -l <"$topology_dir/bulks") transfers)" "" \
		"$(grep -v '^0$' "$topology_dir/bulks" | head -n 1; tail -n 1 "$topology_dir/bulks.log")"
}

counted() { [ "$(box_count "$1")" -ge "$2" ]; } # REASON COUNT
misread() { local r; for r in no-key stale-key key-expired key-not-yet wrong-kcv bad-icv implausible next-header; do echo "$r=$(box_count $r)"; done | grep -v '=0$'; }
state_is() { [ "$(box keys list --json | jq -r "[.[] | select(.kind == \"master\" and .generation == $1) | .state] | unique | join(\",\")")" = "$2" ]; }

# rotation TAG NEXT-OPTIONS-2 NEXT-OPTIONS-3 KEYGEN-OPTION...
rotation() {
	local tag=$1 g domain second third
	read -ra second <<<"$2"
	read -ra third <<<"$3"
	shift 3
	topology_up 1
	live=$topology_dir/live
	host keygen --out "$topology_dir/keys.1" "$@" --peer "client=192.0.2.1,10.9.0.1/24" \
		--peer "server=192.0.2.9,10.9.0.9/24" >/dev/null || { not_ok "$tag: keys"; return; }
	cp -a "$topology_dir/keys.1" "$live"
	cp -a "$topology_dir/keys.1" "$topology_dir/keys"
	domain=$(sed -n 's/.*name: *\([a-z0-9-]*\).*/\1/p' "$live/domain.yaml" | head -n 1)
	{ echo "mode: inline"; sealed_domains; } | box_config
	box_start
	rotation_tunnel "$topology_client" client && rotation_tunnel "$topology_server" server || return
	check "$tag: generation 1 carries traffic" pings client 10.9.0.9
	traffic_begin
	for g in 2 3; do
		[ $g = 2 ] && next=("${second[@]}") || next=("${third[@]}")
		check "$tag: generation $g is made" host keygen --out "$topology_dir/keys.$g" --next "$topology_dir/keys.$((g - 1))" "${next[@]//DIR/$topology_dir}"
		check "$tag: the box is given it, and the older ones an end" box keys rotate "$domain" 3600 "$topology_dir/keys.$g/box.keys"
		check "$tag: accepted before anybody uses it" wait_for 5 state_is "$g" next
		install_keys $g accept.keys
		install_keys $g change.keys
		check "$tag: generation $g is in use" wait_for 5 state_is "$g" current
		check "$tag: and generation $((g - 1)) is the one before" wait_for 5 state_is $((g - 1)) previous
		install_keys $g keys
	done
	traffic_end "$tag"
	check "$tag: the box opened every sealed packet ($(box_count ok))" wait_for 5 all_opened
	check_equal "$tag: none was without key, stale or misread" "" "$(misread)"
	for receiver in 192.0.2.1 192.0.2.9; do
		check "$tag: the first generation of $receiver is retired" box keys retire "$domain" slot=0 generation=1 "receiver=$receiver"
	done
	check "$tag: the newest goes on" pings client 10.9.0.9
	late_packets "$tag"
	box_conserves "$tag: two rotations"
	topology_stop "$pid_client" "$pid_server"
	box_stop
	box_pid=
	"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
	topology_down
}

# A host that was left behind: what it sends is stale, not garbage.
late_packets() {
	topology_stop "$pid_client" "$pid_server"
	rm -rf "$live/client.state" "$live/server.state"
	cp "$topology_dir/keys.1/client.keys" "$live/client.keys"
	cp "$topology_dir/keys.1/server.keys" "$live/server.keys"
	rotation_tunnel "$topology_client" client && rotation_tunnel "$topology_server" server || return
	in_client ping -q -c 5 -i 0.05 -W 1 10.9.0.9 >/dev/null 2>&1
	check "$1: a late packet of the first is stale-key, not garbage" wait_for 5 counted stale-key 5
}
