#!/bin/bash
# The mirror's interface: unmodified readers see both directions and raise
# alerts; the machine's own stack sees nothing, whatever the packets say.
# shellcheck disable=SC2154 # what lib.sh sets
. "$(dirname "$0")/lib.sh"

tap=insp0
suricata_pid=

# The netns is the box's; no veth pairs are needed for this.
mirror_up() {
	topology_dir=$(mktemp -d "${TMPDIR:-/tmp}/halfkey.$topology_id.XXXXXX")
	chmod 755 "$topology_dir"
	ip netns add "$topology_box"
	in_box ip link set lo up
	mkfifo "$topology_dir/commands" "$topology_dir/answers"
	exec 8<>"$topology_dir/commands" 9<>"$topology_dir/answers"
	# not in_background: it would give /dev/null as standard input
	nsenter --net=/run/netns/"$topology_box" -- "$O/tests/mirror_feed" $tap <&8 >&9 2>>"$topology_dir/mirror.log" &
	mirror_pid=$!
	topology_pids+=("$mirror_pid")
	expect ready
}

expect() { # WORD: reads answers until it comes; what stood before it is in $answer
	local line
	answer=
	while read -r -t 200 line <&9; do
		[ "$line" = "$1" ] && return 0
		answer=$line
	done
	return 1
}

tell() {
	echo "$*" >&8
	expect "done"
}

capture() { # FILE FILTER...: tcpdump as anybody runs it, until stopped
	local file=$1
	shift
	capture_file=$file
	in_background "$topology_box" tcpdump -Z root --immediate-mode -i $tap -nn -U -w "$file" "$@" 2>"$file.log"
	capture_pid=$background
	wait_for 10 grep -q 'listening on' "$file.log"
}

