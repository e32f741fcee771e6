#!/bin/bash
# UEC TSS with real packets through the box: PDS sealed by halfkey-endpoint, over
# UDP 4793 and over IP alone, IPv4 and IPv6, `single` and `split`. The box opens
# them, sends on the original bytes, and refuses what is not right.
# shellcheck disable=SC2154 # what lib.sh sets
. "$(dirname "$0")/lib.sh"
test_begin tss
traffic=$PWD/tests/net/tss_traffic.py
count=60

# keys NAME PROFILE SETUP: a secure domain's keys in its own directory
keys() {
	"$O/halfkey-endpoint" keygen -e tss -o "$topology_dir/$1" --sdi 171 --slot 1 --profile "$2" --tss "$3" \
		--domain "$1" -r 192.0.2.0/24 -r 2001:db8::/32
}

configuration() { # NAME
	echo "mode: inline"
	sed "s|keys: box.keys|keys: $1/box.keys|" "$topology_dir/$1/domain.yaml"
	cat <<-YAML
		policy: {no-key: drop}
		hooks:
		  - {use: firewall, rules: firewall.yaml}
		  - {use: signatures, rules: local.rules}
		feeds:
		  eve: {path: $topology_dir/eve.json, stats-interval: 1}
		  pcapng: {path: $topology_dir/opened.pcapng}
	YAML
}

# seal DOMAIN SETUP FROM TO EPOCH OUT OPTION...
seal() {
	local domain=$1 setup=$2 from=$3 to=$4 epoch=$5 out=$topology_dir/$6
	shift 6
	"$O/halfkey-endpoint" seal --envelope tss -k "$topology_dir/$domain/hosts.keys" --tss "$setup" --sdi 171 --an 1 \
		--epoch "$epoch" --from "$from" --to "$to" --state "$topology_dir/$domain.state" --first-use "$@" \
		"$topology_dir/plain-$from.pcap" "$out"
}

# through NAME SEALED ADDRESS PROTOCOL: what the client sends arrives at the server, byte for byte
through() {
	local got=$topology_dir/got receiver
	"$traffic" payloads "$topology_dir/$2" | sort >"$topology_dir/wanted"
	: >"$got"
	in_server "$traffic" receive "$3" "$4" $count >"$got" &
	receiver=$!
	wait_for 5 grep -q ready "$got"
	in_client "$traffic" send "$topology_dir/$2"
	wait $receiver
	check_equal "$1: every packet arrives as it was sent" "$(sha256sum <"$topology_dir/wanted")" \
		"$(grep -v ready "$got" | sort | sha256sum)"
}

rose() { # NAME REASON BEFORE BY
	wait_for 5 eval "[ \"\$(box_count $2)\" -ge $(($3 + $4)) ]"
	check_equal "$1" $(($3 + $4)) "$(box_count "$2")"
}

settings() {
	cat >"$topology_dir/firewall.yaml" <<-YAML
		default: accept
		rules:
		  - {name: fabric, match: {protocol: udp, source: 192.0.2.1, destination-port: "4793"}, action: accept, log: yes}
	YAML
	cat >"$topology_dir/local.rules" <<-RULES
		alert udp any any -> any 4793 (msg:"a delivery"; content:"packet delivery 7"; sid:1000002; rev:1;)
	RULES
}

plain() {
	"$traffic" capture "$topology_dir/plain-192.0.2.1.pcap" 192.0.2.1 192.0.2.9 $count
	"$traffic" capture "$topology_dir/plain-2001:db8::1.pcap" 2001:db8::1 2001:db8::9 $count
}

carriers() { # DOMAIN SETUP: all four, and every packet opened
	local before
	check "$1: sealed, UDP over IPv4" seal "$1" "$2" 192.0.2.1 192.0.2.9 7600 udp4.pcap
	check "$1: sealed, IPv4 alone" seal "$1" "$2" 192.0.2.1 192.0.2.9 7601 ip4.pcap --carrier ip
	check "$1: sealed, UDP over IPv6" seal "$1" "$2" 2001:db8::1 2001:db8::9 7600 udp6.pcap
	check "$1: sealed, IPv6 alone" seal "$1" "$2" 2001:db8::1 2001:db8::9 7601 ip6.pcap --carrier ip
	before=$(box_count ok)
	through "$1, UDP over IPv4" udp4.pcap 192.0.2.9 0
	through "$1, IPv4 alone" ip4.pcap 192.0.2.9 253
	through "$1, UDP over IPv6" udp6.pcap 2001:db8::9 0
	through "$1, IPv6 alone" ip6.pcap 2001:db8::9 253
	rose "$1: all of them were opened" ok "$before" $((4 * count))
}

