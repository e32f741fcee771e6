#!/bin/bash
# Files end to end, without a network and without root: keygen writes them, the
# box's programs take what is theirs and refuse what is not, and a sealed
# capture opens with the box's keys to the packets that went in.
. "$(dirname "$0")/offline.sh"
offline_begin keygen
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
	refused "a directory that is not empty" "no empty directory" endpoint keygen -o "$work/half" "${hosts[@]}"
	equal "and nothing else is in it" server.keys "$(ls "$work/half")"
	ln -s "$work/half" "$work/link"
	refused "a symbolic link" "no empty directory" endpoint keygen -o "$work/link" "${hosts[@]}"
	mkdir -m 755 "$work/empty"
	endpoint keygen -o "$work/empty/" "${hosts[@]}" >/dev/null
	equal "an empty directory is taken, and closed" "700 box.keys" \
		"$(stat -c %a "$work/empty") $(cd "$work/empty" && echo box.k*)"
	refused "a directory nowhere" "No such file" endpoint keygen -o "$work/none/x" "${hosts[@]}"
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
	refused "a peer's file name that is taken" "'readers'" endpoint keygen -o "$work/x" --peer readers=192.0.2.1 \
		--peer b=192.0.2.2
	refused "an inner address twice" "10.9.0.1/16' is that of 'a'" endpoint keygen -o "$work/x" \
		--peer a=192.0.2.1,10.9.0.1/24 --peer b=192.0.2.2,10.9.0.1/16
	refused "a prefix behind two hosts" "is that of 'a'" endpoint keygen -o "$work/x" \
		--peer a=192.0.2.1,10.20.0.0/16 --peer b=192.0.2.2,10.20.0.0/16
	refused "an unknown envelope" "'quic'" endpoint keygen -o "$work/x" -e quic "${hosts[@]}"
	refused "TLS" "nothing to draw" endpoint keygen -o "$work/x" -e tls "${hosts[@]}"
	refused "an option of another envelope" "--suite means nothing in envelope 'psp'" \
		endpoint keygen -o "$work/x" --suite ctr-hmac "${hosts[@]}"
	refused "a peer of TSS" "--peer means nothing" endpoint keygen -o "$work/x" -e tss --sdi 1 --tss mode=cluster \
		-r 10.0.0.0/8 --peer a=192.0.2.1
	refused "TSS for nobody" "no --receiver" endpoint keygen -o "$work/x" -e tss --sdi 1 --tss mode=cluster
	refused "TSS for somebody twice" "stands twice" endpoint keygen -o "$work/x" -e tss --sdi 1 --tss mode=cluster \
		-r 10.0.0.0/8 -r 10.0.0.0/8
	refused "TSS without its domain" "needs --sdi" endpoint keygen -o "$work/x" -e tss --tss mode=cluster -r 10.0.0.0/8
	refused "inline keying with one key" "'single'" endpoint keygen -o "$work/x" -e inline --profile single "${hosts[@]}"
	refused "reader keys with one key" "--reader" endpoint keygen -o "$work/x" -e eesp --reader --profile single \
		"${hosts[@]}"
	refused "slots of sub-SAs" "--slot means nothing in envelope 'eesp' with --sub-sa" \
		endpoint keygen -o "$work/x" -e eesp --sub-sa --slot 1 "${hosts[@]}"
	refused "an MKID that does not fit" "highest there is" endpoint keygen -o "$work/x" -e dtls --mkid 65535 "${hosts[@]}"
	refused "dropping a peer of a new set" "--next alone" endpoint keygen -o "$work/x" --drop client "${hosts[@]}"
	refused "an unknown option" "--colour" endpoint keygen --colour
	refused "an unknown command" "'sael'" endpoint sael
	if [ -e "$work/x" ]; then not_ok "and nothing was written"; else ok "and nothing was written"; fi
	for command in keygen keys keyserver seal open tunnel; do
		equal "$command --help shows an example" 1 "$(endpoint $command --help | grep -c '^example: ')"
	done
}

