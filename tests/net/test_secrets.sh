#!/bin/bash
# No key byte anywhere: master keys, roots of levels, keys of one SPI and the keys
# that packets derive, of a box that is used in every way it can be, are looked for
# in all that it writes, says, pins and leaves behind. And the authentication keys
# of the hosts, which it must never have seen, in all of its memory.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin secrets

random_key() { openssl rand -hex "$1"; }
inspector() { box status --json | jq -r .processes.inspector; }
another() { local now; now=$(inspector); [ -n "$now" ] && [ "$now" != "$1" ] && box_ready; }
shows() { python3 tests/net/find_keys.py "$@"; }
no_key_in() { check_equal "no key byte in $1" "" "$(shows "$all_keys" "${@:2}" 2>&1)"; }

# Everything that can be asked, in every form, and what is refused.
ask_everything() {
	local command
	for command in status stats "keys list" "verdicts list"; do
		# shellcheck disable=SC2086
		{ box $command; box $command --json; }
	done
	box stats --prometheus
	for command in '{"command": "keys"}' '{"command": "status"}' '{"command": "stats"}' '{"command": "nonesuch"}' \
		"{\"command\": \"keys-change\", \"domain\": \"$pushed\"}" "$pushed"; do
		echo "$command" | socat -t 2 - "UNIX-CONNECT:$topology_dir/control.sock"
	done
	# lines that are refused, with the key in every place where it does not belong
	for command in "slot=0 generation=1 side=auth key=$pushed" "$pushed" "slot=$pushed" "receiver=$pushed spi=1 side=enc key=$pushed" \
		"receiver=192.0.2.9 spi=1 version=5 side=enc key=${pushed}00" "level=$pushed generation=1 side=enc key=$pushed" \
		"receiver=192.0.2.9 spi=78 version=5 side=enc key=$pushed" "retire receiver=192.0.2.9 spi=77 version=5 key=$pushed" \
		"\"IPv4\",\"$pushed\",\"192.0.2.9\",\"0x1000\",\"AES-CBC [RFC3602]\",\"0x$pushed\",\"NULL\",\"\""; do
		echo "$command" | box keys add tunnel -
		echo "$command" | box keys import tunnel -
		echo "$command" >"$topology_dir/more/.bad"
		mv "$topology_dir/more/.bad" "$topology_dir/more/bad.keys"
	done
	sleep 0.5
	rm "$topology_dir/more/bad.keys"
	"$O/halfkey" check -c "$topology_dir/halfkey.yaml"
	"$O/halfkey" open -c "$topology_dir/halfkey.yaml" --json "$topology_dir/sealed.pcap"
	tr '\0' '\n' <"/proc/$(inspector)/cmdline"
	tr '\0' '\n' <"/proc/$box_pid/cmdline"
	tr '\0' '\n' <"/proc/$box_pid/environ"
}

