#!/bin/bash
# `seal` and `open` of every envelope over captures, without a network and without
# root: what was sealed opens at the receiving host to what it was; whatever is not
# right is refused, by its reason and counter, and a bad capture is an error.
. "$(dirname "$0")/offline.sh"
offline_begin captures
count=20

# The IP packets of a capture; identification and checksums of what was made anew say nothing.
packets() {
	python3 - "$1" <<-'PYTHON'
	import struct, sys
	data, at = open(sys.argv[1], "rb").read(), 24
	while at < len(data):
	    size = struct.unpack("<I", data[at + 8:at + 12])[0]
	    ip = bytearray(data[at + 30:at + 16 + size])
	    header = 20 if ip[0] >> 4 == 4 else 40
	    if header == 20:
	        ip[4:6] = ip[10:12] = b"\0\0"
	    if (ip[9] if header == 20 else ip[6]) == 17:
	        ip[header + 6:header + 8] = b"\0\0"
	    print(ip.hex())
	    at += 16 + size
	PYTHON
}

# edit IN OUT WHAT: a sealed capture with every packet changed or sent twice
edit() {
	python3 - "$@" <<-'PYTHON'
	import struct, sys
	data, what = open(sys.argv[1], "rb").read(), sys.argv[3]
	out, at = data[:24], 24
	while at < len(data):
	    head, size = data[at:at + 16], struct.unpack("<I", data[at + 8:at + 12])[0]
	    frame = bytearray(data[at + 16:at + 16 + size])
	    at += 16 + size
	    if what == "icv" and size > 60:
	        frame[-1] ^= 1
	    out += head + frame
	    if what == "twice" and size > 60:
	        out += head + frame
	if what == "cut":
	    out = out[:-7]
	open(sys.argv[2], "wb").write(out)
	PYTHON
}

# A refusal's counter in the summary of `open`
counter() { endpoint open "${opens[@]}" --json "$1" "$work/x.pcap" 2>/dev/null | jq -r ".refused[\"$2\"]"; }

first=(--first-use) # of envelopes whose numbers have state
# one LABEL PLAIN REPLAY: what `keygens`, `seals`, `first` and `opens` say; REPLAY: how many a second sending is refused
one() {
	local label=$1 plain=$2 replay=$3 dir=$work/keys out
	rm -rf "$dir" "$work"/{sealed,opened,again,x,bad}.pcap
	out=$(endpoint keygen -o "$dir" "${keygens[@]}" 2>&1) || { not_ok "$label: keygen - $out"; return; }
	out=$(endpoint seal "${seals[@]}" "${first[@]}" --json "$plain" "$work/sealed.pcap" 2>&1)
	equal "$label: all is sealed" "$count and 0" "$(jq -r '"\(.sealed) and \(.refused)"' <<<"$out" 2>/dev/null || echo "$out")"
	if grep -qa "halfkey plaintext\|packet delivery" "$work/sealed.pcap"; then not_ok "$label: no plaintext is left"
	else ok "$label: no plaintext is left"; fi
	out=$(endpoint open "${opens[@]}" --json "$work/sealed.pcap" "$work/opened.pcap" 2>&1)
	equal "$label: all opens" "$count and 0" "$(jq -r '"\(.opened) and \([.refused[]] | add)"' <<<"$out" 2>/dev/null || echo "$out")"
	equal "$label: as it was" "$(packets "$plain")" "$(packets "$work/opened.pcap")"
	out=$(endpoint seal "${seals[@]}" "$plain" "$work/again.pcap" 2>&1)
	equal "$label: sealing again goes on" "sealed $count" "${out%%,*}"
	edit "$work/sealed.pcap" "$work/bad.pcap" icv
	equal "$label: wrong ICVs are refused and counted" $count "$(counter "$work/bad.pcap" bad-icv)"
	if endpoint open "${opens[@]}" "$work/bad.pcap" "$work/x.pcap" >/dev/null 2>&1; then
		not_ok "$label: and the exit status says so"
	else ok "$label: and the exit status says so"; fi
	edit "$work/sealed.pcap" "$work/bad.pcap" twice
	equal "$label: what comes twice" "$replay" "$(counter "$work/bad.pcap" replay)"
	edit "$work/sealed.pcap" "$work/bad.pcap" cut
	refused "$label: a sealed capture that breaks off" "truncated" endpoint open "${opens[@]}" "$work/bad.pcap" "$work/x.pcap"
	edit "$plain" "$work/bad.pcap" cut
	refused "$label: a plain capture that breaks off" "truncated" endpoint seal "${seals[@]}" "$work/bad.pcap" "$work/x.pcap"
	refused "$label: one capture to read and write (seal)" "the capture to read" endpoint seal "${seals[@]}" \
		"$work/sealed.pcap" "$work/sealed.pcap"
	ln -f "$work/sealed.pcap" "$work/link.pcap"
	refused "$label: one capture to read and write (open)" "the capture to read" endpoint open "${opens[@]}" \
		"$work/sealed.pcap" "$work/link.pcap"
	rm "$work/link.pcap"
	grep -q side=single "$dir/box.keys" ||
		refused "$label: the box's key file" "side=" endpoint open "${opens[@]}" -k "$dir/box.keys" "$work/sealed.pcap" "$work/x.pcap"
	refused "$label: another envelope's option" "knows no" endpoint seal "${seals[@]}" "$other" "$plain" "$work/x.pcap"
}

