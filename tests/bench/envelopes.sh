#!/bin/bash
# What each envelope costs the box: the same 256-byte packets, sealed in every
# envelope by halfkey-endpoint, through the pipeline in memory.
#
#   envelopes.sh [-q] OUT.json
set -eu
cd "$(dirname "$0")/../.."
O=${O:-build}
quick=()
[ "${1:-}" = -q ] && { quick=(-q); shift; }
dir=$(mktemp -d /tmp/halfkey-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT
endpoint() { "$O/halfkey-endpoint" "$@" >>"$dir/log" 2>&1 || { tail -n 1 "$dir/log" >&2; exit 1; }; }
tracks=()

# 512 packets of 256 flows; UEC traffic where the port is 4793
plain() { # PORT FILE
	python3 - "$1" "$2" <<-'PYTHON'
		import struct, sys
		port, path = int(sys.argv[1]), sys.argv[2]
		def sums(data):
		    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
		    total = (total & 0xffff) + (total >> 16)
		    return ~(total + (total >> 16)) & 0xffff
		with open(path, "wb") as out:
		    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
		    for n in range(512):
		        body = struct.pack(">HHHH", 20000 + n % 256, port, 236, 0) + b"\x10" + bytes(227)
		        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 256, 0, 0x4000, 64, 17, 0,
		                           bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9]))
		        head = head[:10] + struct.pack(">H", sums(head)) + head[12:]
		        frame = bytes(12) + b"\x08\x00" + head + body
		        out.write(struct.pack("<IIII", 1700000000, n, len(frame), len(frame)) + frame)
	PYTHON
}

# track NAME ENVELOPE PORT KEYGEN-OPTION... -- SEAL-OPTION...
track() {
	local name=$1 envelope=$2 port=$3 keys=$dir/$1 hosts=(--peer client=192.0.2.1 --peer server=192.0.2.9)
	local ends=(-f 192.0.2.1 -t 192.0.2.9) state=(--state "$dir/$1/state" --first-use) keygen=() file=client.keys
	shift 3
	while [ "$1" != -- ]; do keygen+=("$1"); shift; done
	shift
	[ "$envelope" = tss ] && { hosts=(--sdi 7 -r 192.0.2.0/24); file=hosts.keys; ends=(-f 192.0.2.1); }
	[ "$envelope" = dtls ] && ends=() state=()
	endpoint keygen -e "$envelope" -o "$keys" "${hosts[@]}" "${keygen[@]}"
	plain "$port" "$keys/plain.pcap"
	endpoint seal -e "$envelope" -k "$keys/$file" "${ends[@]}" "${state[@]}" "$@" \
		"$keys/plain.pcap" "$keys/sealed.pcap"
	{ echo "mode: inline"; cat "$keys/domain.yaml"; } >"$keys/box.yaml"
	tracks+=("$name=$keys/box.yaml,$keys/sealed.pcap")
}

track psp-split psp 9999 --
track psp-single psp 9999 --profile single -- --version 1
track esp-ctr-hmac esp 9999 --suite ctr-hmac -- --suite ctr-hmac
track esp-gcm esp 9999 --suite gcm --profile single -- --suite gcm
track eesp-context eesp 9999 --
track eesp-context-single eesp 9999 --profile single --
track eesp-sub-sa eesp 9999 --sub-sa -- --sub-sa
track wesp wesp 9999 --
track wesp-reader-tag wesp 9999 --reader -- --reader
track inline inline 9999 -- --children none
tss="mode=cluster"
track tss-split tss 4793 --tss "$tss" -- --tss "$tss" --sdi 7 --epoch 1
track tss-single tss 4793 --tss "$tss" --profile single -- --tss "$tss" --sdi 7 --epoch 1
track dtls-split dtls 4433 --
track dtls-single dtls 4433 --profile single --
"$O/bench/captures" "${quick[@]}" -o "$1" "${tracks[@]}"