# --- who holds what ---

trio=(--peer "a=192.0.2.1,10.9.0.1/24" --peer "b=192.0.2.9,10.9.0.9/24" --peer c=192.0.2.7)
secrets() { grep -ohE '(key|root)=[0-9a-f]{32,}' "$@" | cut -d= -f2 | sort -u; } # FILE...
in_all() { sort "$@" | uniq -c | awk -v n=$# '$1 == n' | wc -l; }		 # FILE...: lines that all have

# loads NAME DIR: the box takes domain.yaml and box.keys as they are
loads() {
	local said
	configuration "$2"
	said=$("$O/halfkey" check -c "$2/halfkey.yaml" 2>&1 | tail -n 1)
	equal "$1" "$2/halfkey.yaml: fine" "$said"
}

# row NAME OPTION...: files of three hosts
row() {
	local name=$1 dir=$work/row f
	shift
	rm -rf "$dir"
	endpoint keygen -o "$dir" "$@" "${trio[@]}" >"$work/said" || { not_ok "$name"; return; }
	loads "$name: the box takes what is its" "$dir"
	equal "$name: and no more" "" "$(grep -h side=auth "$dir/box.keys")"
	grep -h side=auth "$dir"/[abc].keys | grep -oE '(key|root)=[0-9a-f]+' | cut -d= -f2 | sort -u >"$work/auth"
	equal "$name: no authentication key is in it by another name" "" "$(grep -F -f "$work/auth" "$dir/box.keys")"
	for f in a b c; do secrets "$dir/$f.keys" >"$work/$f"; done
	equal "$name: no key is in three hosts' files" 0 "$(in_all "$work"/{a,b,c})"
	equal "$name: nor two roles for one" "" "$(cat "$dir"/[abc].keys | sort -u | grep -oE '(key|root)=[0-9a-f]+' | sort | uniq -d)"
	equal "$name: no key is printed" "" "$(cat "$work"/{a,b,c} | grep -F -f - "$work/said")"
	equal "$name: a fingerprint for each key" 1 "$(($(grep -c fingerprint "$work/said") >= 3))"
}

rows() {
	local dir=$work/row
	row "PSP"
	equal "PSP: two hosts have no key in common" 0 "$(in_all "$work"/{a,b})"
	row "ESP" -e esp --suite gcm-split --level region --level task
	equal "ESP: two hosts have no key in common" 0 "$(in_all "$work"/{a,b})"
	row "EESP" -e eesp --reader --mkid 70000 --protocol 253
	equal "EESP: two hosts share the keys between them, and the sender has its reader key" "4 10" \
		"$(in_all "$work"/{a,b}) $(wc -l <"$work/a")"
	equal "EESP: a key for each direction" 6 "$(grep -c side=enc "$dir/box.keys")"
	equal "EESP: reader keys in a file of their own" "6 0" \
		"$(grep -c side=reader "$dir/readers.keys") $(grep -c side=reader "$dir/box.keys")"
	equal "EESP: an MKID for each" 6 "$(grep -o 'id=[0-9]*' "$dir/box.keys" | sort -u | wc -l)"
	cat "$dir/readers.keys" >>"$dir/box.keys"
	loads "EESP: a box that reads tags takes both" "$dir"
	row "EESP, combined" -e eesp --reader --level region --level group --level task
	cat "$dir/readers.keys" >>"$dir/box.keys"
	loads "EESP, combined: reader keys are no combination" "$dir"
	row "EESP, one key" -e eesp --profile single
	row "EESP, sub-SAs" -e eesp --sub-sa
	equal "EESP, sub-SAs: two hosts share theirs" 4 "$(in_all "$work"/{a,b})"
	row "WESP" -e wesp --reader
	equal "WESP: two hosts share theirs" 4 "$(in_all "$work"/{a,b})"
	row "inline keying" -e inline
	equal "inline keying: two hosts share theirs" 4 "$(in_all "$work"/{a,b})"
	equal "inline keying: a parent for each direction" 6 "$(grep -c 'spi=.*side=enc root=' "$dir/box.keys")"
	row "DTLS" -e dtls --mkid 7 --port 5684
	equal "DTLS: a key for each two" "3 2" "$(grep -c id= "$dir/box.keys") $(in_all "$work"/{a,b})"
	row "DTLS, one key" -e dtls --profile single --level x --level y
	endpoint keygen -o "$work/tss" -e tss --sdi 171 --tss mode=server,servers=10.1.0.1+10.1.0.2 -r 10.1.0.0/16 >/dev/null
	loads "TSS: the box takes what is its" "$work/tss"
	equal "TSS: hosts have both sides, the box has one" "2 1" \
		"$(grep -c key= "$work/tss/hosts.keys") $(grep -c key= "$work/tss/box.keys")"
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

# --- the next keys ---

# sealed DIR KEYFILE STATE OUT OPTION...: the client's packets, sealed with a key file of DIR
sealed() {
	local dir=$1 keys=$2 state=$3 out=$4
	shift 4
	endpoint seal -k "$dir/$keys" --state "$work/$state" --first-use -f 192.0.2.1 -t 192.0.2.9 "$@" \
		"$work/plain.pcap" "$out" >"$work/said" 2>&1 || not_ok "sealing with $keys - $(tail -n 1 "$work/said")"
}

# opened DIR KEYFILE CAPTURE: how many packets the box opens with that key file
opened() {
	sed "s/box.keys/$2/" "$1/domain.yaml" >"$1/other.yaml"
	{ echo "mode: passive"; echo "ports: [lo]"; cat "$1/other.yaml"; } >"$1/halfkey.yaml"
	"$O/halfkey" open --json -c "$1/halfkey.yaml" "$3" 2>"$work/said" | jq '.reasons.ok.packets // 0'
}

# lines FILE PATTERN: the keys in those lines
lines() { grep -E "$2" "$1" | grep -oE '(key|root)=[0-9a-f]+' | sort; }

# step NAME SEAL-OPTIONS -- KEYGEN-OPTIONS: one generation to the next, and the one after
step() {
	local name=$1 old=$work/old next=$work/next seal=()
	shift
	while [ "$1" != -- ]; do seal+=("$1"); shift; done
	shift
	rm -rf "$old" "$next" "$work"/s[12] "$work/third"
	endpoint keygen -o "$old" "$@" "${hosts[@]}" >/dev/null
	endpoint keygen -o "$next" --next "$old" >"$work/steps"
	loads "$name, next: the box takes it" "$next"
	equal "$name, next: it says what to do" 5 "$(grep -cE '^  [1-5]\. ' "$work/steps")"
	equal "$name, next: slot and generation" "slot=1 generation=2" \
		"$(grep -oE 'slot=1 generation=2' "$next/box.keys" | sort -u)"
	sealed "$old" client.keys s1 "$work/before.pcap" "${seal[@]}"
	sealed "$next" client.change.keys s2 "$work/after.pcap" "${seal[@]}"
	equal "$name, next: the box opens both on the way" "20 20" \
		"$(opened "$next" box.accept.keys "$work/before.pcap") $(opened "$next" box.accept.keys "$work/after.pcap")"
	equal "$name, next: in the end the new ones alone" "0 20" \
		"$(opened "$next" box.keys "$work/before.pcap") $(opened "$next" box.keys "$work/after.pcap")"
	equal "$name, next: a host that accepts sends as before" "$(lines "$old/client.keys" spi=)" \
		"$(lines "$next/client.accept.keys" spi=)"
	equal "$name, next: one that changes sends anew" "$(lines "$next/client.keys" spi=)" \
		"$(lines "$next/client.change.keys" spi=)"
	for f in accept change; do
		equal "$name, next: $f receives both" "$(lines "$old/server.keys" slot=; lines "$next/server.keys" slot=)" \
			"$(lines "$next/server.$f.keys" slot=0; lines "$next/server.$f.keys" slot=1)"
	done
	endpoint keygen -o "$work/third" --next "$next" >/dev/null
	equal "$name, and the one after: generation 3" "generation=3" \
		"$(grep -oE 'slot=.*generation=3' "$work/third/box.keys" | grep -o generation=3 | sort -u)"
	equal "$name, and the one after: new keys" 0 "$(in_all <(secrets "$next/server.keys") <(secrets "$work/third/server.keys"))"
}

nexts() {
	local dir=$work/old next=$work/next
	step "PSP" --version 4 -- --version 4
	step "ESP" -e esp --suite cbc-hmac --mkid 9 -- -e esp --suite cbc-hmac --mkid 9
	step "levels" -- --level region --level group --level task
	equal "levels, next: the last one's roots are new, the others stay" "$(lines "$dir/levels.keys" 'level=(region|group)')" \
		"$(lines "$next/levels.keys" 'level=(region|group)')"
	rm -rf "$work/third"
	endpoint keygen -o "$work/third" --next "$next" --level region >/dev/null
	equal "levels: a new root for the one that is named" "level=region generation=2 level=group generation=1" \
		"$(grep -oE 'level=(region|group) generation=[0-9]*' "$work/third/box.keys" | tr '\n' ' ' | sed 's/ $//')"
	loads "levels: and the box combines it" "$work/third"
	cp "$work/third/box.accept.keys" "$work/third/box.keys"
	loads "levels: beside the old ones" "$work/third"
	refused "a level that there is not" "none of those" endpoint keygen -o "$work/y" --next "$next" --level moon
	endpoint keygen -o "$work/shared" --level "region=$next/levels.keys" --level site "${hosts[@]}" >/dev/null
	equal "levels: a root that another domain has as well" "$(lines "$next/levels.keys" level=region)" \
		"$(lines "$work/shared/levels.keys" level=region)"
	loads "levels: in that domain" "$work/shared"
	refused "a root from a box's file" "both its sides" endpoint keygen -o "$work/y" --level "region=$next/box.keys" \
		--level site "${hosts[@]}"
	refused "an older root" "is not what follows" endpoint keygen -o "$work/y" --next "$work/third" \
		--level "region=$next/levels.keys"
	refused "one level" "one level alone" endpoint keygen -o "$work/y" --level region "${hosts[@]}"
	refused "four levels" "at most 3" endpoint keygen -o "$work/y" --level a --level b --level c --level d "${hosts[@]}"
	refused "a level twice" "stands twice" endpoint keygen -o "$work/y" --level a --level a "${hosts[@]}"
	refused "a level's name" "'a/b'" endpoint keygen -o "$work/y" --level a/b --level c "${hosts[@]}"
	refused "the last level from a file" "root of its own" endpoint keygen -o "$work/y" --level region \
		--level "site=$next/levels.keys" "${hosts[@]}"
	rm -rf "$dir" "$next"
	endpoint keygen -o "$dir" -e dtls "${hosts[@]}" >/dev/null
	endpoint keygen -o "$next" --next "$dir" >/dev/null
	equal "DTLS, next: MKIDs go on behind the old ones" "" \
		"$(grep -ohE 'id=[0-9]+' "$dir/box.keys" "$next/box.keys" | sort | uniq -d)"
	endpoint keygen -o "$work/tss2" --next "$work/tss" >"$work/steps"
	loads "TSS, next: the box takes it" "$work/tss2"
	equal "TSS, next: hosts can have both" "0 0 1 1" \
		"$(grep -o 'slot=[01]' "$work/tss2/hosts.accept.keys" | cut -d= -f2 | tr '\n' ' ' | sed 's/ $//')"
	equal "TSS, next: and are told which to seal with" 1 "$(grep -c 'seal with slot 1 (halfkey-endpoint seal --an 1)' "$work/steps")"
	rm -rf "$dir" "$next"
	endpoint keygen -o "$dir" -e eesp --sub-sa --domain here "${hosts[@]}" >/dev/null
	endpoint keygen -o "$next" --next "$dir" --drop client6 --peer new6=2001:db8::5 >/dev/null
	equal "sub-SAs, next: other SPIs" "" "$(grep -ohE 'receiver=[^ ]* spi=[^ ]*' "$dir/box.keys" "$next/box.keys" | sort | uniq -d)"
	equal "a host that is dropped gets nothing, one that is new gets its keys alone" "new6.keys new6.tunnel.yaml" \
		"$(cd "$next" && echo client6* new6* | sed 's/client6\* //')"
	equal "and options last" "here" "$(sed -n 's/^ *- name: //p' "$next/domain.yaml")"
	refused "changing the profile on the way" "--profile with --next" endpoint keygen -o "$work/y" --next "$dir" --profile single
	refused "the next of nothing" "keygen.options" endpoint keygen -o "$work/y" --next "$work/half"
	refused "the next over the old" "no empty directory" endpoint keygen -o "$dir" --next "$dir"
	refused "dropping nobody" "no peer of this name" endpoint keygen -o "$work/y" --next "$dir" --drop moon
	chmod 644 "$dir/client.keys"
	refused "old keys that others can read" "client.keys" endpoint keygen -o "$work/y" --next "$dir"
	equal "and nothing is left of it" "" "$(ls -d "$work"/y* 2>/dev/null)"
}

# --- size ---

many() { # COUNT
	local i
	for i in $(seq 0 $(($1 - 1))); do echo --peer "h$i=198.51.$((100 + i / 250)).$((i % 250 + 1)),10.9.$((i / 250)).$((i % 250 + 1))/16"; done
}

sizes() {
	local peers dir=$work/many
	mapfile -t peers < <(many 256 | tr ' ' '\n')
	if endpoint keygen -o "$dir" --spis 1 "${peers[@]}" >/dev/null; then ok "256 peers"; else not_ok "256 peers"; fi
	equal "256 peers: a file for each" 256 "$(find "$dir" -name 'h*.keys' | wc -l)"
	equal "256 peers: no SPI of a receiver has two senders" "" \
		"$(cat "$dir"/h*.keys | grep -oE 'receiver=[^ ]* spi=[^ ]*' | sort | uniq -c | awk '$1 != 2' | head -n 1)"
	loads "256 peers: the box takes them" "$dir"
	refused "257 peers" "at most 256" endpoint keygen -o "$work/x" "${peers[@]}" --peer one=192.0.2.1
	refused "more SPIs than a host's file has room for" "fewer --spis" endpoint keygen -o "$work/x" --spis 9 "${peers[@]}"
	refused "more keys than a box has room for" "make two domains" endpoint keygen -o "$work/x" -e wesp "${peers[@]}"
	rm -rf "$dir"
}

# A disk of a few kilobytes, in a mount namespace of its own
full() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "skip keygen: a full disk - needs root"
		return
	fi
	mkdir "$work/small"
	# shellcheck disable=SC2016 # expanded by that shell
	unshare --mount --propagation private sh -c '
		mount -t tmpfs -o size=24k,mode=700 small "$1" || exit 9
		"$2" keygen -o "$1/keys" --peer a=192.0.2.1 --peer b=192.0.2.9 --spis 16 && exit 8
		ls -A "$1"' sh "$work/small" "$O/halfkey-endpoint" >"$work/said" 2>"$work/why"
	equal "a full disk: says so" 1 "$(grep -c 'No space left' "$work/why")"
	equal "a full disk: nothing is left of the set" "" "$(cat "$work/said")"
}

files
sentences
rows
boxes
nexts
sizes
full
seal_sentences
exit $test_failed
