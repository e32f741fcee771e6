#!/bin/bash
# Sealed ESP against an independent implementation: Wireshark's dissector opens
# what `halfkey-endpoint seal` made, with the same keys, and finds the ICVs
# good where it checks them. Timestamps and everything unsealed stay as they were.
. "$(dirname "$0")/offline.sh"
offline_begin tshark
count=20

if ! command -v tshark >/dev/null; then
	skip "all of it - tshark is not installed"
	exit 0
fi

# key FILE SIDE: hex of the first explicit key of that side; salt likewise
key() { sed -n "s/.* spi=.* side=$2 key=\([0-9a-f]*\).*/\1/p" "$1" | head -n 1; }
salt() { sed -n "s/.* spi=.* side=$2 key=.* salt=\([0-9a-f]*\).*/\1/p" "$1" | head -n 1; }

# seal SUITE CARRIER FROM TO OPTION...: keys and a sealed capture in $work/$suite
seal() {
	local suite=$1 carrier=$2 from=$3 to=$4
	shift 4
	rm -rf "$work/keys" "$work/state" "$work/sealed.pcap"
	endpoint keygen -o "$work/keys" -e esp --suite "$suite" "$@" \
		--peer client="$from" --peer server="$to" >"$work/log" 2>&1 &&
		endpoint seal -k "$work/keys/client.keys" --state "$work/state" --first-use -f "$from" -t "$to" \
			-e esp --suite "$suite" --carrier "$carrier" "$work/plain.pcap" "$work/sealed.pcap" >>"$work/log" 2>&1
}

# decode UAT-ROW FIELD: of every packet that tshark opens
decode() {
	tshark -r "$work/sealed.pcap" -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
		-o "uat:esp_sa:$1" -Y 'udp.dstport == 9999' -T fields -E occurrence=l -e "$2" 2>/dev/null
}

# one SUITE CARRIER FROM TO CIPHER MAC OPTION...
one() {
	local suite=$1 carrier=$2 from=$3 to=$4 cipher=$5 mac=$6 side=enc version=IPv4 auth row
	shift 6
	[[ $from == *:* ]] && version=IPv6
	[ "$suite" = gcm ] && side=single
	if ! seal "$suite" "$carrier" "$from" "$to" "$@"; then
		not_ok "$suite over $carrier: seals - $(tail -n 1 "$work/log")"
		return
	fi
	equal "$suite over $carrier, $version: what was done" \
		"sealed $count, copied 1, refused and left out 0 packets (SPI 0x00001000)" "$(tail -n 1 "$work/log")"
	auth=$(key "$work/keys/client.keys" auth)
	[ "$mac" = NULL ] && auth=
	row="\"$version\",\"$from\",\"$to\",\"0x00001000\",\"$cipher\",\"0x$(key "$work/keys/client.keys" $side)$(salt \
		"$work/keys/client.keys" $side)\",\"$mac\",\"${auth:+0x$auth}\""
	equal "$suite over $carrier, $version: tshark reads the plaintext" "$wanted" "$(decode "$row" udp.payload)"
	# the tag of gcm-split is not GCM's: it comes from another key
	equal "$suite over $carrier, $version: ICVs that tshark finds good" \
		"$([ "$suite" = gcm-split ] && echo 0 || echo $count)" "$(decode "$row" esp.icv_good | grep -cx '1\|True')"
	row="\"$version\",\"$from\",\"$to\",\"0x00001000\",\"$cipher\",\"0x$(printf '00%.0s' {1..32})$(salt \
		"$work/keys/client.keys" $side)\",\"$([ "$mac" = NULL ] && echo NULL || echo "ANY 128 bit authentication [no checking]")\",\"\""
	equal "$suite over $carrier, $version: and nothing with another key" "" "$(decode "$row" udp.payload)"
}

times() { tshark -r "$1" -T fields -e frame.time_epoch 2>/dev/null; }

python3 tests/net/capture.py "$work/plain.pcap" $count
wanted=$(tshark -r "$work/plain.pcap" -Y udp -T fields -e udp.payload 2>/dev/null)
equal "the plain capture is read" $count "$(wc -l <<<"$wanted")"
gcm="AES-GCM with 16 octet ICV [RFC4106]"
hmac="HMAC-SHA-256-128 [RFC4868]"
for carrier in ip udp; do
	one ctr-hmac $carrier 192.0.2.1 192.0.2.9 "AES-CTR [RFC3686]" "$hmac"
	one cbc-hmac $carrier 192.0.2.1 192.0.2.9 "AES-CBC [RFC3602]" "$hmac"
	one gcm-split $carrier 192.0.2.1 192.0.2.9 "$gcm" NULL
	one gcm $carrier 192.0.2.1 192.0.2.9 "$gcm" NULL --profile single
done
one ctr-hmac ip 2001:db8::1 2001:db8::9 "AES-CTR [RFC3686]" "$hmac"
one cbc-hmac udp 2001:db8::1 2001:db8::9 "AES-CBC [RFC3602]" "$hmac"
equal "timestamps are kept" "$(times "$work/plain.pcap")" "$(times "$work/sealed.pcap")"
equal "what is not IP is kept" 1 "$(tshark -r "$work/sealed.pcap" -Y arp 2>/dev/null | wc -l)"

# PSP: the dissector knows the format, if it is new enough
rm -rf "$work/keys" "$work/state"
endpoint keygen -o "$work/keys" --peer client=192.0.2.1 --peer server=192.0.2.9 >/dev/null &&
	endpoint seal -k "$work/keys/client.keys" --state "$work/state" --first-use -f 192.0.2.1 -t 192.0.2.9 \
		--cookie 0102030405060708 "$work/plain.pcap" "$work/sealed.pcap" >/dev/null
equal "PSP packets go to UDP 1000" $count \
	"$(tshark -r "$work/sealed.pcap" -Y 'udp.dstport == 1000 && ip.dst == 192.0.2.9' 2>/dev/null | wc -l)"
if grep -qa 'halfkey plaintext' "$work/sealed.pcap"; then not_ok "no plaintext is left in the capture"
else ok "no plaintext is left in the capture"; fi
exit $test_failed