peers=(--peer client=192.0.2.1 --peer server=192.0.2.9 --peer client6=2001:db8::1 --peer server6=2001:db8::9)
six=(-f 2001:db8::1 -t 2001:db8::9)

# ip LABEL ENVELOPE KEYGEN SEAL OPEN: over IPv4 and IPv6; words, split at spaces
ip() {
	local words
	other=--sdi=1
	read -ra words <<<"$3"
	keygens=(-e "$2" "${peers[@]}" "${words[@]}")
	read -ra words <<<"$4"
	seals=(-e "$2" -k "$work/keys/client.keys" --state "$work/keys/state" -f 192.0.2.1 -t 192.0.2.9 "${words[@]}")
	read -ra words <<<"$5"
	opens=(-e "$2" -k "$work/keys/server.keys" -t 192.0.2.9 "${words[@]}")
	one "$1" "$work/plain.pcap" $count
	seals=(-e "$2" -k "$work/keys/client6.keys" --state "$work/keys/state" "${six[@]}")
	read -ra words <<<"$4"
	seals+=("${words[@]}")
	read -ra words <<<"$5"
	opens=(-e "$2" -k "$work/keys/server6.keys" -t 2001:db8::9 "${words[@]}")
	one "$1, IPv6" "$work/plain.pcap" $count
}

python3 tests/net/capture.py "$work/all.pcap" $count
tcpdump -nn -r "$work/all.pcap" -w "$work/plain.pcap" ip or ip6 2>/dev/null # what is not IP is copied: test_tshark
ip "PSP" psp "" "" ""
ip "PSP 1" psp "--profile single" "--version 1" "--version 1"
ip "ESP" esp "" "" ""
ip "ESP cbc-hmac, IP protocol" esp "--suite cbc-hmac" "--suite cbc-hmac --carrier ip" "--suite cbc-hmac"
ip "ESP gcm" esp "--profile single" "--suite gcm" "--suite gcm"
ip "EESP, context" eesp "" "" ""
ip "EESP, context, single, IP protocol" eesp "--profile single" "--protocol 253" "--protocol 253"
ip "EESP, context, reader tag, crypt offset" eesp "--reader" "--reader --crypt-offset 5" ""
ip "EESP, sub-SA" eesp "--sub-sa" "--session 7" ""
ip "Inline keying" inline "" "" ""
ip "WESP" wesp "" "" ""
ip "WESP, reader tag, IP protocol" wesp "--reader" "--reader --protocol 141" "--protocol 141"

