#!/bin/bash
# EESP and WESP with keys of a key server: each sender and receiver have master keys
# of their own, each start of a sender has a context of its own. Real tunnels through
# a real box that gets the encryption side alone, and the reader's side over a reader's
# connection; the keys of both receivers rotate under traffic, and nothing is lost.
# shellcheck disable=SC2154,SC2086,SC2046,SC2034,SC2016 # names from lib.sh and keyserver.sh; ks_files is several words; eval expands
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/keyserver.sh
test_begin keypairs
ks_topology
ks_cert ca third URI:halfkey:host:third

box_down() {
	topology_stop "$pull_pid"
	[ -z "$reader_pid" ] || topology_stop "$reader_pid"
	reader_pid=
	box_stop
	box_pid=
	"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
}
contexts() { sed -n 's/.*: to \(.*\) with SPI 0x00000100, context \(0x[0-9a-f]*\)$/\1 \2/p' "$@"; }
more_contexts() { [ "$(contexts "$1" | wc -l)" -gt "$2" ]; }
# The generations whose keys the box uses, and the numbers of the pairs
newest_used() { box keys list --json | jq "[.[] | select(.used > 0) | .generation] | max // 0"; }
uses_newer() { [ "$(box keys list --json | jq "[.[] | select(.side != \"reader\" and .used > 0 and .generation > $1) | .id] | unique | length")" -eq 2 ]; }
listed() { box keys list --json | jq -r "[.[].$1] | unique | join(\" \")"; }
sides() { [ "$(listed side)" = "$1" ]; }
refused_by() { jq '[.refused[]] | add' "$ks/$1.stats"; } # NAME: until it ended

live_ids() { box keys list --json | jq -r "[.[] | select(.side == \"$1\" and (.state | IN(\"current\", \"next\", \"previous\"))) | .id] | unique | join(\" \")"; }
has_ids() { [ "$(live_ids enc)" = "$*" ] && [ "$(live_ids reader)" = "$*" ]; }
third() { in_server "$endpoint" keys --server "$at" $(ks_files third) "$@" 2>"$ks/third.err"; }

# A host joins the domain, and leaves it: the running box, reader's keys and all, follows
joins() {
	check_equal "a host that is no member yet gets nothing" "" "$(third)"
	sed -i 's/^\( *\)- {name: server, .*/&\n\1- {name: third, address: 192.0.2.3}/' "$ks/keyserver.yaml"
	kill -HUP "$key_server_pid"
	check "it joins, and the box has the keys of all pairs" wait_for 20 has_ids 1026 1027 2049 2051 3073 3074
	check "it has a context towards a receiver that was there before" wait_for 20 eval 'third --peer 192.0.2.9 >"$ks/third.keys"'
	check_equal "and that pair's keys, all sides of them" 3 "$(grep -c '^receiver=192.0.2.9 slot=. id=2051 ' "$ks/third.keys")"
	check_equal "no other pair's but those that it receives with" "2051 3073 3074" \
		"$(sed -n 's/^receiver=.* id=\([0-9]*\) .*/\1/p' "$ks/third.keys" | sort -u | tr '\n' ' ' | sed 's/ $//')"
	check_equal "no stock stack gets any of it" "" "$(third --peer 192.0.2.9 --from 192.0.2.3 --format xfrm)"
	check "and says why" grep -q 'no stock stack has' "$ks/third.err"
	sed -i '/name: third/d' "$ks/keyserver.yaml"
	kill -HUP "$key_server_pid"
	check "it leaves, and its pairs' keys leave the box" wait_for 20 has_ids 1026 2049
	check_equal "it gets nothing any more" "" "$(third)"
}

one() { # MARK ENVELOPE PROFILE [TUNNEL-OPTION...]
	local mark=$1 envelope=$2 profile=$3 before
	shift 3
	rm -rf "$ks/state" "$ks"/*.state
	ks_config "$at" "envelope: $envelope" "profile: $profile" "lifetime: 1h" "ahead: 10s" "grace: 5m"
	ks_server
	rm -f "$ks/eve.json"
	box_config <<-YAML
		mode: inline
		domains:
		  - {name: sealed, envelope: $envelope, profile: $profile, receivers: [192.0.2.0/24]}
		feeds: {eve: {path: $ks/eve.json}}
	YAML
	box_start
	ks_pull --into sealed
	wait_for 10 box_has_keys || not_ok "the box gets its keys - $(tail -n 1 "$ks/pull.log")"
	reader_pid=
	if [ "$profile" = split ]; then
		in_background "$topology_server" "$O/halfkey" keys pull --reader --server "$at" $(ks_files reader) \
			-s "$ks/control.sock" --into sealed 2>>"$ks/reader.log"
		reader_pid=$background
		check "$envelope: a reader's connection brings the reader's keys beside the others" wait_for 20 sides "enc reader"
	else
		check_equal "$envelope, $profile: the box has the one key" single "$(listed side)"
	fi
	check_equal "$envelope: keys of two pairs" "1026 2049" "$(listed id)"
	ks_tunnels --envelope "$envelope" "$@"
	check "$envelope: TCP through the tunnel" bulk client server 10.9.0.9 256
	check "$envelope: and back" bulk server client 10.9.0.1 256
	before=$(newest_used)
	cat "$ks"/*.tunnel.log >"$ks/all.log"
	echo_begin "$ks/echoes" 0.02
	check "$envelope: the keys are told to rotate" "$endpoint" keyserver -c "$ks/keyserver.yaml" --rotate all
	check "$envelope: the client has a context of the next generation" wait_for 60 more_contexts "$ks/client.tunnel.log" 1
	check "$envelope: and the server" wait_for 60 more_contexts "$ks/peer.tunnel.log" 1
	check "$envelope: the box opens packets of both pairs with the next generation" wait_for 30 uses_newer "$before"
	[ "$mark" != reader-ok ] || joins
	echo_end
	check "$envelope: nothing was lost" none_lost "$ks/echoes"
	cat "$ks"/*.tunnel.log >"$ks/all.log"
	topology_stop "$client_pid"
	check_equal "$envelope: the client refused nothing" 0 "$(refused_by client)"
	ks_tunnel "$topology_client" client 192.0.2.1 192.0.2.9 10.9.0.1 10.9.0.9 --envelope "$envelope" "$@"
	client_pid=$tunnel_pid
	cat "$ks/client.tunnel.log" >>"$ks/all.log"
	check "$envelope: a tunnel that starts anew is at work" echoes client 10.9.0.9 5
	check_equal "$envelope: with another context" 5 "$(contexts "$ks/all.log" | wc -l)"
	check_equal "$envelope: no context came twice" "" "$(contexts "$ks/all.log" | sort | uniq -d)"
	check "$envelope: the box opened all that was sealed" wait_for 5 all_opened
	for reason in no-key wrong-kcv stale-key key-expired implausible reader-tag bad-icv; do
		check_equal "$envelope: the box counts no $reason" 0 "$(reason_count workers $reason)"
	done
	check_equal "$envelope: no nonce came twice" 0 "$(box stats --json | jq '[.. | .nonce_repeats? // empty] | add // 0')"
	topology_stop "$client_pid" "$peer_pid" "$key_server_pid"
	check_equal "$envelope: the client refused nothing after its new start" 0 "$(refused_by client)"
	check_equal "$envelope: nor did the server" 0 "$(refused_by peer)"
	box_conserves "$envelope"
	box_down
	check_equal "$envelope, $profile: what the box says of whom it opened" "$mark" "$(jq -r '.tunnel.auth // empty' "$ks/eve.json" | sort -u)"
}
one reader-ok eesp split --reader
one unauthenticated wesp split
one authenticated wesp single

# --- what cannot be ----------------------------------------------------------------------------------------

cannot() { # SENTENCE TUNNEL-OPTION...
	local sentence=$1
	shift
	check_equal "a tunnel is told: $sentence" 1 "$(in_client timeout 100 "$endpoint" tunnel --server "$at" $(ks_files client) \
		--local 192.0.2.1 --peer 192.0.2.9=10.9.0.9 --address 10.9.0.1/24 "$@" 2>&1 | grep -cF "$sentence")"
}
cannot "no key server gives its keys" --envelope inline
cannot "not roots of sub-SAs" --envelope eesp --sub-sa
cannot "leave context out" --envelope eesp --context 7
cannot "leave mkid out" --envelope wesp --mkid 7
ks_server # nothing is forwarded any more: from here on all are in its namespace
in_background "$topology_server" "$endpoint" tunnel --server "$at" --state "$ks/peer.state" $(ks_files peer) --local 192.0.2.9 \
	--peer 192.0.2.1=10.9.0.1 --address 10.9.0.9/24 2>"$ks/psp.log"
check "a PSP tunnel in a domain of pairs is told" wait_for 20 grep -q "is of another envelope than this tunnel" "$ks/psp.log"
topology_stop "$background" "$key_server_pid"
test_end
