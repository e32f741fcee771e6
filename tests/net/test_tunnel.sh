#!/bin/bash
# halfkey-endpoint tunnels between end hosts, without a box: real TCP through
# every envelope and suite over IPv4 and IPv6, restarts (also after kill -9),
# two senders to one receiver, and no nonce that repeats.
#
#   client ── c0/s0 ── server ── s1/x0 ── other (a second sender)
# shellcheck disable=SC2154 # names from lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin tunnel
topology_other=$topology_box # a host here, not a box

links_up() {
	topology_dir=$(mktemp -d "${TMPDIR:-/tmp}/halfkey.$topology_id.XXXXXX")
	local n
	for n in "$topology_client" "$topology_other" "$topology_server"; do
		ip netns add "$n"
		nsenter --net=/run/netns/"$n" -- ip link set lo up
		nsenter --net=/run/netns/"$n" -- sysctl -qw net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0
	done
	topology_link "$topology_client" c0 "$topology_server" s0 1 1500
	topology_link "$topology_other" x0 "$topology_server" s1 1 1500
	in_client ip link set c0 up
	in_server ip link set s0 up
	in_server ip link set s1 up
	in_box ip link set x0 up
	in_client ip addr add 192.0.2.1/24 dev c0
	in_client ip addr add 2001:db8::1/64 dev c0 nodad
	in_server ip addr add 192.0.2.9/24 dev s0
	in_server ip addr add 2001:db8::9/64 dev s0 nodad
	in_server ip addr add 198.51.100.9/24 dev s1
	in_box ip addr add 198.51.100.1/24 dev x0
	in_box ip route add 192.0.2.9/32 via 198.51.100.9
}

# keys DIR OPTION...: for client, server and other, outer IPv4 (and IPv6 for the first two)
keys() {
	local dir=$1
	shift
	"$O/halfkey-endpoint" keygen --out "$topology_dir/$dir" "$@" \
		--peer client=192.0.2.1,10.9.0.1/24,fd09::1/64 \
		--peer server=192.0.2.9,10.9.0.9/24,fd09::9/64 \
		--peer other=198.51.100.1,10.9.0.5/24 \
		--peer client6=2001:db8::1,10.96.0.1/24,fd96::1/64 \
		--peer server6=2001:db8::9,10.96.0.9/24,fd96::9/64 >/dev/null
}

# tunnel WHERE DIR NAME OPTION...: starts one and waits for it; pid in $background
tunnel() {
	local where=$1 dir=$2 name=$3 log
	shift 3
	log=$topology_dir/$dir.$name.log
	: >"$log"
	in_background "$where" "$O/halfkey-endpoint" tunnel -c "$topology_dir/$dir/$name.tunnel.yaml" \
		--state "$topology_dir/$dir/state" --stats "$topology_dir/$dir/$name.json" "$@" 2>>"$log"
	if ! wait_for 10 grep -q ' ready ' "$log"; then
		not_ok "tunnel $name of $dir starts - $(tail -n 1 "$log")"
		return 1
	fi
}

# transfer FROM TO ADDRESS: 3 MB of noise by TCP; equal sums on both sides
transfer() {
	local from=$1 to=$2 address=$3 listen sum
	[[ $address == *:* ]] && listen="TCP6-LISTEN:5001,bind=[$address]" address="[$address]" ||
		listen="TCP4-LISTEN:5001,bind=$address"
	rm -f "$topology_dir/got"
	in_background "$to" timeout 200 socat -u "$listen,reuseaddr" "CREATE:$topology_dir/got"
	local server=$background
	wait_for 5 listening "$to" || return 1
	nsenter --net=/run/netns/"$from" -- timeout 200 socat -u "OPEN:$topology_dir/noise" "TCP:$address:5001" || return 1
	wait "$server"
	sum=$(sha256sum <"$topology_dir/got")
	[ "$sum" = "$(sha256sum <"$topology_dir/noise")" ]
}
listening() { nsenter --net=/run/netns/"$1" -- ss -Hltn 'sport = :5001' | grep -q .; }

# count DIR NAME FILTER: a number of the tunnel's statistics
count() { jq -r "$3" "$topology_dir/$1/$2.json"; }

