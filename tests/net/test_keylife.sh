#!/bin/bash
# The commands of docs/keys.md, as they stand there, on a running box: keys of
# a tunnel rotate and are retired, and the SAs of a stock IPsec peer, known by
# Wireshark's table alone, are imported while its packets pass. And time boxes, by
# every way in which keys are added.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin keylife

count=20
endpoint=$O/halfkey-endpoint
commands() { sed -n "s/^ *\(halfkey keys $1 [^#]*[^# ]\).*/\1/p" docs/keys.md; }
run_command() { # as written, where its files are; the box is the one of this test
	local words
	read -ra words <<<"$1"
	(cd "$topology_dir/files" && "$O/halfkey" "${words[@]:1}" -s "$topology_dir/control.sock")
}
peer_sends() { in_client python3 tests/net/frames.py send c0 "$topology_dir/peer.pcap"; }
counted() { [ "$(box_count "$1")" -ge "$2" ]; }
state_of() { box keys list --json | jq -r ".[] | select($1) | .state" | sort -u | paste -sd,; }
state_is() { [ "$(state_of "$1")" = "$2" ]; }

# A peer with a stack of its own: what we have of it is the table.
stock_peer() { # SUITE PROFILE
	rm -rf "$topology_dir/peer" "$topology_dir/peer.state" "$topology_dir/peer.pcap"
	"$endpoint" keygen -o "$topology_dir/peer" -e esp --suite "$1" --profile "$2" --peer client=192.0.2.1 --peer server=192.0.2.9 >/dev/null
	"$endpoint" seal -k "$topology_dir/peer/client.keys" --state "$topology_dir/peer.state" --first-use -f 192.0.2.1 -t 192.0.2.9 \
		-e esp --suite "$1" "$topology_dir/plain.pcap" "$topology_dir/peer.pcap" >/dev/null
	(umask 077; sed -n 's/^receiver=192.0.2.9 spi=\([^ ]*\) .*side=\(single\|enc\) key=\([0-9a-f]*\) salt=\([0-9a-f]*\).*/"IPv4","192.0.2.1","192.0.2.9","\1","AES-GCM [RFC4106]","0x\3\4","NULL",""/p' \
		"$topology_dir/peer/client.keys" >"$topology_dir/files/esp_sa")
}
config() { # SUITE PROFILE
	{
		echo "mode: inline"
		sealed_domains | sed "/keys: keys\/box.keys/a\    keys-dir: more"
		echo "  - {name: branch, envelope: esp, profile: $2, suite: $1, mkid: 1, receivers: [192.0.2.9], keys: branch.keys}"
	} | box_config
}

imports() { # COMMAND SUITE PROFILE
	local before
	stock_peer "$2" "$3"
	config "$2" "$3"
	[ "$2" = gcm ] || check "the domain becomes $2" box reload
	before=$(box_count no-key)
	peer_sends
	check "$2: before the import the peer's packets are no-key" wait_for 5 counted no-key $((before + count))
	check "$2: $1" run_command "$1"
	before=$(box_count ok)
	peer_sends
	check "$2: afterwards they are opened" wait_for 5 counted ok $((before + count))
	check "$2: its SPI is retired" box keys retire branch receiver=192.0.2.9 spi=0x1000 "suite=$2"
	before=$(box_count stale-key)
	peer_sends
	check "$2: then they are stale-key" wait_for 5 counted stale-key $((before + count))
}

# not-before and not-after stand in a file, in a file of a directory, and in what the socket gets:
# by_all_ways SPI TIMES: keys of three SPIs, from that one on
line() { echo "receiver=192.0.2.9 spi=$1 version=5 side=enc key=$(openssl rand -hex 32) $2"; }
by_all_ways() {
	line "$1" "$2" >>"$topology_dir/keys/box.keys"
	box reload &&
		(umask 077; line $(($1 + 1)) "$2" >"$topology_dir/more/.t"; mv "$topology_dir/more/.t" "$topology_dir/more/t$1.keys") &&
		line $(($1 + 2)) "$2" | box keys add tunnel - && wait_for 5 has_three "$1"
}
three() { box keys list --json | jq -r "[.[] | select(.spi >= $1 and .spi < $1 + 3) | .state] | join(\" \")"; }
has_three() { [ "$(three "$1" | wc -w)" = 3 ]; }
three_are() { [ "$(three "$1")" = "$2 $2 $2" ]; }
nothing() { box keys "$@" - </dev/null 2>&1; }
check_equal "keys add: an empty input is no change" "halfkey keys: standard input: is empty: it has no key line" \
	"$(nothing add tunnel)"
