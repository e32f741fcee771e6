#!/bin/bash
# What an operator does with a running box: every command that asks the daemon,
# and verdicts that stop and free a sealed flow.
# shellcheck disable=SC2154,SC2034 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin operator
topology_up 1
sealed_keys
{
	echo "mode: inline"
	sealed_domains
} | box_config

check "check takes the configuration" "$O/halfkey" check -c "$topology_dir/halfkey.yaml"
box_start
sealed_up
check "sealed traffic passes" pings client 10.9.0.9

says() { # PATTERN COMMAND...: the output has a matching line
	local pattern=$1
	shift
	"$@" | grep -qE "$pattern"
}
check "status: inspecting, native" says 'inspecting' box status
check "status: the ports" wait_for 5 says '^ +box-c +up +10 Gbit/s +veth +native ' box status
check_equal "status: the configuration's path" "$topology_dir/halfkey.yaml" "$(box status -j | jq -r .configuration)"
check_equal "status: the pins" "$pins/$topology_instance" "$(box status -j | jq -r .pins)"
check_equal "manuals and scripts name the pins of this version" "" \
	"$(grep -rnoE 'bpf/halfkey/v[0-9]+' README.md docs maps/README.md scripts | grep -v "/${pins##*/}$")"
check "status by -c" "$O/halfkey" status -c "$topology_dir/halfkey.yaml"
check "stats: opened packets are counted" says '^worker +ok ' box stats
box_conserves "after pings"
box stats -p >"$topology_dir/metrics"
check_equal "Prometheus: nothing but headings and rows" 0 "$(grep -cvE \
	'^(# (HELP|TYPE) halfkey_[a-z_]+ .+|halfkey_[a-z_]+\{instance="[^"]*"(,[a-z]+="[^"]*")*\} [0-9]+)$' "$topology_dir/metrics")"
check_equal "Prometheus: the rows of a metric stand together, under one type" "" "$(grep -v '^# HELP' "$topology_dir/metrics" |
	sed 's/^# TYPE //; s/[{ ].*//' | uniq | sort | uniq -d)"
metrics_agree() { # no packet between the two
	[ "$(box stats -p | sed -n 's/^halfkey_packets_total{.*,stage="workers",reason="ok"} //p')" = "$(box_count ok)" ]
}
check "Prometheus: packets that opened" wait_for 3 metrics_agree
check "keys: fingerprints" says ' [0-9a-f]{16}$' box keys list
key=$(grep -oE 'key=[0-9a-f]{64}' "$topology_dir/keys/box.keys" | head -n 1 | cut -d= -f2)
check_equal "keys: no key in any answer" 0 \
	"$({ box keys list; box keys list -j; box status -j; box stats -j; } | grep -ciE "${key:0:16}|${key:16:16}")"
check_equal "verdicts: none yet" 0 "$(box verdicts list -j | jq length)"

# The flow client → server, as the wire shows it: PSP's SPI stands 4 bytes into the UDP payload.
domain=$(box status -j | jq -r '.inspection.domains[0]')
one_payload() { # the payload of one sealed packet, in hex
	nsenter --net="/run/netns/$topology_server" timeout 200 tshark -ni any -c 1 -T fields -e udp.payload \
		-f 'udp dst port 1000 and src 192.0.2.1' 2>/dev/null
}
one_payload >"$topology_dir/payload" &
catcher=$!
for _ in $(seq 400); do
	in_client ping -q -c 2 -i 0.2 -W 1 10.9.0.9 >/dev/null
	kill -0 $catcher 2>/dev/null || break
done
wait $catcher
spi=$(cut -c9-16 "$topology_dir/payload")
if [ ${#spi} -ne 8 ]; then
	skip "verdicts on a live flow - no SPI could be captured"
else
	before=$(reason_count xdp verdict-drop)
	check "verdicts add: drop" box verdicts add "$domain" 192.0.2.1 192.0.2.9 "0x$spi" drop 3600
	check_equal "verdicts list shows it" "0x$spi drop" \
		"$(box verdicts list | awk 'NR == 2 {print $4, $5}')"
	in_client ping -q -c 5 -i 0.1 -W 1 10.9.0.9 >/dev/null
	drops() { [ "$(reason_count xdp verdict-drop)" -gt "$before" ]; }
	check "the kernel drops the flow" wait_for 5 drops
	check "verdicts delete" box verdicts delete "$domain" 192.0.2.1 192.0.2.9 "0x$spi"
	check "the flow is free again" pings client 10.9.0.9
	box_conserves "after verdicts"
fi
check_equal "verdicts: an unknown domain is refused" 1 \
	"$(box verdicts add nowhere 192.0.2.1 192.0.2.9 1 drop 60 >/dev/null 2>&1; echo $?)"

check "reload waits, and is done" box reload
echo "polcy: {}" >>"$topology_dir/halfkey.yaml"
check "a refused reload says why" says 'unknown key "polcy"' bash -c \
	"! '$O/halfkey' reload -s '$topology_dir/control.sock' 2>&1"
check "and the old configuration works on" pings client 10.9.0.9
check_equal "detach is refused while it runs" 1 "$("$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1; echo $?)"
check_equal "another user is refused" 1 "$(setpriv --reuid 65534 --clear-groups "$O/halfkey" status -s \
	"$topology_dir/control.sock" >/dev/null 2>&1; echo $?)"
box_stop
box_pid=
check_equal "a stopped daemon: a sentence" 1 "$(box status >/dev/null 2>&1; echo $?)"
check "detach after the stop" "$O/halfkey" detach -i "$topology_instance"
check "detach again: nothing there" says 'nothing is attached' "$O/halfkey" detach -i "$topology_instance"
sealed_down
test_end
