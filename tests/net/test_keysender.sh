#!/bin/bash
# Whose an SPI of the key server's is, its receiver knows before the first packet: a
# host that seals under an SPI of its own in another host's name is refused, also
# where it is the first to use that SPI, and also with one given out later than the
# receiver's keys; the other host's own packets are opened. In EESP it is the MKID
# that tells.
# shellcheck disable=SC2154,SC2046,SC2086 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/keyserver.sh
ks_begin keysender
ks_certs
ks_cert ca third URI:halfkey:host:third
count=20
python3 tests/net/capture.py "$ks/plain.pcap" "$count"

keys() { # CERT FILE OPTION...
	local cert=$1 file=$2
	shift 2
	rm -f "$ks/$file"
	"$endpoint" keys --server "$at" $(ks_files "$cert") -o "$ks/$file" "$@" 2>"$ks/err"
}
# seal KEYS ADDRESS FILE: under this outer address, in the context that the keys came with
seal() {
	"$endpoint" seal -e "$envelope" -k "$ks/$1" -f "$2" -t 192.0.2.9 --state "$ks/$3.state" --first-use \
		$(sed -n 's/^# context=/--context /p' "$ks/$1") "$ks/plain.pcap" "$ks/$3" >/dev/null
}
# opens FILE: "OPENED REFUSED" with the receiver's keys, the latter for other-sender
opens() {
	"$endpoint" open -e "$envelope" -k "$ks/receiver.keys" -t 192.0.2.9 --json "$ks/$1" "$ks/opened.pcap" >"$ks/summary"
	jq -r '"\(.opened) \(.refused["other-sender"] // 0)"' "$ks/summary"
}

one() { # ENVELOPE
	envelope=$1
	rm -rf "$ks/state"
	ks_config "$at" "envelope: $envelope"
	sed -i 's/^\( *\)- {name: server, .*/&\n\1- {name: third, address: 192.0.2.3}/' "$ks/keyserver.yaml"
	: >"$ks/log" # here and not in the background: the last one's word must not be read as this one's
	"$endpoint" keyserver -c "$ks/keyserver.yaml" 2>>"$ks/log" &
	server=$!
	wait_for 10 grep -q 'ready at' "$ks/log" || not_ok "$envelope: the key server starts - $(tail -n 1 "$ks/log")"
	check "$envelope: the receiver gets its keys, before any SPI is there" keys peer receiver.keys
	check "$envelope: the client gets an SPI" keys client client.keys --peer 192.0.2.9
	check "$envelope: the third host gets one" keys third third.keys --peer 192.0.2.9
	check "$envelope: the client seals" seal client.keys 192.0.2.1 honest.pcap
	check_equal "$envelope: its packets are opened" "$count 0" "$(opens honest.pcap)"
	check "$envelope: the third host seals" seal third.keys 192.0.2.3 third.pcap
	check_equal "$envelope: its packets are opened" "$count 0" "$(opens third.pcap)"
	check "$envelope: the third host seals in the client's name" seal third.keys 192.0.2.1 spoofed.pcap
	check_equal "$envelope: all of that is refused" "0 $count" "$(opens spoofed.pcap)"
	check "$envelope: or in the name of one that the key server does not know" seal third.keys 192.0.2.77 stranger.pcap
	check_equal "$envelope: that as well" "0 $count" "$(opens stranger.pcap)"
	sed -i '/^sender=/d' "$ks/receiver.keys"
	check_equal "$envelope: without the lines that name senders it is not" "$count 0" "$(opens spoofed.pcap)"
	kill -TERM "$server"
	wait "$server"
	server=
	rm -rf "$ks"/*.pcap.state
}
one psp
one esp
one eesp
exit $test_failed