refusals() { # DOMAIN SETUP: what a `single` box drops
	local before
	before=$(box_count bad-icv)
	in_client "$traffic" send "$topology_dir/udp4.pcap" icv
	rose "a wrong ICV is dropped and counted" bad-icv "$before" $count
	before=$(box_count tss-reserved)
	in_client "$traffic" send "$topology_dir/ip4.pcap" reserved
	rose "a reserved bit is dropped and counted" tss-reserved "$before" $count
	before=$(box_count tss-type)
	in_client "$traffic" send "$topology_dir/udp6.pcap" type
	rose "an undefined type is dropped and counted" tss-type "$before" $count
	seal "$1" "$2" 192.0.2.1 192.0.2.9 7584 old.pcap >/dev/null
	before=$(box_count tss-epoch)
	in_client "$traffic" send "$topology_dir/old.pcap"
	rose "a stale epoch is counted" tss-epoch "$before" $count
	before=$(box_count tss-pds)
	in_client "$traffic" send "$topology_dir/plain-192.0.2.1.pcap"
	rose "PDS in the clear is told apart" tss-pds "$before" $count
}

feeds() {
	check "EVE: records of TSS" wait_for 10 grep -q '"envelope": *"tss"' "$topology_dir/eve.json"
	check "EVE: says that there is no IP packet inside" wait_for 10 grep -q '"inner": *"not-ip"' "$topology_dir/eve.json"
	check "hooks see the payload: an alert on it" wait_for 10 grep -q '"signature": *"a delivery"' "$topology_dir/eve.json"
	check "with the outer addresses" wait_for 10 grep -q '"src_ip": *"192.0.2.1"' "$topology_dir/eve.json"
	check "pcapng: the payload is there" wait_for 10 grep -aq "packet delivery 3" "$topology_dir/opened.pcapng"
}

nonces() {
	check "the nonce state is asked for" \
		eval '! seal single mode=cluster 192.0.2.1 192.0.2.9 7600 again.pcap 2>/dev/null'
}

# opened DOMAIN CAPTURE: `halfkey open` opens all of a sealed capture
opened() {
	sed 's/^feeds:.*//; /^  eve:/d; /^  pcapng:/d' "$topology_dir/halfkey.yaml" >"$topology_dir/open.yaml"
	check_equal "halfkey open: $1" $count \
		"$("$O/halfkey" open --json -c "$topology_dir/open.yaml" "$topology_dir/$2" | jq '.reasons.ok.packets // 0')"
}

hosts() { # files that are none of the box's business
	cp "$topology_dir/split/hosts.keys" "$topology_dir/split/box.keys.good"
	check "the box refuses the hosts' file" eval "! $O/halfkey check -c $topology_dir/bad.yaml >$topology_dir/said 2>&1"
	check "and says why" grep -q "side=auth" "$topology_dir/said"
}

topology_up 2
settings
plain
check "keys, single" keys single single mode=cluster
check "keys, split" keys split split mode=cluster,rekey-mask=0xfff0,rekey-shift=4,kdf-length=32
configuration single | box_config
box_start
carriers single mode=cluster
refusals single mode=cluster
nonces
feeds
opened "single, UDP" udp4.pcap
opened "single, IP alone" ip6.pcap
box_conserves single
sed "s|keys: single/box.keys|keys: split/hosts.keys|; s|profile: single|profile: split|" "$topology_dir/halfkey.yaml" \
	>"$topology_dir/bad.yaml"
hosts
configuration split | box_config
check "reload: another domain, split" box reload
carriers split mode=cluster,rekey-mask=0xfff0,rekey-shift=4,kdf-length=32
box_conserves split
test_end
