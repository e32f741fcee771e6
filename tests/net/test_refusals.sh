#!/bin/bash
# What halfkeyd refuses to start with, each with its own sentence, and that a
# refused start leaves nothing behind.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin refusals

config() { { echo "mode: inline"; sealed_domains; [ $# -eq 0 ] || echo "$1"; } | box_config; }

refused() { # NAME WORDS: starts, wants exit 1 and the words, and nothing left
	local out=$topology_dir/out status
	in_box timeout 200 "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" >"$out" 2>&1
	status=$?
	check_equal "$1 is refused" 1 $status
	check "$1: the sentence says why" grep -q -- "$2" "$out"
	check_equal "$1: no pins are left" "" "$(ls -d /sys/fs/bpf/halfkey/v*/"$topology_instance" 2>/dev/null)"
	check_equal "$1: no program is left" "" "$(in_box ip -o link | grep -o 'prog/xdp')"
	check_equal "$1: no process is left" "" "$(ip netns pids "$topology_box")"
}

virtual() { # NAME WORDS IP-LINK-ADD-WORDS...: a kind of device that stands on others
	local name=$1 words=$2
	shift 2
	if ! in_box ip link add "$@" 2>/dev/null; then
		skip "$name - this kernel makes none"
		return
	fi
	config
	sed -i 's/^ports:.*/ports: [box-c, hkx]/' "$topology_dir/halfkey.yaml"
	refused "$name" "$words"
	in_box ip link del hkx
}

ports() {
	config
	sed -i 's/^ports:.*/ports: [box-c, nonesuch0]/' "$topology_dir/halfkey.yaml"
	refused "a port that is not there" "port 'nonesuch0'"
	in_box ip link set box-s mtu 9000
	config
	refused "an MTU above what fits" "its MTU is 9000, and at most 3498"
	in_box ip link set box-s mtu 1500
	in_box ethtool -L box-s rx 1 tx 2
	refused "unequal queue counts" "have 2 and 1 queues"
	in_box ethtool -L box-s rx 2 tx 2
	config "queues: 1"
	refused "fewer queues than the port has" "queues: 1 wanted"
	in_box ethtool -L box-c rx 1 tx 1
	virtual "a VLAN device" "a VLAN device has no native XDP" link box-s name hkx type vlan id 7
	virtual "a bridge" "a bridge has no native XDP" name hkx type bridge
	virtual "a bond" "a bond has no AF_XDP queues" name hkx type bond
	in_box ethtool -L box-c rx 2 tx 2
}

rights() {
	config "user: root"
	refused "an inspector as root" "root"
	config "user: nonesuch-user"
	refused "a user that is not there" "nonesuch-user"
	config
	chmod 644 "$topology_dir/keys/box.keys"
	refused "a key file that others can read" "box.keys"
	chmod 600 "$topology_dir/keys/box.keys"
	cp "$topology_dir/keys/box.keys" "$topology_dir/good.keys"
	echo "slot=0 generation=2 side=auth key=$(printf '%064d' 7)" >>"$topology_dir/keys/box.keys"
	refused "an authentication key in a split domain" "box.keys"
	cp "$topology_dir/good.keys" "$topology_dir/keys/box.keys"
}

another_program() {
	in_box ip link add box-x numrxqueues 2 numtxqueues 2 type veth peer name box-y numrxqueues 2 numtxqueues 2
	in_box ip link set box-x up
	config
	# the same ports, held by another instance
	box_start
	sed "s/^instance:.*/instance: $topology_instance-o/; s/control\.sock/other.sock/" "$topology_dir/halfkey.yaml" >"$topology_dir/other.yaml"
	in_box timeout 200 "$O/halfkeyd" -c "$topology_dir/other.yaml" >"$topology_dir/out" 2>&1
	check_equal "a port with another instance is refused" 1 $?
	check "the sentence names that instance" grep -q "instance '$topology_instance' has it" "$topology_dir/out"
	check_equal "no pins of it are left" "" "$(ls -d /sys/fs/bpf/halfkey/v*/"$topology_instance"-o 2>/dev/null)"
	check "the first goes on" box_ready
	box_stop
}

# Pins of the right name with another layout
mismatch() {
	local pins=$pins/$topology_instance
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	mkdir -p "$pins"
	bpftool map create "$pins/settings" type array key 4 value 8 entries 1 name settings
	in_box timeout 200 "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" >"$topology_dir/out" 2>&1
	check_equal "maps of another layout are refused" 1 $?
	check "the sentence names the pin" grep -q "$pins/settings: pinned with another key or value size" "$topology_dir/out"
	check "and leaves it alone" test -e "$pins/settings"
	rm -r "$pins"
	mkdir -p "/sys/fs/bpf/halfkey/v99/$topology_instance"
	in_box timeout 200 "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" >"$topology_dir/out" 2>&1
	check_equal "pins of another version are refused" 1 $?
	check "the sentence names the version" grep -q "v99/$topology_instance: pinned by" "$topology_dir/out"
	rmdir "/sys/fs/bpf/halfkey/v99/$topology_instance" /sys/fs/bpf/halfkey/v99
}

# An attach mode that was demanded is kept, and the mode in use is told
modes() {
	config "attach: generic"
	box_start
	check_equal "generic mode when it is demanded" generic "$(box status --json | jq -r '.ports[0].xdp')"
	check "traffic passes in generic mode" pings client 192.0.2.9
	box_stop
	config "attach: native"
	box_start
	check_equal "native mode when it is demanded, though the pinned link was generic" native \
		"$(box status --json | jq -r '.ports[0].xdp')"
	check "traffic passes in native mode" pings client 192.0.2.9
	box_conserves "modes"
}

# A start on other ports than those an earlier run left its program on: that is taken off first, or it would
# send what comes there into a new one
programs() { in_box ip -o link | sed -n 's/^[0-9]*: \([^:@]*\).*prog\/xdp.*/\1/p' | sort | tr '\n' ' '; }
other_ports() {
	local other=$topology_instance-x
	config
	box_start
	box_stop
	check_equal "the program stays behind" "box-c box-s " "$(programs)"
	sed -i 's/^ports:.*/ports: [box-s, box-c]/' "$topology_dir/halfkey.yaml"
	box_start
	check_equal "the same ports the other way round" "box-s box-c" "$(box status --json | jq -r '[.ports[].name] | join(" ")')"
	check "traffic passes" pings client 192.0.2.9
	box_stop
	# box-x is another instance's: this one ends with the ports of neither run
	printf '%s\n' "mode: passive" "ports: [box-x]" "instance: $other" "control: $topology_dir/other.sock" \
		>"$topology_dir/other.yaml"
	in_background "$topology_box" "$O/halfkeyd" -c "$topology_dir/other.yaml" 2>>"$topology_dir/halfkeyd.log"
	check "another instance on another port" wait_for 20 other_ready
	sed -i 's/^ports:.*/ports: [box-x, box-s]/' "$topology_dir/halfkey.yaml"
	in_box timeout 200 "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" >"$topology_dir/out" 2>&1
	check_equal "a start on that port and an old one is refused" 1 $?
	check "the sentence names that instance" grep -q "instance '$other' has it" "$topology_dir/out"
	check_equal "no program is left that would send into it" "box-x " "$(programs)"
	topology_stop "$background"
	"$O/halfkey" detach -i "$other" >/dev/null
	config
}
other_ready() { "$O/halfkey" status -s "$topology_dir/other.sock" --json 2>/dev/null | jq -e .armed >/dev/null; }

topology_up 2
sealed_keys
ports
rights
another_program
other_ports
mismatch
modes
test_end
