#!/bin/bash
# What inspection costs on the wire: AF_XDP over veth, one core for the box, one
# for the generator.
#
#   veth.sh [-q] [OUT.json]
#
# For each packet size, in turn, several times:
#   drop      AF_XDP receive and drop, nothing reads the packets (plain drop)
#   passive   halfkeyd, passive: receive, derive, open, inspect, drop
#   forward   AF_XDP forward, nothing reads the packets (plain forward)
#   inline    halfkeyd, inline, no hooks: the same plus derive, open, inspect
#   hooks     halfkeyd, inline, firewall (and signatures where there are rules)
#   monitor   halfkeyd, monitor: XDP forwards, a copy is inspected
# Rates in Mpps: what the box received (drop, passive), what came out at the far
# end (the others). The ratio is that of one turn: with inspection / without.
# A full ring drops here: by default XDP forwards what the inspector has no time
# for, and the far end would count packets that nobody opened.
set -u
cd "$(dirname "$0")/../.." || exit 1
O=$(realpath "${O:-build}")
export O
. scripts/topology.sh

runs=5 seconds=2 sizes=${SIZES:-64 512 1400} out=$O/bench/veth.json
if [ "${1:-}" = -q ]; then
	runs=2 seconds=1
	shift
fi
[ $# -gt 0 ] && out=$1
case=psp-5

[ "$(id -u)" -eq 0 ] || { echo "veth.sh: needs root"; exit 1; }
[ "$(nproc)" -ge 2 ] || { echo "veth.sh: needs two cores, one for the generator; skipped"; exit 0; }
trap topology_down EXIT
trap 'exit 130' INT TERM
topology_up 1 1500 || exit 1

on_box_core() { taskset -c 1 "$@"; }
generate() { # SIZE: keeps the box busy for $seconds; prints the rate offered
	in_client taskset -c 0 "$O/bench/generate" c0 "$seconds" $case "$1" many
}
box() { "$O/halfkey" "$@" -s "$topology_dir/control.sock"; }
box_ready() { [ "$(box status --json | jq .armed)" = true ]; }
received() { box stats --json | jq '.workers.received // 0'; }

box_config() { # MODE PORTS [HOOKS]
	cat >"$topology_dir/halfkey.yaml" <<-YAML
		mode: $1
		ports: [$2]
		instance: $topology_instance
		control: $topology_dir/control.sock
		policy: {ring-full: drop}
		domains:
		  - {name: bench, envelope: psp, profile: split, receivers: [192.0.2.9], keys: $topology_dir/bench.keys}
	YAML
	[ -n "${3:-}" ] && printf 'hooks:\n%s\n' "$3" >>"$topology_dir/halfkey.yaml"
}

box_up() {
	box_config "$@"
	in_background "$topology_box" taskset -c 1 "$O/halfkeyd" -c "$topology_dir/halfkey.yaml" 2>>"$topology_dir/log"
	box_pid=$background
	wait_for 20 box_ready && return 0
	echo "veth.sh: halfkeyd does not start: $(tail -n 3 "$topology_dir/log")" >&2
	return 1
}
box_down() {
	topology_stop "$box_pid"
	"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
	rm -rf /sys/fs/bpf/halfkey/v*/"$topology_instance" # and its links, so that the next one finds free ports
}

# ended PID FILE: stops a counting program and prints what it measured
ended() {
	topology_stop "$1"
	cat "$2"
}

plain() { # ARGUMENTS...
	in_background "$topology_box" taskset -c 1 "$O/bench/plain" "$@" >"$topology_dir/plain" 2>"$topology_dir/plain.log"
	plain_pid=$background
	wait_for 10 grep -q ready "$topology_dir/plain.log"
}
sink() {
	in_background "$topology_server" "$O/bench/sink" s0 >"$topology_dir/sink"
	sink_pid=$background
	sleep 0.3
}

# Each prints Mpps.
measure_drop() {
	plain drop box-c
	generate "$1" >/dev/null
	ended $plain_pid "$topology_dir/plain"
}
measure_passive() {
	local before after start end
	box_up passive box-c || return 1
	generate "$1" >/dev/null &
	sleep 0.4
	before=$(received) start=$(date +%s%N)
	sleep "$(awk "BEGIN {print $seconds - 0.7}")"
	after=$(received) end=$(date +%s%N)
	wait $!
	box_down
	jq -n "(${after:-0} - ${before:-0}) * 1000 / ($end - $start)"
}
measure_forward() {
	plain forward box-c box-s
	sink
	generate "$1" >/dev/null
	ended $sink_pid "$topology_dir/sink"
	topology_stop $plain_pid
}
measure_box() { # SIZE MODE [HOOKS]
	sink
	box_up "$2" "box-c, box-s" "${3:-}" || return 1
	generate "$1" >/dev/null
	ended $sink_pid "$topology_dir/sink"
	box_down
}

printf 'slot=0 generation=1 side=enc key=%s receiver=192.0.2.9\n' "$("$O/bench/generate" key)" >"$topology_dir/bench.keys"
chmod 600 "$topology_dir/bench.keys"
cat >"$topology_dir/firewall.yaml" <<-YAML
	default: accept
	rules:
	  - {match: {protocol: tcp, destination-port: 23}, action: drop}
	  - {match: {source: 10.9.0.0/16}, action: drop}
YAML
hooks="  - {use: firewall, rules: $topology_dir/firewall.yaml}"

echo "Mpps over veth, copy mode, $case, one core for the box; medians of $runs"
: >"$topology_dir/turns"
for _ in $(seq "$runs"); do
	for size in $sizes; do
		drop=$(measure_drop "$size") passive=$(measure_passive "$size") forward=$(measure_forward "$size")
		inline=$(measure_box "$size" inline) hooked=$(measure_box "$size" inline "$hooks")
		monitor=$(measure_box "$size" monitor)
		jq -nc --argjson size "$size" --argjson drop "${drop:-0}" --argjson passive "${passive:-0}" \
			--argjson forward "${forward:-0}" --argjson inline "${inline:-0}" --argjson hooks "${hooked:-0}" \
			--argjson monitor "${monitor:-0}" '$ARGS.named' >>"$topology_dir/turns"
	done
done

mkdir -p "$(dirname "$out")"
jq -s --arg cpu "$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2- | xargs)" --arg kernel "$(uname -r)" \
	--argjson runs "$runs" --arg case $case '
	def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	def ratio($a; $b): [.[] | select(.[$b] > 0) | .[$a] / .[$b]] | if length > 0 then median else null end;
	{benchmark: "veth", case: $case, runs: $runs, machine: {cpu: $cpu, kernel: $kernel},
	 rows: [group_by(.size)[] | . as $turns | {inner_bytes: .[0].size,
		mpps: ([("drop", "passive", "forward", "inline", "hooks", "monitor") as $k |
			{($k): ($turns | map(.[$k]) | median)}] | add),
		ratios: {passive_of_drop: ratio("passive"; "drop"), inline_of_forward: ratio("inline"; "forward"),
			hooks_of_forward: ratio("hooks"; "forward"), monitor_of_inline: ratio("monitor"; "inline")}}]}' \
	"$topology_dir/turns" >"$out"
jq -r '["inner", "drop", "passive", "ratio", "forward", "inline", "ratio", "hooks", "ratio", "monitor"],
	(.rows[] | [.inner_bytes, .mpps.drop, .mpps.passive, .ratios.passive_of_drop, .mpps.forward, .mpps.inline,
		.ratios.inline_of_forward, .mpps.hooks, .ratios.hooks_of_forward, .mpps.monitor]
		| map(if type == "number" then . * 100 | round / 100 else . end)) | @tsv' "$out" | column -t