# one TAG OPTION...: both IP versions outside and inside, with one kind of keys
one() {
	local tag=$1
	shift
	keys "$tag" "$@" || { not_ok "$tag: keygen"; return; }
	tunnel "$topology_client" "$tag" client --first-use && local c=$background &&
		tunnel "$topology_server" "$tag" server --first-use && local s=$background || return
	check "$tag: TCP, IPv4 in IPv4" transfer "$topology_client" "$topology_server" 10.9.0.9
	check "$tag: TCP back, IPv6 in IPv4" transfer "$topology_server" "$topology_client" fd09::1
	topology_stop "$c" "$s"
	check_equal "$tag: nothing refused" 0 "$(count "$tag" server '[.refused[]] | add')"
	check "$tag: both sides opened packets" [ "$(count "$tag" server .opened.packets)" -gt 1000 ]
	tunnel "$topology_client" "$tag" client6 --first-use && c=$background &&
		tunnel "$topology_server" "$tag" server6 --first-use && s=$background || return
	check "$tag: TCP, IPv4 in IPv6" transfer "$topology_client" "$topology_server" 10.96.0.9
	check "$tag: TCP back, IPv6 in IPv6" transfer "$topology_server" "$topology_client" fd96::1
	topology_stop "$c" "$s"
	check_equal "$tag: nothing refused over IPv6" 0 "$(count "$tag" server6 '[.refused[]] | add')"
}

# Restarts and a second sender, with a capture of everything the server receives.
nonces() {
	local tag=$1
	shift
	keys "$tag" "$@"
	in_background "$topology_server" tcpdump --immediate-mode -q -U -i s0 -w "$topology_dir/s0.pcap" 2>"$topology_dir/dump0"
	local d0=$background
	in_background "$topology_server" tcpdump --immediate-mode -q -U -i s1 -w "$topology_dir/s1.pcap" 2>"$topology_dir/dump1"
	local d1=$background
	wait_for 5 grep -q listening "$topology_dir/dump0" && wait_for 5 grep -q listening "$topology_dir/dump1"
	tunnel "$topology_server" "$tag" server --first-use || return
	local s=$background
	tunnel "$topology_client" "$tag" client --first-use || return
	local c=$background
	tunnel "$topology_other" "$tag" other --first-use || return
	local o=$background
	check "$tag: two senders to one receiver: the first" echoes client 10.9.0.9 20 0.01
	check "$tag: two senders to one receiver: the second" echoes box 10.9.0.9 20 0.01
	kill -9 "$c"
	wait "$c" 2>/dev/null
	tunnel "$topology_client" "$tag" client || return
	c=$background
	check "$tag: after kill -9 and a restart" echoes client 10.9.0.9 20 0.01
	topology_stop "$c"
	tunnel "$topology_client" "$tag" client || return
	c=$background
	check "$tag: after a clean restart" echoes client 10.9.0.9 20 0.01
	# The same SPI from a second process: refused while the first runs.
	check_refused "$tag: a second process with the same keys" "another process" tunnel -c "$topology_dir/$tag/client.tunnel.yaml" -d hk9 \
		--state "$topology_dir/$tag/state"
	topology_stop "$c"
	mv "$topology_dir/$tag/state" "$topology_dir/$tag/gone"
	: >"$topology_dir/empty.yaml"
	check_refused "$tag: a configuration with nothing in it" "nothing is in it" tunnel -c "$topology_dir/empty.yaml"
	check_refused "$tag: lost state" "no nonce state" tunnel -c "$topology_dir/$tag/client.tunnel.yaml" \
		--state "$topology_dir/$tag/state"
	rm -rf "$topology_dir/$tag/state"
	cp -a "$topology_dir/$tag/gone" "$topology_dir/$tag/state"
	check_refused "$tag: state restored from a copy" "copy of another file" tunnel -c "$topology_dir/$tag/client.tunnel.yaml" \
		--state "$topology_dir/$tag/state"
	topology_stop "$o" "$s"
	sleep 0.3
	topology_stop "$d0" "$d1"
	local nonces
	nonces=$(python3 tests/net/nonces.py "$topology_dir/s0.pcap" "$topology_dir/s1.pcap")
	check_equal "$tag: no nonce repeats ($nonces)" "0 repeats" "${nonces##*, }"
	check_equal "$tag: the receiver refused nothing" 0 "$(count "$tag" server '[.refused[]] | add')"
}

# check_refused NAME WORDS ARGUMENT...: halfkey-endpoint fails, and its sentence has these words
check_refused() {
	local name=$1 words=$2 out
	shift 2
	if out=$(in_client timeout 100 "$O/halfkey-endpoint" "$@" 2>&1); then
		not_ok "$name - was accepted"
	elif [[ $out == *"$words"* ]]; then
		ok "$name is refused"
	else
		not_ok "$name - $out"
	fi
}

# The largest inner packet makes an outer one of at most 1500 bytes, and gets through.
edges() {
	local tag=$1 mtu
	mtu=$(in_client ip -j link show dev hk0 | jq .[0].mtu)
	check "$tag: a packet of the whole MTU ($mtu)" echoes client 10.9.0.9 2 0.05 $((mtu - 28))
	if in_client ping -q -c 1 -W 1 -M "do" -s $((mtu - 27)) 10.9.0.9 >/dev/null 2>&1; then
		not_ok "$tag: a byte more is refused by the sender - it went through"
	else
		ok "$tag: a byte more is refused by the sender"
	fi
}

