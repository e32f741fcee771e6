#!/bin/bash
# Files end to end, without a network and without root: keygen writes them, the
# box's programs take what is theirs and refuse what is not, and a sealed
# capture opens with the box's keys to the packets that went in.
set -u
cd "$(dirname "$0")/../.." || exit 1
O=$(realpath "${O:-build}")
work=$(mktemp -d "${TMPDIR:-/tmp}/halfkey-keygen.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0

ok() { echo "ok keygen: $*"; }
not_ok() { echo "not ok keygen: $*"; failed=1; }
equal() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1 - wanted '${2:0:150}', got '${3:0:150}'"; fi; }

# refused NAME WORDS COMMAND...: it fails, and its sentence has these words
refused() {
	local name=$1 words=$2 out
	shift 2
	if out=$("$@" 2>&1); then not_ok "$name - was accepted"
	elif [[ $out == *"$words"* ]]; then ok "$name is refused"
	else not_ok "$name - ${out:0:200}"; fi
}

endpoint() { "$O/halfkey-endpoint" "$@"; }
hosts=(--peer "client=192.0.2.1,10.9.0.1/24,fd09::1/64" --peer "server=192.0.2.9,10.9.0.9/24,10.77.0.0/16"
	--peer client6=2001:db8::1 --peer server6=2001:db8::9)

files() {
	local dir=$work/files said
	said=$(umask 0; endpoint keygen -o "$dir" "${hosts[@]}")
	equal "key files are for their owner alone" "600" "$(stat -c %a "$dir"/*.keys | sort -u)"
	equal "and so is their directory" 700 "$(stat -c %a "$dir")"
	grep -ohE 'key=[0-9a-f]+' "$dir"/*.keys | cut -d= -f2 >"$work/secrets"
	equal "no key is printed" "" "$(grep -F -f "$work/secrets" <<<"$said")"
	equal "(there were keys to look for)" 1 "$(($(wc -l <"$work/secrets") > 20))"
	equal "the box gets the encryption side alone" "side=enc" "$(grep -o 'side=[a-z]*' "$dir/box.keys" | sort -u)"
	equal "for every receiver" 4 "$(grep -c '^receiver=' "$dir/box.keys")"
	equal "no host has another's master keys" "" \
		"$(for h in client:192.0.2.1 server:192.0.2.9; do grep slot= "$dir/${h%%:*}.keys" | grep -v "receiver=${h#*:} "; done)"
	equal "no SPI of a receiver has two senders" "" \
		"$(for h in client server client6 server6; do
			grep -ohE 'receiver=[^ ]* spi=[^ ]*' "$dir/$h.keys" | sort -u; done | sort | uniq -d)"
	equal "no key stands in two roles" "" \
		"$(cat "$dir"/{client,server,client6,server6}.keys | grep -oE 'key=[0-9a-f]+' | sort | uniq -d)"
	refused "overwriting keys" "never overwritten" endpoint keygen -o "$dir" "${hosts[@]}"
	mkdir "$work/half"
	touch "$work/half/server.keys"
	refused "writing beside a file that is there" "server.keys exists" endpoint keygen -o "$work/half" "${hosts[@]}"
	equal "and nothing of it is left" server.keys "$(ls "$work/half")"
}

sentences() {
	refused "one host alone" "at least two" endpoint keygen -o "$work/x" --peer a=192.0.2.1
	refused "no directory" "--out" endpoint keygen "${hosts[@]}"
	refused "a name twice" "'a' stands twice" endpoint keygen -o "$work/x" --peer a=192.0.2.1 --peer a=192.0.2.2
	refused "an address twice" "is that of 'a'" endpoint keygen -o "$work/x" --peer a=192.0.2.1 --peer b=192.0.2.1
	refused "a bad address" "'192.0.2.256'" endpoint keygen -o "$work/x" --peer a=192.0.2.256 --peer b=192.0.2.1
	refused "an IPv4-mapped address" "'::ffff:192.0.2.1'" endpoint keygen -o "$work/x" \
		--peer a=::ffff:192.0.2.1 --peer b=2001:db8::1
	refused "a path as a name" "'../a'" endpoint keygen -o "$work/x" --peer ../a=192.0.2.1 --peer b=192.0.2.2
	refused "a host without a partner" "'b'" endpoint keygen -o "$work/x" --peer a=192.0.2.1 --peer c=192.0.2.2 \
		--peer b=2001:db8::1
	refused "a suite of the other profile" "'gcm'" endpoint keygen -o "$work/x" -e esp --suite gcm "${hosts[@]}"
	refused "a version of the other profile" "'1'" endpoint keygen -o "$work/x" --version 1 "${hosts[@]}"
	refused "PSP slot 2" "slot '2'" endpoint keygen -o "$work/x" --slot 2 "${hosts[@]}"
	refused "an unknown option" "--colour" endpoint keygen --colour
	refused "an unknown command" "'sael'" endpoint sael
	if [ -e "$work/x" ]; then not_ok "and nothing was written"; else ok "and nothing was written"; fi
	for command in keygen seal tunnel; do
		equal "$command --help shows an example" 1 "$(endpoint $command --help | grep -c '^Example')"
	done
}

# A configuration around keygen's domain.yaml
configuration() { # DIR
	{
		echo "mode: passive"
		echo "ports: [lo]"
		cat "$1/domain.yaml"
	} >"$1/halfkey.yaml"
}

# What a capture's IP packets are, without link layer
packets() { tcpdump -nn -x -r "$1" ip or ip6 2>/dev/null | grep -v '^[0-9]' | tr -d ' \n\t' ; }

# one NAME WHICH-HOSTS SEAL-OPTIONS... -- KEYGEN-OPTIONS...
one() {
	local name=$1 from=$2 to=$3 out dir
	shift 3
	local seal=()
	while [ "$1" != -- ]; do seal+=("$1"); shift; done
	shift
	dir=$work/one
	rm -rf "$dir"
	endpoint keygen -o "$dir" "$@" "${hosts[@]}" >/dev/null
	configuration "$dir"
	local file=client
	[[ $from == *:* ]] && file=client6
	if ! out=$(endpoint seal -k "$dir/$file.keys" --state "$dir/state" --first-use -f "$from" -t "$to" "${seal[@]}" \
		"$work/plain.pcap" "$dir/sealed.pcap" 2>&1); then
		not_ok "$name: seals - $out"
		return
	fi
	out=$("$O/halfkey" open -c "$dir/halfkey.yaml" -w "$dir/opened.pcap" "$dir/sealed.pcap" 2>&1)
	equal "$name: the box opens what was sealed" "$(packets "$work/plain.pcap")" "$(packets "$dir/opened.pcap")"
	[[ $out == *"20 opened"* ]] || not_ok "$name: the box opens 20 - $(tail -n 1 <<<"$out")"
}

boxes() {
	local v
	if [ ! -x "$O/halfkey" ]; then
		echo "skip keygen: sealed captures through the box - $O/halfkey is not built"
		return
	fi
	python3 tests/net/capture.py "$work/plain.pcap" 20
	for v in 4 5; do one "PSP $v" 192.0.2.1 192.0.2.9 --version $v -- --version $v; done
	for v in 0 1; do one "PSP $v" 192.0.2.1 192.0.2.9 --version $v -- --version $v --profile single; done
	one "PSP 5 over IPv6, with a cookie" 2001:db8::1 2001:db8::9 --cookie 0102030405060708 --
	one "PSP 5 with a crypt offset, slot 1" 192.0.2.1 192.0.2.9 --crypt-offset 7 -- --slot 1
	for v in ctr-hmac gcm-split cbc-hmac; do
		one "ESP $v" 192.0.2.1 192.0.2.9 -e esp --suite $v -- -e esp --suite $v
		one "ESP $v over IPv6, protocol 50, slot 3" 2001:db8::1 2001:db8::9 -e esp --suite $v --carrier ip \
			--mkid 77 -- -e esp --suite $v --slot 3 --mkid 77
	done
	one "ESP gcm" 192.0.2.1 192.0.2.9 -e esp --suite gcm -- -e esp --profile single
	configuration "$work/files"
	sed -i 's/box.keys/client.keys/' "$work/files/halfkey.yaml"
	refused "a host's key file in the box" "authentication" "$O/halfkey" open -c "$work/files/halfkey.yaml" \
		"$work/plain.pcap"
}

seal_sentences() {
	local dir=$work/files
	refused "sealing without state" "--first-use" endpoint seal -k "$dir/client.keys" --state "$work/s" \
		-f 192.0.2.1 -t 192.0.2.9 "$work/plain.pcap" "$work/out.pcap"
	refused "sealing to a stranger" "192.0.2.77" endpoint seal -k "$dir/client.keys" --state "$work/s" --first-use \
		-f 192.0.2.1 -t 192.0.2.77 "$work/plain.pcap" "$work/out.pcap"
	refused "crypt offset 64" "'64'" endpoint seal -k "$dir/client.keys" --state "$work/s" --first-use \
		-f 192.0.2.1 -t 192.0.2.9 --crypt-offset 64 "$work/plain.pcap" "$work/out.pcap"
	refused "writing over the capture that is read" "the capture to read" endpoint seal -k "$dir/client.keys" \
		--state "$work/s" --first-use -f 192.0.2.1 -t 192.0.2.9 "$work/plain.pcap" "$work/plain.pcap"
	refused "a capture that is none" "hosts" endpoint seal -k "$dir/client.keys" --state "$work/s" --first-use \
		-f 192.0.2.1 -t 192.0.2.9 /etc/hosts "$work/out.pcap"
	equal "nothing of that made state" "" "$(ls "$work/s" 2>/dev/null)"
}

files
sentences
boxes
seal_sentences
exit $failed