# A host that holds the roots of levels: the same keys come of them as keygen and box have.
levels() {
	local dir=$work/keys out
	rm -rf "$dir" "$work"/{sealed,opened}.pcap
	endpoint keygen -e "$1" -o "$dir" "${peers[@]}" --level region --level task >/dev/null || { not_ok "levels: keygen"; return; }
	{
		grep '^level=' "$dir/levels.keys"
		grep from= "$dir/box.keys"
		grep from= "$dir/box.keys" | sed 's/side=enc/side=auth/'
	} >"$dir/rooted.keys"
	chmod 600 "$dir/rooted.keys"
	endpoint seal -e "$1" -k "$dir/client.keys" --state "$dir/state" --first-use -f 192.0.2.1 -t 192.0.2.9 \
		"$work/plain.pcap" "$work/sealed.pcap" >/dev/null || not_ok "levels, $1: seals"
	out=$(endpoint open -e "$1" -k "$dir/rooted.keys" --levels region,task -t 192.0.2.9 --json "$work/sealed.pcap" "$work/opened.pcap")
	equal "levels, $1: a host with the roots opens all" $count "$(jq .opened <<<"$out")"
	refused "levels, $1: in another order" "from=" endpoint open -e "$1" -k "$dir/rooted.keys" --levels task,region \
		-t 192.0.2.9 "$work/sealed.pcap" "$work/opened.pcap"
	refused "levels, $1: without their names" "level=" endpoint open -e "$1" -k "$dir/rooted.keys" \
		-t 192.0.2.9 "$work/sealed.pcap" "$work/opened.pcap"
}
refused "open without a receiver" "no --to: name" endpoint open -k "$work/keys/server.keys" "$work/plain.pcap" "$work/x.pcap"
for word in --from=192.0.2.1 -f192.0.2.1 --state="$work/state" --first-use --sender=one; do
	refused "open with what seals alone have: ${word%%[=1]*}" "there is no option" endpoint open "$word" \
		-k "$work/keys/server.keys" -t 192.0.2.9 "$work/plain.pcap" "$work/x.pcap"
done
refused "seal without a sender" "no --from: name" endpoint seal -k "$work/keys/client.keys" -t 192.0.2.9 \
	"$work/plain.pcap" "$work/x.pcap"
levels psp
levels esp
levels eesp

python3 tests/net/dtls.py make "$work/dtls.pcap" $count 192.0.2.1 192.0.2.9
other=--sdi=1
keygens=(-e dtls "${peers[@]}")
seals=(-e dtls -k "$work/keys/client.keys" --records 2 --padding 3)
opens=(-e dtls -k "$work/keys/server.keys")
first=()
one "DTLS" "$work/dtls.pcap" $count
for word in --first-use --state="$work/state" --sender=one; do
	refused "seal -e dtls with ${word%%=*}" "${word%%=*} is of no use with -e dtls" endpoint seal "${seals[@]}" "$word" \
		"$work/dtls.pcap" "$work/x.pcap"
done
first=(--first-use)

python3 tests/net/tss_traffic.py capture "$work/tss.pcap" 192.0.2.1 192.0.2.9 $count
other=--port=1
for carrier in udp ip; do
	keygens=(-e tss --sdi 171 --tss mode=cluster -r 192.0.2.0/24)
	seals=(-e tss -k "$work/keys/hosts.keys" --tss mode=cluster --sdi 171 --epoch 9 -f 192.0.2.1 --state "$work/keys/state" --carrier "$carrier")
	opens=(-e tss -k "$work/keys/hosts.keys" --tss mode=cluster --sdi 171)
	one "TSS over $carrier" "$work/tss.pcap" 0 # TSS has no replay protection
done
refused "a tunnel of TSS" "packet delivery" endpoint tunnel -e tss -l 192.0.2.1 -p 192.0.2.9 -k "$work/keys/hosts.keys"
refused "a tunnel of DTLS" "UDP payloads" endpoint tunnel -e dtls -l 192.0.2.1 -p 192.0.2.9 -k "$work/keys/hosts.keys"
refused "an envelope that nobody speaks" "must be one of psp" endpoint seal -e quic "$work/plain.pcap" "$work/x.pcap"
for command in seal open tunnel; do
	equal "$command --help shows the options of envelopes" 1 "$(($(endpoint $command --help | grep -c '^  with -e ') > 3))"
done
exit $test_failed
