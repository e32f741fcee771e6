#!/bin/bash
# Keys of TLS connections while they run: the first TLS domain comes by reload,
# key logs grow in `keys` and in keys-dir, lines come over the control socket
# (late, and for two ends alone), and are retired. What was said under a key is
# opened, what was said without one is not, and everything arrives whole.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/tls.sh
tls_begin tls_keys

config() { # with-domain | shared | bare | without
	{
		echo "mode: inline"
		[ "$1" = without ] || { tls_domain; echo "    keys-dir: more"; }
		[ "$1" != shared ] || cat <<-YAML
			  - name: mail
			    envelope: tls
			    profile: single
			    receivers: ["192.0.2.77"]
			    tls: {ports: [993], memory: 1MiB}
			    keys: keys.log
		YAML
		echo "feeds: {pcapng: {path: $topology_dir/opened.pcapng}}"
	} | if [ "$1" = bare ]; then sed '/^    keys:/d'; else cat; fi | box_config
}

listed() { [ "$(box keys list --json | jq "[.[] | select(.kind == \"connection\" and .source == \"$1\")] | length")" = "$2" ]; }
opened() { grep -aqc "$1" "$topology_dir/opened.pcapng"; }
not_opened() { ! opened "$1"; }
random_of() { sed -n 's/^CLIENT_RANDOM \([0-9a-f]*\) .*/\1/p' "$topology_dir/$1" | tail -n 1; }
secret_of() { sed -n 's/^CLIENT_RANDOM [0-9a-f]* \([0-9a-f]*\)$/\1/p' "$topology_dir/$1" | tail -n 1; }

nothing_wrong() {
	check_equal "$1: nothing was damaged" "0 0 0" "$(box_count bad-icv) $(box_count tls-gap) $(box_count tls-no-room)"
	box_conserves "$1"
}

first_by_reload() {
	config with-domain
	check "the first TLS domain comes with a reload" box reload
	tls_connect "reload: a connection comes about" 443 "$topology_dir/keys.log"
	check "keys: the log is followed while it grows" wait_for 5 listed keys.log 1
	check "keys: the client's side arrives" tls_tell client "said in the log by the client" 100
	check "keys: the server's side arrives" tls_tell server "said in the log by the server" 100
	check "keys: the client's side was opened" wait_for 5 opened "said in the log by the client"
	check "keys: the server's side was opened" wait_for 5 opened "said in the log by the server"
	tls_down
	nothing_wrong "keys"
}

in_directory() {
	(umask 077 && : >"$topology_dir/more/live.keys")
	tls_connect "keys-dir: a connection comes about" 8443 "$topology_dir/more/live.keys"
	check "keys-dir: the log is followed while it grows" wait_for 5 listed more/live.keys 1
	check "keys-dir: it arrives" tls_tell server "said in the directory" 100
	check "keys-dir: it was opened" wait_for 5 opened "said in the directory"
	rm "$topology_dir/more/live.keys"
	check "keys-dir: keys go with their file" wait_for 5 listed more/live.keys 0
	check "keys-dir: it arrives all the same" tls_tell server "said without the directory" 50
	check "keys-dir: and is stale-key" has stale-key 1
	check "keys-dir: and was not opened" not_opened "said without the directory"
	tls_down
	nothing_wrong "keys-dir"
}

late() {
	local before stale
	(umask 077 && : >"$topology_dir/late.log")
	before=$(box_count no-key)
	tls_connect "late: a connection comes about" 8443 "$topology_dir/late.log"
	check "late: it arrives" tls_tell client "said too early" 100
	check "late: without a key it is counted" has no-key $((before + 10))
	check "late: the key comes over the control socket" box keys import web "$topology_dir/late.log"
	check "late: it arrives with the key" tls_tell client "said in time" 100
	check "late: it is opened from there" wait_for 5 opened "said in time"
	check "late: and not before" not_opened "said too early"
	shows_no_key
	stale=$(box_count stale-key)
	check "late: the key is retired" box keys retire web "client-random=$(random_of late.log)"
	check "late: it arrives after that" tls_tell client "said after that" 100
	check "late: and is stale-key" has stale-key $((stale + 10))
	check "late: and was not opened" not_opened "said after that"
	tls_down
	nothing_wrong "late"
}

shows_no_key() {
	box keys list >"$topology_dir/list"
	box keys list --json >>"$topology_dir/list"
	cat "$topology_dir/halfkeyd.log" >>"$topology_dir/list"
	check "list: it names the connection" grep -q "client random $(random_of late.log)" "$topology_dir/list"
	check_equal "list: and where its key came from" "the control socket" \
		"$(box keys list --json | jq -r ".[] | select(.client_random == \"$(random_of late.log)\") | .source")"
	check "list: and no digit of its secret" not_in_list "$(secret_of late.log)"
}
not_in_list() { [ ${#1} = 96 ] && ! grep -q -e "${1:0:12}" -e "${1:40:12}" "$topology_dir/list"; }

two_ends() {
	local dump ends
	(umask 077 && : >"$topology_dir/ends.log")
	in_background "$topology_client" tcpdump -q -U --immediate-mode -s 0 -i c0 -w "$topology_dir/wire.pcap" tcp port 8443 2>"$topology_dir/dump.log"
	dump=$background
	check "ends: somebody looks at the wire" wait_for 5 grep -q listening "$topology_dir/dump.log"
	tls_connect "ends: a connection comes about" 8443 "$topology_dir/ends.log"
	check "ends: it arrives" tls_tell client "said to nobody" 20
	topology_stop "$dump"
	python3 tests/net/tls_tuple.py "$topology_dir/wire.pcap" "$topology_dir/ends.log" >"$topology_dir/ends.keys"
	check "ends: the key comes for two ends alone" box keys add web - <"$topology_dir/ends.keys"
	check "ends: it arrives with the key" tls_tell server "said between two ends" 100
	check "ends: and was opened" wait_for 5 opened "said between two ends"
	check_equal "ends: it is listed by its ends" "192.0.2.1 192.0.2.9 8443" \
		"$(box keys list --json | jq -r '.[] | select(.client) | "\(.client) \(.server) \(.server_port)"')"
	ends=$(box keys list --json | jq -r '.[] | select(.client) | "client=\(.client) client-port=\(.client_port) server=\(.server) server-port=\(.server_port)"')
	# shellcheck disable=SC2086 # four words
	check "ends: and retired by them" box keys retire web $ends
	tls_down
	nothing_wrong "ends"
}

# Two domains with one log, which is moved away as log rotation does it.
made_up() { printf 'CLIENT_RANDOM %s %s\n' "$(openssl rand -hex 32)" "$(openssl rand -hex 48)"; }
domains_listed() { [ "$(box keys list --json | jq -r '.[] | select(.source == "keys.log") | .domain' | sort | uniq -c | xargs)" = "$1" ]; }
one_log() {
	(umask 077 && made_up >"$topology_dir/keys.log")
	config shared
	check "one log: a second domain has it, too" box reload
	check "one log: both read it" wait_for 5 domains_listed "1 mail 1 web"
	made_up >>"$topology_dir/keys.log"
	check "one log: both follow it" wait_for 5 domains_listed "2 mail 2 web"
	mv "$topology_dir/keys.log" "$topology_dir/keys.log.1"
	(umask 077 && made_up >"$topology_dir/keys.log.new")
	mv "$topology_dir/keys.log.new" "$topology_dir/keys.log"
	check "one log: the next file of the name is read" wait_for 5 domains_listed "1 mail 1 web"
	made_up >>"$topology_dir/keys.log"
	check "one log: and followed" wait_for 5 domains_listed "2 mail 2 web"
	made_up >>"$topology_dir/keys.log.1"
	mv "$topology_dir/keys.log" "$topology_dir/keys.log.2"
	(umask 077 && : >"$topology_dir/keys.log")
	made_up >>"$topology_dir/keys.log"
	check "one log: also one that is made in its place" wait_for 5 domains_listed "1 mail 1 web"
	check_equal "one log: nothing was refused" null "$(box status --json | jq -r .reloads.last_error)"
}

# A domain without a log of its own has its keys-dir, and the control socket.
no_log() {
	config bare
	check "no log: a domain without \`keys\`" box reload
	check_equal "no log: what its log had given has gone" 0 "$(box keys list --json | jq length)"
	check "no log: it is said" wait_for 5 grep -q 'domain web: has no keys yet: .*keys add web.*keys-dir' "$topology_dir/halfkeyd.log"
	(umask 077 && made_up >"$topology_dir/more/live.keys")
	check "no log: keys come from its directory" wait_for 5 listed more/live.keys 1
	check "no log: and over the control socket" box keys add web - <<<"$(made_up)"
	check_equal "no log: both are there" 2 "$(box keys list --json | jq length)"
	rm "$topology_dir/more/live.keys"
	check "no log: the file's go with it" wait_for 5 listed more/live.keys 0
	check_equal "no log: nothing was refused" null "$(box status --json | jq -r .reloads.last_error)"
}

tls_topology
mkdir -m 700 "$topology_dir/more"
config without
box_start
first_by_reload
in_directory
late
two_ends
one_log
no_log
config without
check "the last TLS domain goes with a reload" box reload
check_equal "and takes its keys along" 0 "$(box keys list --json | jq length)"
test_end