# An ESP SPI whose sequence numbers run out gives way to the next; with none left nothing is sent.
used_up() {
	local tag=used-up c s
	keys $tag -e esp
	tunnel "$topology_client" $tag client --first-use && c=$background
	topology_stop "$c"
	age_state "$topology_dir/$tag/state/esp-00001000-"*.nonces
	tunnel "$topology_server" $tag server --first-use && s=$background
	tunnel "$topology_client" $tag client && c=$background
	check "an SPI that runs out gives way to the next" echoes client 10.9.0.9 20 0.01
	topology_stop "$c"
	check_equal "its last numbers were used, and then the next SPI" "5 and 15" \
		"$(count $tag client '.peers[0]["sealed-by-spi"] | "\(.["0x00001000"]) and \(.["0x00001001"])"')"
	age_state "$topology_dir/$tag/state/esp-0000100"*.nonces
	tunnel "$topology_client" $tag client && c=$background
	in_client ping -q -c 20 -i 0.01 -W 1 10.9.0.9 >/dev/null
	topology_stop "$c" "$s"
	check_equal "with no numbers left nothing is sent" 10 "$(count $tag client .unsent[\"spi-used-up\"])"
}

# age_state FILE...: leaves 5 sequence numbers, in a record the sender takes for its own
age_state() {
	python3 - "$@" <<-'PYTHON'
	import hashlib, re, sys, time
	for name in sys.argv[1:]:
	    with open(name, "r+b") as file:
	        text = file.read().split(b"sum=")[0].decode()
	        text = re.sub(r" sn=\d+", f" sn={2**32 - 5}", text)
	        text = re.sub(r"written=\d+", f"written={int(time.time())}", text) + "sum="
	        text += hashlib.sha256(text.encode()).hexdigest()[:32]
	        file.seek(0)
	        file.write(text.encode().ljust(512, b"\n"))
	PYTHON
}

# hup TAG NAME PID WORDS: SIGHUP, and a new line of the log has these words
hup() {
	local log=$topology_dir/$1.$2.log lines
	lines=$(wc -l <"$log")
	kill -HUP "$3"
	wait_for 10 eval "tail -n +$((lines + 1)) '$log' | grep -q '$4'"
}

# prepare TAG NAME: state for the SPIs that have none, while the tunnel runs
prepare() {
	in_client "$O/halfkey-endpoint" tunnel --first-use --prepare -c "$topology_dir/$1/$2.tunnel.yaml" \
		--state "$topology_dir/$1/state"
}

sent_more_than() { [ "$(in_client ip -j -s link show hk0 | jq '.[0].stats64.tx.packets')" -gt "$1" ]; }

# Rotation of running tunnels: new keys are accepted, then used, then the old ones go; nothing is lost.
reloads() { # TAG KEYGEN-OPTION...
	local tag=$1 c s dir=$topology_dir/$1 name
	shift
	keys "$tag" "$@"
	keys "$tag.next" --slot 1 --generation 2 "$@"
	tunnel "$topology_client" "$tag" client --first-use && c=$background
	tunnel "$topology_server" "$tag" server --first-use && s=$background
	echo_begin "$dir/ping" 0.002
	for name in client server; do
		grep slot= "$topology_dir/$tag.next/$name.keys" >>"$dir/$name.keys"
	done
	check "$tag: the server accepts the next keys" hup "$tag" server "$s" "hk0: reloaded"
	check "$tag: and so does the client" hup "$tag" client "$c" "hk0: reloaded"
	for name in client server; do
		grep -v spi= "$dir/$name.keys" >"$dir/new"
		grep spi= "$topology_dir/$tag.next/$name.keys" >>"$dir/new"
		cat "$dir/new" >"$dir/$name.keys"
	done
	check "$tag: SPIs without state are refused" hup "$tag" client "$c" "not reloaded.*no nonce state"
	check "$tag: their state is made" prepare "$tag" client
	check_refused "$tag: making it again" "no first use" tunnel --first-use --prepare \
		-c "$dir/client.tunnel.yaml" --state "$dir/state"
	check "$tag: then they are taken" hup "$tag" client "$c" "hk0: reloaded"
	check "$tag: the server's state is made" prepare "$tag" server
	check "$tag: and its SPIs taken" hup "$tag" server "$s" "hk0: reloaded"
	for name in client server; do sed -i '/slot=0/d' "$dir/$name.keys"; done
	check "$tag: the old keys go at the client" hup "$tag" client "$c" "hk0: reloaded"
	check "$tag: and at the server" hup "$tag" server "$s" "hk0: reloaded"
	echo "side=enc" >>"$dir/client.keys"
	check "$tag: a bad key file is refused, with its line" hup "$tag" client "$c" "not reloaded.*client.keys:[0-9]*:"
	sed -i '$d' "$dir/client.keys"
	sed -i 's/^local: .*/local: "192.0.2.2"/' "$dir/client.tunnel.yaml"
	check "$tag: another local address needs a restart" hup "$tag" client "$c" "not reloaded.*local"
	wait_for 10 sent_more_than 100
	echo_end
	topology_stop "$c" "$s"
	check "$tag: traffic went on all the while" [ "$(sed -n 's/ packets transmitted.*//p' "$dir/ping")" -gt 100 ]
	check "$tag: and no packet was lost" none_lost "$dir/ping"
	check_equal "$tag: nothing was refused" "0 0" "$(count "$tag" client '[.refused[]] | add') $(count "$tag" server '[.refused[]] | add')"
	check_equal "$tag: reloads are counted" "3 and 3" "$(count "$tag" client '.reloads | "\(.done) and \(.refused)"')"
	check_equal "$tag: all was sealed with the new SPIs in the end" true \
		"$(count "$tag" client '.peers[0]["sealed-by-spi"] | (keys | length) == 2 and ([.[]] | add) > 0')"
}

