#!/bin/bash
# Inline keying with real packets through the box: a parent's packets create a
# child, the peer answers on it and creates one for the way back. The box opens
# them all, sends on the original bytes, and knows no child before its creation.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
test_begin inline
count=100

# through NAME FROM TO FILE: what one end sends arrives at the other as it was sent
through() {
	local from=$2 to=$3 file=$topology_dir/keys/$4 got=$topology_dir/got port=c0 other=s0 receiver
	python3 tests/net/inline.py hashes "$file" >"$topology_dir/wanted"
	[ "$from" = client ] || { port=s0 other=c0; }
	: >"$got"
	"in_$to" timeout 200 python3 tests/net/inline.py receive "$other" "$(wc -l <"$topology_dir/wanted")" >"$got" &
	receiver=$!
	wait_for 5 grep -q ready "$got"
	"in_$from" python3 tests/net/inline.py send "$port" "$file"
	wait $receiver
	check_equal "$1: every packet arrives as it was sent" "$(sha256sum <"$topology_dir/wanted")" \
		"$(grep -v ready "$got" | sha256sum)"
}

configuration() {
	cat <<-YAML
		mode: inline
		domains:
		  - name: inline
		    envelope: inline
		    profile: split
		    receivers: ["192.0.2.1", "192.0.2.9"]
		    keys: keys/box.keys
		    inline: {children: 16}
		feeds: {pcapng: {path: $topology_dir/seen.pcapng}}
	YAML
}

run() {
	local dir
	topology_up 1
	dir=$topology_dir
	mkdir -p "$dir/keys"
	check "a conversation is sealed" "$O/tests/inline_talk" "$dir/keys" "$count"
	chmod 600 "$dir/keys/box.keys"
	configuration | box_config
	box_start
	through "before the creation" server client early.pcap
	check_count "a child that nobody created is no-key" 1 box_count no-key
	through "parent" client server open.pcap
	check_count "all of the parent's packets were opened" "$count" box_count ok
	through "child" server client reply.pcap
	check_count "all of the child's packets were opened" $((2 * count)) box_count ok
	through "child of the child" client server back.pcap
	check_count "all on the way back were opened" $((3 * count)) box_count ok
	check_count "nothing else was without a key" 1 box_count no-key
	check_count "nothing was implausible" 0 box_count implausible
	check_equal "two children, both confirmed; the same creation again made none" "2 2 $((count - 1))" \
		"$(box stats --json | jq -r '.children | "\(.created) \(.confirmed) \(.known)"')"
	box reload >/dev/null
	through "after a reload" server client reply.pcap
	check_count "children outlive a reload" $((4 * count)) box_count ok
	box_conserves "inline keying"
	box_stop
	check "feeds saw the plaintext of the child's child" grep -qa "halfkey plaintext 0$((3 * count))" "$dir/seen.pcapng"
	python3 tests/net/inline.py join "$dir/all.pcap" "$dir/keys/open.pcap" "$dir/keys/reply.pcap" "$dir/keys/back.pcap"
	"$O/halfkey" open -c "$dir/halfkey.yaml" -w "$dir/offline.pcap" "$dir/all.pcap" >"$dir/offline.log" 2>&1
	check "\`halfkey open\` follows the conversation" grep -qa "halfkey plaintext 0$((3 * count))" "$dir/offline.pcap"
	"$O/halfkey" detach -i "$topology_instance" >/dev/null
	topology_down
}

run
topology_up
test_end