capture_stop() { # [COUNT]: when it has written so many packets, and all that come
	local size=-1
	[ $# -eq 0 ] || wait_for 10 captured "$1"
	until [ "$size" = "$(stat -c %s "$capture_file")" ]; do
		size=$(stat -c %s "$capture_file")
		sleep 0.3
	done
	kill "$capture_pid"
	wait "$capture_pid" 2>/dev/null
}

captured() { [ "$(tcpdump -nn -r "$capture_file" 2>/dev/null | wc -l)" -ge "$1" ]; }

counters() { # what the stack has taken in, of both IP versions, UDP and TCP included
	in_box cat /proc/net/snmp /proc/net/snmp6 /proc/net/netstat
}

interface_is_bare() {
	local flags
	flags=$(in_box ip -o link show dev $tap)
	check_equal "the interface is up, without ARP and multicast" "BROADCAST,NOARP,UP,LOWER_UP" \
		"$(echo "$flags" | sed 's/.*<\(.*\)>.*/\1/')"
	check_equal "it has no address" "" "$(in_box ip -o addr show dev $tap)"
	check_equal "IPv6 is off on it" 1 "$(in_box cat /proc/sys/net/ipv6/conf/$tap/disable_ipv6)"
}

tcpdump_reads_both_directions() {
	local file=$topology_dir/both.pcap
	capture "$file"
	tell http 40001
	capture_stop 8
	check_equal "tcpdump sees all segments" 8 "$(tcpdump -nn -r "$file" 2>/dev/null | wc -l)"
	check_equal "the client's side has its own address" 5 \
		"$(tcpdump -nn -r "$file" ether src 02:48:4b:00:00:00 and src host 192.0.2.10 2>/dev/null | wc -l)"
	check_equal "the server's side has its own address" 3 \
		"$(tcpdump -nn -r "$file" ether src 02:48:4b:00:00:01 and src host 198.51.100.20 2>/dev/null | wc -l)"
	check "the plaintext is readable" grep -qa 'GET /secret' "$file"
}

# The most tempting packets: valid, and addressed to addresses and ports where somebody listens.
nothing_is_delivered() {
	local before after address file=$topology_dir/udp.pcap
	in_box ip addr add 192.0.2.50/32 dev lo
	in_box ip addr add 2001:db8::50/128 dev lo nodad
	in_background "$topology_box" socat -u UDP4-RECV:7777 CREATE:"$topology_dir/got4"
	in_background "$topology_box" socat -u UDP6-RECV:7778,ipv6only=1 CREATE:"$topology_dir/got6"
	wait_for 10 listens_at 7777 && wait_for 10 listens_at 7778
	# the control: both listeners do get what really is sent to them
	in_box sh -c 'echo control | socat - UDP4:192.0.2.50:7777; echo control | socat - UDP6:[2001:db8::50]:7778'
	check "the IPv4 listener listens" wait_for 5 grep -q control "$topology_dir/got4"
	check "the IPv6 listener listens" wait_for 5 grep -q control "$topology_dir/got6"
	capture "$file" udp
	before=$(counters)
	for address in 192.0.2.50 127.0.0.1 255.255.255.255 224.0.0.1 192.0.2.255; do tell udp $address 7777; done
	for address in 2001:db8::50 ::1 ff02::1; do tell udp $address 7778; done
	capture_stop 16
	after=$(counters)
	check_equal "the capture saw every packet" 16 "$(tcpdump -nn -r "$file" 2>/dev/null | wc -l)"
	check_equal "the stack counted none" "$before" "$after"
	check_equal "nothing reached a listener" "control control" "$(cat "$topology_dir/got4" "$topology_dir/got6" | xargs)"
}

listens_at() { [ -n "$(in_box ss -Hlun "sport = :$1")" ]; }

# Each of the two walls alone holds: here the filter is taken away, and the addresses must do.
nothing_is_delivered_without_filter() {
	local before after
	in_box tc qdisc del dev $tap clsact
	before=$(counters)
	tell udp 192.0.2.50 7777
	tell udp 2001:db8::50 7778
	after=$(counters)
	check_equal "without the filter the stack still counts none" "$before" "$after"
}

readers_come_and_go() {
	local i
	tell stats
	for i in 1 2 3; do
		capture "$topology_dir/go$i.pcap"
		tell http $((41000 + i))
		kill -KILL "$capture_pid"
		wait "$capture_pid" 2>/dev/null
		tell http $((42000 + i))
	done
	tell flood 5000
	capture "$topology_dir/last.pcap"
	tell http 43000
	capture_stop 8
	check_equal "a reader that comes late reads" 8 "$(tcpdump -nn -r "$topology_dir/last.pcap" 2>/dev/null | wc -l)"
	tell stats
	check_equal "nobody's absence costs a packet" "lost 0 errors 0" "${answer#written * }"
}

# A reader that is stopped in the middle holds nothing up: its own ring drops.
stuck_reader_holds_nothing_up() {
	capture "$topology_dir/stuck.pcap"
	kill -STOP "$capture_pid"
	tell flood 20000
	tell stats
	check_equal "a stuck reader holds nothing up" "lost 0 errors 0" "${answer#written * }"
	kill -CONT "$capture_pid"
	capture_stop
}

interface_down_is_counted() {
	in_box ip link set $tap down
	tell http 44000
	tell stats
	check_equal "with the interface down packets count as lost" "lost 8 errors 8" "${answer#written * }"
	in_box ip link set $tap up
}

suricata_config() {
	cat <<-YAML
		%YAML 1.1
		---
		default-log-dir: $topology_dir/suricata
		outputs:
		  - eve-log: {enabled: yes, filename: eve.json, types: [alert, http, flow]}
		af-packet:
		  - {interface: $tap, cluster-id: 99, cluster-type: cluster_flow, defrag: yes}
		app-layer: {protocols: {http: {enabled: yes}}}
		vars: {address-groups: {HOME_NET: any, EXTERNAL_NET: any}, port-groups: {HTTP_PORTS: "80"}}
		classification-file: $topology_dir/suricata/classification.config
		reference-config-file: $topology_dir/suricata/reference.config
	YAML
}

suricata_start() {
	mkdir -p "$topology_dir/suricata"
	: >"$topology_dir/suricata/classification.config"
	: >"$topology_dir/suricata/reference.config"
	suricata_config >"$topology_dir/suricata.yaml"
	cat >"$topology_dir/local.rules" <<-RULES
		alert http any any -> any any (msg:"to server"; flow:established,to_server; http.uri; content:"/secret"; sid:1; rev:1;)
		alert tcp any 80 -> any any (msg:"to client"; flow:established,to_client; content:"forbidden"; sid:2; rev:1;)
	RULES
	in_background "$topology_box" suricata -c "$topology_dir/suricata.yaml" -S "$topology_dir/local.rules" \
		-i $tap -k none --runmode workers --pidfile "$topology_dir/suricata.pid" >"$topology_dir/suricata.log" 2>&1
	suricata_pid=$background
	wait_for 60 grep -qE 'Engine started' "$topology_dir/suricata.log" "$topology_dir/suricata/suricata.log"
}

suricata_alerted() { grep -qs "\"signature_id\":$1," "$topology_dir/suricata/eve.json"; }

# An unmodified Suricata 7 follows TCP in both directions and alerts in both.
suricata_reads() {
	if ! command -v suricata >/dev/null; then
		skip "an unmodified Suricata alerts - suricata is not installed"
		return
	fi
	if ! suricata_start; then
		not_ok "Suricata starts on the mirror - $(tail -n 2 "$topology_dir/suricata.log" | tr '\n' ' ')"
		return
	fi
	tell http 45000
	tell http 45001
	check "Suricata alerts on the request, following TCP" wait_for 30 suricata_alerted 1
	check "Suricata alerts on the answer, following TCP" wait_for 30 suricata_alerted 2
	check_equal "Suricata sees the inner addresses" "192.0.2.10 > 198.51.100.20" \
		"$(jq -r 'select(.alert.signature_id == 1) | "\(.src_ip) > \(.dest_ip)"' "$topology_dir/suricata/eve.json" | sort -u)"
	topology_stop "$suricata_pid"
}

names_are_refused() {
	local answer
	answer=$(in_box "$O/tests/mirror_feed" lo 2>&1 </dev/null)
	check_equal "a name that is taken is refused" "exists" "$(echo "$answer" | grep -o exists)"
	answer=$(in_box "$O/tests/mirror_feed" sixteen-letters- 2>&1 </dev/null)
	check_equal "a name that is too long is refused" "1 to 15 characters" "$(echo "$answer" | grep -o '1 to 15 characters')"
	answer=$(in_box "$O/tests/mirror_feed" 'a%d' 2>&1 </dev/null)
	check_equal "a pattern is refused" "cannot be an interface name" "$(echo "$answer" | grep -o 'cannot be an interface name')"
}

gone() { ! in_box ip link show dev $tap >/dev/null 2>&1; }

test_begin mirror
if [ ! -c /dev/net/tun ]; then
	skip "all of it - no /dev/net/tun"
	exit 0
fi
if ! mirror_up; then
	not_ok "the mirror comes up"
	exit 1
fi
interface_is_bare
tcpdump_reads_both_directions
readers_come_and_go
stuck_reader_holds_nothing_up
nothing_is_delivered
suricata_reads
nothing_is_delivered_without_filter
interface_down_is_counted
names_are_refused
echo quit >&8
wait "$mirror_pid"
check "the interface goes with its owner" wait_for 5 gone
test_end
