#!/bin/bash
# Verdicts for the kernel: where one SPI carries one flow, a hook's drop for the
# rest of a flow ends in XDP, for as long as it said; an unauthenticated flow
# never gets an allow.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin verdicts

verdicts() { bpftool -j map dump pinned "$pins/$topology_instance/verdicts"; }
verdicts_count() { verdicts | jq 'if type == "array" then length else error("no map") end'; }
verdicts_some() { [ "$(verdicts_count)" -gt 0 ]; }
verdicts_none() { [ "$(verdicts_count)" = 0 ]; }
allows() { verdicts | jq '[.[] | select(.formatted.value.verdict == 0)] | length'; }

drops_more() { [ "$(reason_count xdp verdict-drop)" -gt "$1" ]; }
pinged() { # COMMAND...: the flow begins anew where its verdict is over already
	in_client ping -q -c 3 -i 0.1 -W 0.2 10.9.0.9 >/dev/null
	"$@"
}

allows_some() { [ "$(allows)" -gt 0 ]; }

run() { # MODE PROFILE
	local before
	topology_up 1
	sealed_keys --profile "$2"
	{ echo "mode: $1"; sealed_domains; echo "hooks: [{use: firewall, rules: firewall.yaml}]"; } | box_config
	sed -i 's/^    profile: .*/&\n    flow-per-spi: yes/' "$topology_dir/halfkey.yaml"
	cat >"$topology_dir/firewall.yaml" <<-YAML
		default: accept
		rules:
		  - {name: no-icmp, match: {protocol: icmp}, action: drop, flow: 10s}
		  - {name: rest, match: {protocol: tcp}, action: accept, flow: 1m}
	YAML
	box_start
	sealed_up
	before=$(reason_count xdp verdict-drop)
	check "$1, $2: a drop for the rest of a flow reaches the kernel" wait_for 2 pinged verdicts_some
	check "$1, $2: XDP drops what follows" wait_for 2 pinged drops_more "$before"
	check "$1, $2: and forgets it when its time is over" wait_for 15 verdicts_none
	check "$1, $2: TCP over another SPI" bulk client server fd09::9 64
	if [ "$2" = single ]; then
		check "$1, $2: a verified flow's allow reaches the kernel" wait_for 3 allows_some
	else
		check_equal "$1, $2: an unauthenticated flow gets no allow" 0 "$(allows)"
	fi
	box_conserves "$1, $2"
	sealed_down
	box_stop
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

run inline single
run monitor split # answers were seen: the drop may stand
topology_up
test_end