check_equal "keys rotate: the same" "halfkey keys: standard input: is empty: it has no key line" \
	"$(nothing rotate tunnel 60)"
time_boxes() {
	local now after
	now=$(date +%s)
	check "time boxes: some that begin in an hour" by_all_ways 201 "not-before=$((now + 3600)) not-after=$((now + 7200))"
	check "before their time all of them wait" three_are 201 not-yet
	now=$(date +%s)
	check "time boxes: some that begin soon" by_all_ways 211 "not-before=$((now + 4)) not-after=$((now + 7200))"
	check "in their time all are in force" wait_for 12 three_are 211 current
	for after in 8 30 100; do # one that is over when it comes is refused: later then
		spi=$((220 + after))
		by_all_ways $spi "not-after=$(($(date +%s) + after))" >"$topology_dir/said" 2>&1 && break
		sed -i '/ not-after=/d' "$topology_dir/keys/box.keys"
		rm -f "$topology_dir/more/t$spi.keys"
	done
	check "after it all are expired and wiped" wait_for 12 three_are $spi expired
}

inspector_is_not() { local now; now=$(box status --json | jq -r .processes.inspector); [ -n "$now" ] && [ "$now" != "$1" ] && box_ready; }

topology_up 1
mkdir -m 700 "$topology_dir/files" "$topology_dir/more"
(umask 077; : >"$topology_dir/branch.keys")
sealed_keys
"$endpoint" keygen --out "$topology_dir/next" --next "$topology_dir/keys" >/dev/null
cp -p "$topology_dir/next/box.keys" "$topology_dir/files/next.keys"
python3 tests/net/capture.py "$topology_dir/plain.pcap" $count
config gcm single
box_start
sealed_up
check "it inspects" pings client 10.9.0.9
check_equal "every kind of command is in the document" "1 1 2" \
	"$(commands rotate | wc -l) $(commands retire | wc -l) $(commands import | wc -l)"
command=$(commands rotate)
check "$command" run_command "$command"
check "the next generation is there, and the older one has an end" wait_for 5 state_is '.generation == 2' next
ends() { box keys list --json | jq -c '[.[] | select(.kind == "master" and .generation == 1 and .state != "retired") | .not_after]'; }
ends=$(ends)
check_equal "an hour from now" true "$(jq 'length > 0 and all(.[]; . - now | . > 3000 and . <= 3600)' <<<"$ends")"
in_use() { pings client 10.9.0.9 && box keys list | grep -q '^note: .*, slot 0 generation 1 is in use still: .*(ends in [0-9]* min)$'; }
check "keys list tells that nobody has changed over, though it is current" wait_for 5 in_use
check "a reload of the file that holds them" box reload
check_equal "leaves them their end" "$ends" "$(ends)"
command=$(commands retire)
check "$command" run_command "$command"
before=$(box_count stale-key)
pings client 10.9.0.9 >/dev/null
check "late packets are stale-key" wait_for 5 counted stale-key $((before + 3))
stays_away() { # WHAT: the file holds the key as before
	check_equal "$1: the retired key does not come back" 0 "$(box keys list --json |
		jq '[.[] | select(.kind == "master" and .generation == 1 and .slot == 0 and .receiver == "192.0.2.9" and .state != "retired")] | length')"
	check_equal "$1: the others keep their end" true "$(jq -n --argjson was "$ends" --argjson is "$(ends)" '($is | length > 0) and ($is - $was == [])')"
}
list=$(box keys list)
check "keys list tells that the file holds it still" grep -q '^note: domain tunnel, receiver 192.0.2.9, slot 0 generation 1 was retired or given an end; its file says otherwise.*keys/box.keys)$' <<<"$list"
check "status tells when the next key ends" grep -q 'keys: a time comes or goes in [0-9]* min' <<<"$(box status)"
check "reload" box reload
stays_away reload
old=$(box status --json | jq -r .processes.inspector)
kill -9 "$old"
check "the inspector is replaced" wait_for 20 inspector_is_not "$old"
stays_away "a crash"
imports "$(commands import | head -n 1)" gcm single
imports "$(commands import | tail -n 1)" gcm-split split
time_boxes
box_conserves "a key's life"
sealed_down
test_end
