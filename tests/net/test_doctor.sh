#!/bin/bash
# `halfkey doctor` on veth pairs that are right and wrong on purpose.
set -u
cd "$(dirname "$0")/../.." || exit 1
halfkey=$(realpath "${O:-build}")/halfkey
ns=hkdoc$$
work=$(mktemp -d)

cleanup() {
	ip netns del "$ns" 2>/dev/null
	ip netns del "$ns-far" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ "$(id -u)" -ne 0 ]; then
	echo "skip doctor: all of it - needs root"
	exit 0
fi

failed=0
# expect NAME STATUS PATTERN ARGUMENT...: exit status and a line of what it prints
expect() {
	local name=$1 status=$2 pattern=$3 got
	shift 3
	nsenter --net="/run/netns/$ns" "$halfkey" doctor "$@" >"$work/out" 2>&1
	got=$?
	if [ $got -ne "$status" ]; then
		echo "not ok doctor: $name - exit status $got: $(grep -m1 '^fail' "$work/out")"
		failed=1
	elif ! grep -qE "$pattern" "$work/out"; then
		echo "not ok doctor: $name - no line matches '$pattern'"
		failed=1
	else
		echo "ok doctor: $name"
	fi
}

ip netns add "$ns" || exit 1
in_ns() { nsenter --net="/run/netns/$ns" "$@"; }
in_ns ip link add name xa numrxqueues 2 numtxqueues 2 type veth peer name xpa numrxqueues 2 numtxqueues 2
in_ns ip link add name xb numrxqueues 2 numtxqueues 2 type veth peer name xpb numrxqueues 2 numtxqueues 2
for dev in xa xb xpa xpb; do
	in_ns ip link set "$dev" up
	in_ns ethtool -K "$dev" gro on tx off rxvlan off >/dev/null 2>&1
done

expect "a good pair" 0 '^ok +xa +peer xpa has GRO on' xa xb
expect "VLAN offload off is seen" 0 '^ok +xb +leaves VLAN tags' xa xb
in_ns ethtool -K xpa gro off >/dev/null 2>&1
expect "a peer without GRO or XDP" 1 '^fail +xa +peer xpa has neither XDP nor GRO' xa xb
in_ns ethtool -K xpa gro on >/dev/null 2>&1
in_ns ethtool -K xpb tx on >/dev/null 2>&1
expect "a peer that leaves checksums open" 1 '^fail +xb +peer xpb leaves checksums' xa xb
in_ns ethtool -K xpb tx off >/dev/null 2>&1
if in_ns ethtool -L xb rx 1 tx 1 >/dev/null 2>&1; then
	expect "unequal queues" 1 '^fail +both ports +xa has 2 queues and xb 1' xa xb
	in_ns ethtool -L xb rx 2 tx 2 >/dev/null 2>&1
else
	echo "skip doctor: unequal queues - this kernel does not change a veth's queues"
fi
in_ns ip link set xb mtu 9000
expect "MTU beyond a frame" 1 '^fail +xb +MTU 9000 is more than' xa xb
in_ns ip link set xb mtu 1400
expect "MTU small and unequal" 0 '^warn +both ports +MTU 1500 and 1400' xa xb
in_ns ip link set xb mtu 1500
in_ns ip address add 192.0.2.1/24 dev xa
expect "an address on a port" 0 '^warn +xa +carries 1 IP address:' xa xb
in_ns ip address flush dev xa
in_ns ethtool -K xa rxvlan on >/dev/null 2>&1
if in_ns ethtool -k xa | grep -q '^rx-vlan-offload: on'; then
	expect "VLAN offload on" 0 '^warn +xa +takes VLAN tags off' xa xb
else
	echo "skip doctor: VLAN offload on - this veth has none"
fi
if in_ns ip link add link xa name xa.5 type vlan id 5 2>/dev/null; then
	expect "a VLAN device" 1 '^fail +xa\.5 +driver 802.1Q' xa.5
else
	echo "skip doctor: a VLAN device - this kernel has none"
fi
expect "no such port" 1 '^fail +nothere ' nothere
if [ "$(grep -c 'ip link' "$work/out")" -eq 1 ]; then echo "ok doctor: what to do about it is said once"; else
	echo "not ok doctor: what to do about it is said once - $(grep -A 1 nothere "$work/out" | tr '\n' ' ')"
	failed=1
fi
in_ns ip link set xa down
expect "a port that is down" 0 '^warn +xa +is down' xa xb

printf 'ports: [xa, xb]\nqueues: 1\n' >"$work/box.yaml"
expect "ports and queues of a configuration" 1 '^fail +xa +2 receive queues, the configuration wants 1' -c "$work/box.yaml"
printf 'ports: [xa, xb]\nuser: halfkey-nobody-here\n' >"$work/box.yaml"
expect "a user that does not exist" 1 '^fail +user +there is no user halfkey-nobody-here' -c "$work/box.yaml"
in_ns ip link set xpa netns 1 name "hkd$$" 2>/dev/null && {
	expect "a peer in another namespace: which end it is" 0 \
		"^warn +xa +its peer is hkd$$ in another namespace, .*\(link-netnsid [0-9]+\)" xa
	expect "and what to look at there" 0 "^ +-> .*ethtool -k hkd$$ shows whether GRO" xa
	ip link del "hkd$$"
}
if ip netns add "$ns-far" && in_ns ip link add name xs index 770 type veth peer name xs netns "$ns-far" index 770; then
	expect "a peer in another namespace that has the same index" 0 "^warn +xs +its peer is xs in another namespace, $ns-far " xs
	expect "with the command for a namespace that has a name" 0 "nsenter --net=/run/netns/$ns-far ethtool -K xs gro on" xs
else
	echo "not ok doctor: a peer in another namespace that has the same index - no such pair"
	failed=1
fi
expect "as JSON" 1 '"level": "fail"' -j nothere
exit $failed
