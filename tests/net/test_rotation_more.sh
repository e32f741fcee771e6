#!/bin/bash
# Rotation without loss of the envelopes that have no tunnel: EESP and WESP (key
# slots), UEC TSS (AN), DTLS (MKIDs). Sealed packets of one generation after the
# other, and of two at once, stream through the box while its keys change.
# shellcheck disable=SC2154,SC2034 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
. tests/net/rotation.sh
test_begin rotation_more

count=100
make_keys() { # GENERATION KEYGEN-OPTION...
	host keygen -o "$topology_dir/keys.$1" "${@:2}" >/dev/null
}
# seal_ENVELOPE GENERATION OUT
seal_eesp() {
	host seal -e "$envelope" -k "$topology_dir/keys.$1/client.keys" --state "$topology_dir/state.$1" --first-use \
		-f 192.0.2.1 -t 192.0.2.9 "$topology_dir/plain.pcap" "$2"
}
seal_wesp() { seal_eesp "$@"; }
seal_dtls() { host seal -e dtls -k "$topology_dir/keys.$1/client.keys" --mkid "$1" "$topology_dir/plain.pcap" "$2"; }
seal_tss() {
	host seal -e tss -k "$topology_dir/keys.$1/hosts.keys" --tss mode=cluster --sdi 171 --an $((($1 + 1) % 2)) --epoch "7$1" \
		--from 192.0.2.1 --to 192.0.2.9 --state "$topology_dir/state.$1" --first-use "$topology_dir/plain.pcap" "$2"
}
plain() {
	case $envelope in
	dtls) python3 tests/net/dtls.py make "$1" $count 192.0.2.1 192.0.2.9 ;;
	tss) tests/net/tss_traffic.py capture "$1" 192.0.2.1 192.0.2.9 $count ;;
	*) python3 tests/net/capture.py "$1" $count ;;
	esac
}

stream() { # GENERATION...: from now on packets of these go out, in turn
	local g
	for g in "$@"; do echo "$topology_dir/sealed.$g.pcap"; done >"$topology_dir/streams.new"
	mv "$topology_dir/streams.new" "$topology_dir/streams"
	: >"$topology_dir/sent.$*"
	wait_for 10 grep -q . "$topology_dir/sent.$*"
}
stream_loop() {
	local file files name
	while [ -e "$topology_dir/go" ]; do
		files=$(cat "$topology_dir/streams")
		name=$(sed 's/.*sealed\.\([0-9]\).*/\1/' <<<"$files" | paste -sd' ')
		for file in $files; do
			in_client python3 tests/net/frames.py send c0 "$file" && echo $count >>"$topology_dir/sent"
			wait_for 5 all_came # so that no ring overflows where the worker stands still
		done
		echo 1 >>"$topology_dir/sent.$name"
	done
}
sent() { awk '{ sum += $1 } END { print sum + 0 }' "$topology_dir/sent"; }
all_came() { [ "$(box stats --json | jq .workers.received)" = "$(sent)" ]; }
all_are_ok() { [ "$(box_count ok)" = "$(sent)" ]; }

# one ENVELOPE THIRD-OPTIONS KEYGEN-OPTION...
one() {
	local third g looping
	envelope=$1
	read -ra third <<<"$2"
	shift 2
	topology_up 1
	check "$envelope: keys" make_keys 1 -e "$envelope" "$@"
	check "$envelope: the next ones" make_keys 2 --next "$topology_dir/keys.1"
	check "$envelope: and those after them" make_keys 3 --next "$topology_dir/keys.2" "${third[@]}"
	plain "$topology_dir/plain.pcap"
	for g in 1 2 3; do check "$envelope: sealed with generation $g" seal_"$envelope" $g "$topology_dir/sealed.$g.pcap"; done
	cp -a "$topology_dir/keys.1" "$topology_dir/keys"
	domain=$(sed -n 's/.*name: *\([a-z0-9-]*\).*/\1/p' "$topology_dir/keys/domain.yaml" | head -n 1)
	{ echo "mode: inline"; sealed_domains; } | box_config
	box_start
	touch "$topology_dir/go"
	echo "$topology_dir/sealed.1.pcap" >"$topology_dir/streams"
	stream_loop &
	looping=$!
	stream 1
	for g in 2 3; do
		check "$envelope: the box is given generation $g, and the older ones an end" box keys rotate "$domain" 3600 "$topology_dir/keys.$g/box.keys"
		stream $((g - 1)) $g
		stream $g
	done
	stream 1 2 3
	rm "$topology_dir/go"
	wait $looping
	check "$envelope: the box opened every packet ($(sent) were sent)" wait_for 5 all_are_ok
	check_equal "$envelope: none was without key, stale or misread" "" "$(misread)"
	check_equal "$envelope: and nothing else came to a worker" "$(sent)" "$(box stats --json | jq .workers.received)"
	box_conserves "$envelope"
	box_stop
	box_pid=
	"$O/halfkey" detach -i "$topology_instance" >/dev/null 2>&1
	topology_down
}

peers=(--peer client=192.0.2.1 --peer server=192.0.2.9)
one eesp "--slot 0" "${peers[@]}"
one wesp "--slot 0" "${peers[@]}"
one dtls "" "${peers[@]}"
one tss "" --sdi 171 --tss mode=cluster -r 192.0.2.0/24
topology_up 1
test_end
