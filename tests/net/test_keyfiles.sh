#!/bin/bash
# What is wrong with a key file, by every way in which keys are added: the key
# file and a reload, a file of a watched directory, `halfkey keys add`. Each is
# refused with a sentence that names the file, and the line where one is wrong;
# what was in force stays in force, and packets go on being opened.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin keyfiles

good() { echo "receiver=192.0.2.9 spi=$1 version=5 side=enc key=$(openssl rand -hex 32)"; }
in_force() { box keys list --json | jq -c '[.[] | [.domain, .kind, .receiver, .slot, .generation, .spi, .state]] | sort'; }
last_error() { box status --json | jq -r .reloads.last_error; }
failed() { box status --json | jq .reloads.failed; }
failed_more_than() { [ "$(failed)" -gt "$1" ]; }

# spoil KIND FILE: a good line, then something wrong in line 2, or with the file itself
spoil() {
	(umask 077; good 300 >"$2")
	case $1 in
	mode) good 301 >>"$2"; chmod 644 "$2" ;;
	owner) good 301 >>"$2"; chown 65534 "$2" ;;
	truncated) good 301 | head -c 90 >>"$2" ;;
	duplicated) good 300 >>"$2" ;;
	known) sed -n 's/key=.*//p' "$topology_dir/first.keys" | sed "s/\$/key=$(openssl rand -hex 32)/" >>"$2" ;;
	unknown) good 301 | sed 's/version=/vershun=/' >>"$2" ;;
	malformed) echo "not a key line at all" >>"$2" ;;
	side) good 301 | sed 's/side=enc/side=auth/' >>"$2" ;;
	zero) printf 'receiver=192.0.2.9\0spi=301\n' >>"$2" ;;
	foreign) good 301 | sed 's/192.0.2.9/203.0.113.9/' >>"$2" ;;
	esac
}
says() { # KIND: in the sentence, behind the file's name
	case $1 in
	mode) echo ": mode 0644" ;;
	owner) echo ": a key file must belong to root or to you" ;;
	truncated) echo ":2: key= must be" ;;
	duplicated) echo ":2: the same receiver, SPI and version or suite as" ;;
	known) echo ":2: the same receiver, slot and generation as" ;;
	unknown) echo ":2: unknown field 'vershun'" ;;
	malformed) echo ":2: " ;;
	side) echo ":2: side=auth" ;;
	zero) echo ": holds a zero byte" ;;
	foreign) echo ":2: receiver=203.0.113.9 is not among the receivers" ;;
	esac
}

stays() { # WAY KIND BEFORE SENTENCE NAME: refused so, and nothing else happened
	if grep -qF "$5$(says "$2")" <<<"$4"; then ok "$1, $2: the sentence names file and line"; else
		not_ok "$1, $2: the sentence names file and line - $4"; fi
	check_equal "$1, $2: what was in force is in force" "$3" "$(in_force)"
	check_equal "$1, $2: no key is in the sentence" 0 "$(grep -cE '[0-9a-f]{32}' <<<"$4")"
}

by_socket() {
	local before out
	before=$(in_force)
	spoil "$1" "$topology_dir/bad.keys"
	if out=$(box keys add tunnel "$topology_dir/bad.keys" 2>&1); then not_ok "keys add, $1: was accepted"; return; fi
	stays "keys add" "$1" "$before" "$out" bad.keys
	rm -f "$topology_dir/bad.keys"
}

by_directory() {
	local before count
	before=$(in_force)
	count=$(failed)
	spoil "$1" "$topology_dir/more/.bad"
	mv "$topology_dir/more/.bad" "$topology_dir/more/bad.keys"
	check "keys-dir, $1: is refused" wait_for 5 failed_more_than "$count"
	stays keys-dir "$1" "$before" "$(last_error)" more/bad.keys
	rm -f "$topology_dir/more/bad.keys"
	box reload >/dev/null
}

by_reload() {
	local before out
	before=$(in_force)
	spoil "$1" "$topology_dir/second.keys"
	if out=$(box reload 2>&1); then not_ok "reload, $1: was accepted"; else
		stays reload "$1" "$before" "$out" second.keys; fi
	(umask 077; rm -f "$topology_dir/second.keys"; : >"$topology_dir/second.keys")
}

topology_up 1
mkdir -m 700 "$topology_dir/more"
sealed_keys
(umask 077; : >"$topology_dir/second.keys"; head -n 3 "$topology_dir/keys/box.keys" | grep receiver=192.0.2.9 | head -n 1 >"$topology_dir/first.keys")
[ -s "$topology_dir/first.keys" ] || grep -m 1 receiver=192.0.2.9 "$topology_dir/keys/box.keys" >"$topology_dir/first.keys"
# The domain's own file is good all the while; a second domain has the spoilt ones.
{
	echo "mode: inline"
	sealed_domains | sed "/keys: keys\/box.keys/a\    keys-dir: more"
	echo "  - {name: second, envelope: psp, profile: split, receivers: [192.0.2.0/24], keys: second.keys}"
} | box_config
box_start
sealed_up
check "sealed traffic is opened" pings client 10.9.0.9
for kind in mode owner truncated duplicated known unknown malformed side zero foreign; do
	by_socket $kind
	by_directory $kind
	case $kind in known) ;; *) by_reload $kind ;; esac
done
chmod 777 "$topology_dir/more"
check "a directory that others can write is refused" eval '! box reload >"$topology_dir/said" 2>&1'
check "with a sentence" grep -q 'more: mode 0777 lets others than its owner write it' "$topology_dir/said"
chmod 700 "$topology_dir/more"
check "and a good reload works" box reload
before=$(box_count ok)
check "sealed traffic goes on" pings client 10.9.0.9
opened() { [ "$(box_count ok)" -ge "$1" ]; }
check "and is opened" wait_for 5 opened $((before + 6))
box_conserves "bad key files"
sealed_down
test_end