refusals() {
	local tag=refuse
	keys $tag
	check_refused "an MTU past the link's" "mtu '1500'" tunnel \
		-c "$topology_dir/$tag/client.tunnel.yaml" --mtu 1500
	check_refused "the box's key file on a host" "side=enc without its side=auth" tunnel -c "$topology_dir/$tag/client.tunnel.yaml" -k "$topology_dir/$tag/box.keys"
	chmod 644 "$topology_dir/$tag/client.keys"
	check_refused "a key file that others can read" "client.keys" tunnel \
		-c "$topology_dir/$tag/client.tunnel.yaml"
	chmod 600 "$topology_dir/$tag/client.keys"
	check_refused "a single-key version under split keys" "key to send to" tunnel \
		-c "$topology_dir/$tag/client.tunnel.yaml" --version 1 --first-use \
		--state "$topology_dir/$tag/state"
	check_refused "a directory as configuration" "regular file" tunnel -c "$topology_dir/$tag"
	sed 's/version: 5/suite: gcm/' "$topology_dir/$tag/client.tunnel.yaml" >"$topology_dir/$tag/bad.yaml"
	check_refused "another envelope's word in the configuration" "psp knows no suite" tunnel \
		-c "$topology_dir/$tag/bad.yaml"
	sed 's/{remote/{mkid: 7, remote/' "$topology_dir/$tag/client.tunnel.yaml" >"$topology_dir/$tag/bad.yaml"
	check_refused "another envelope's word in a peer" "psp knows no mkid" tunnel -c "$topology_dir/$tag/bad.yaml"
	check_refused "an option of a peer without one" "no --peer stands before it" tunnel --spi 5
	check_refused "an option of one of the file's peers" "no --peer stands before it" tunnel --spi 5 \
		-c "$topology_dir/$tag/client.tunnel.yaml"
	sed '/^peers:/,$d' "$topology_dir/$tag/client.tunnel.yaml" >"$topology_dir/$tag/one.yaml"
	printf 'peers:\n  - remote: %s\n' 192.0.2.77 >>"$topology_dir/$tag/one.yaml"
	check_refused "an option of the file's only peer is that peer's" "192.0.2.77 with SPI 0x00001000" tunnel --spi 4096 --first-use \
		-c "$topology_dir/$tag/one.yaml" --state "$topology_dir/$tag/state"
	check_refused "to prepare without --first-use" "--first-use" tunnel --prepare \
		-c "$topology_dir/$tag/client.tunnel.yaml"
	sed 's/version: 5/colour: red/' "$topology_dir/$tag/client.tunnel.yaml" >"$topology_dir/$tag/bad.yaml"
	check_refused "an unknown word in the configuration" "colour" tunnel \
		-c "$topology_dir/$tag/bad.yaml"
}

links_up
head -c 3000000 /dev/urandom >"$topology_dir/noise"
one psp-5
one psp-4 --version 4
one psp-1 --profile single
one esp-ctr-hmac -e esp
one esp-cbc-hmac -e esp --suite cbc-hmac
one esp-gcm-split -e esp --suite gcm-split --carrier ip
one esp-gcm -e esp --profile single --carrier ip
nonces psp-nonces
nonces esp-nonces -e esp
used_up
reloads psp-reload
reloads esp-reload -e esp
keys mtu
tunnel "$topology_client" mtu client --first-use
tunnel "$topology_server" mtu server --first-use
edges psp-5
refusals
test_end