dump_maps() {
	local map
	for map in "$pins/$topology_instance"/*; do
		bpftool map dump pinned "$map"
		bpftool -j map dump pinned "$map"
	done
}

# Memory that the kernel leaves out of core files (dd), of the process $1: how much, in kB
undumped() { awk '/^[0-9a-f]+-[0-9a-f]+ /{size = 0} /^Size:/{size = $2} /^VmFlags:.* dd/{n += size} END {print n + 0}' "/proc/$1/smaps"; }

core_files() {
	local pid=$1 name=$2
	if ! command -v gcore >/dev/null; then
		skip "a core file of the $name - gcore is not installed"
		return
	fi
	if ! gcore -o "$topology_dir/core.$name" "$pid" >/dev/null 2>&1; then
		skip "a core file of the $name - gcore cannot read it"
		return
	fi
	no_key_in "a core file of the $name" "$topology_dir/core.$name.$pid"
	rm -f "$topology_dir/core.$name.$pid"
}

# All of its memory, what core files leave out too, page by page as the kernel shows it to root.
whole_memory() {
	python3 - "$1" >"$topology_dir/memory" <<-'PY'
		import sys
		pid = sys.argv[1]
		with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
		    for line in maps:
		        at, end = (int(n, 16) for n in line.split()[0].split("-"))
		        if "r" not in line.split()[1] or "[v" in line or end - at > 1 << 30:
		            continue
		        try:
		            memory.seek(at)
		            sys.stdout.buffer.write(memory.read(end - at))
		        except (OSError, ValueError):
		            pass
	PY
}

topology_up 1
pushed=$(random_key 32)
"$O/halfkey-endpoint" keygen --out "$topology_dir/keys" --level region --level task --peer client=192.0.2.1,10.9.0.1/24 \
	--peer server=192.0.2.9,10.9.0.9/24 >/dev/null
mkdir -m 700 "$topology_dir/more"
(umask 077 && {
	echo "receiver=192.0.2.9 spi=91 version=5 side=enc key=$(random_key 32)" >"$topology_dir/more/one.keys"
	echo "receiver=192.0.2.9 spi=77 version=5 side=enc key=$pushed" >"$topology_dir/pushed.keys"
	# what the box holds, and what packets of it derive
	grep -h 'side=enc' "$topology_dir"/keys/{box,client,server,levels}.keys "$topology_dir/more/one.keys" \
		"$topology_dir/pushed.keys" >"$topology_dir/all.keys"
	grep -h 'side=auth' "$topology_dir"/keys/{client,server,levels}.keys >"$topology_dir/auth.keys"
})
all_keys=$topology_dir/all.keys
{
	echo "mode: inline"
	sealed_domains | sed "/keys: keys\/box.keys/a\    keys-dir: more"
	echo "feeds: {eve: {path: $topology_dir/eve.json, stats-interval: 1}, pcapng: {path: $topology_dir/seen.pcapng}}"
} | box_config
ulimit -c unlimited
box_start
sealed_up
nsenter --net="/run/netns/$topology_server" timeout 200 tcpdump -q --immediate-mode -i s0 -c 20 -w "$topology_dir/sealed.pcap" udp port 1000 2>"$topology_dir/catcher.log" &
catcher=$!
wait_for 10 grep -q listening "$topology_dir/catcher.log"
check "sealed traffic is opened" pings client 10.9.0.9
check "TCP, too" bulk client server 10.9.0.9 256
wait $catcher
check "a key is pushed" box keys add tunnel "$topology_dir/pushed.keys"
check "and the file of the directory is in force" wait_for 5 eval 'box keys list --json | grep -q "\"spi\": *91"'

ask_everything >"$topology_dir/said" 2>&1
dump_maps >"$topology_dir/maps" 2>&1
check "there is something to look at" test "$(wc -c <"$topology_dir/said")" -gt 8000
check_equal "the search finds what is there" "$topology_dir/pushed.keys: 4" "$(shows "$all_keys" "$topology_dir/pushed.keys")"
no_key_in "answers, refusals, command lines and environments" "$topology_dir/said"
no_key_in "the BPF maps" "$topology_dir/maps"
no_key_in "EVE" "$topology_dir/eve.json"
no_key_in "the pcapng feed" "$topology_dir/seen.pcapng"
holds_packets() { [ "$(wc -c <"$topology_dir/seen.pcapng")" -gt 10000 ]; }
check "which holds packets" wait_for 5 holds_packets

pid=$(inspector)
check "the inspector's keys stand in memory that core files leave out" test "$(undumped "$pid")" -gt 10000
check "so does what the starter keeps for the next one" test "$(undumped "$box_pid")" -ge 7680
core_files "$pid" inspector
core_files "$box_pid" starter
whole_memory "$pid"
check_equal "the search finds keys in the inspector's memory" yes "$([ -n "$(shows "$all_keys" "$topology_dir/memory")" ] && echo yes)"
check_equal "but no authentication key" "" "$(shows "$topology_dir/auth.keys" "$topology_dir/memory")"

# What goes is wiped, wherever it was on its way: retired, expired, and with its file.
ends_soon() { # as soon as it can be added before
	local after
	for after in 3 10 30 100; do
		(umask 077; echo "receiver=192.0.2.9 spi=79 version=5 side=enc key=$(random_key 32) not-after=$(($(date +%s) + after))" >"$topology_dir/short.keys")
		box keys add tunnel "$topology_dir/short.keys" && return
	done
	return 1
}
check "a key that ends soon is pushed" ends_soon
check "the other one is retired" box keys retire tunnel receiver=192.0.2.9 spi=77 version=5
cp -p "$topology_dir/more/one.keys" "$topology_dir/one.gone.keys"
rm "$topology_dir/more/one.keys"
state_is() { [ "$(box keys list --json | jq -r ".[] | select(.spi == $1) | .state")" = "$2" ]; }
check "the file goes" wait_for 5 state_is 91 retired
check "and the time of the third is over" wait_for 10 state_is 79 expired
# when the last one who works on it has finished
forgotten() { whole_memory "$2" && [ -z "$(shows "$topology_dir/$1.keys" "$topology_dir/memory" 2>&1)" ]; }
for gone in pushed short one.gone; do
	check "nothing is left of it in the inspector's memory ($gone)" wait_for 2 forgotten $gone "$pid"
	check "nor in the starter's ($gone)" wait_for 2 forgotten $gone "$box_pid"
done
rm -f "$topology_dir/memory"

# A crash, with core files allowed by the shell and looked for where the kernel would put one.
before=$(find . "$topology_dir" /tmp /var/lib/systemd/coredump -maxdepth 1 -name 'core*' 2>/dev/null | sort)
kill -SEGV "$pid"
check "a crashed inspector is replaced" wait_for 15 another "$pid"
check_equal "and leaves no core file" "$before" \
	"$(find . "$topology_dir" /tmp /var/lib/systemd/coredump -maxdepth 1 -name 'core*' 2>/dev/null | sort)"
check "sealed traffic is opened again" pings client 10.9.0.9
core_files "$(inspector)" heir
sealed_down
no_key_in "the logs of box and hosts" "$topology_dir/halfkeyd.log" "$topology_dir"/*.tunnel.log
box_conserves "secrets"
test_end
