#!/bin/bash
# Keys of a running box: added, rotated, retired and imported over the control
# socket, and in a watched directory, while sealed traffic goes on; and no key
# byte anywhere that an operator, a log or a core file could show it.
# shellcheck disable=SC2154 # the variables of lib.sh and topology.sh
. "$(dirname "$0")/lib.sh"
. tests/net/sealed.sh
test_begin keys

config() { # EXTRA-DOMAIN-KEY
	{ echo "mode: inline"; sealed_domains | sed "/keys: keys\/box.keys/a\    keys-dir: more"; } | box_config
}
count_keys() { box keys list --json | jq length; }
keys_are() { [ "$(count_keys)" = "$1" ]; }
state_of() { box keys list --json | jq -r ".[] | select(.generation == $1) | .state" | sort -u | head -n 1; }
refused() { # NAME WORDS COMMAND...
	local name=$1 words=$2 out
	shift 2
	if out=$("$@" 2>&1); then not_ok "$name - was accepted"; elif grep -q "$words" <<<"$out"; then ok "$name"; else
		not_ok "$name - $out"
	fi
}
# drop_in NAME: standard input becomes a file of the watched directory, in one step
drop_in() { (umask 077; cat >"$topology_dir/more/.$1"; mv "$topology_dir/more/.$1" "$topology_dir/more/$1"); }

domain() { sed -n 's/.*name: *\([a-z0-9-]*\).*/\1/p' "$topology_dir/keys/domain.yaml" | head -n 1; }
random_key() { openssl rand -hex "$1"; }

by_socket() {
	local d=$1 n=$2
	echo "receiver=192.0.2.9 spi=77 version=5 side=enc key=$secret" | check "keys add from standard input" box keys add "$d" -
	check_equal "it is there" $((n + 1)) "$(count_keys)"
	check_equal "with its SPI and state" "77 current" "$(box keys list --json | jq -r '.[] | select(.spi == 77) | "\(.spi) \(.state)"')"
	echo "receiver=192.0.2.9 spi=77 version=5 side=enc key=$secret" | box keys add "$d" - >"$topology_dir/again"
	check "the same again is no error" grep -q "0 added, 1 known" "$topology_dir/again"
	echo "receiver=192.0.2.9 spi=78 version=5 side=auth key=$(random_key 32)" >"$topology_dir/auth.keys"
	chmod 600 "$topology_dir/auth.keys"
	refused "an authentication key is refused, with file and line" ":1: side=auth" box keys add "$d" "$topology_dir/auth.keys"
	chmod 644 "$topology_dir/auth.keys"
	refused "a key file that others can read is refused" "mode 0644" box keys add "$d" "$topology_dir/auth.keys"
	refused "so is standard input that cannot be read" "cannot be read" box keys add "$d" - </
	refused "a key on the command line is refused" "no place on a command line" box keys retire "$d" key=00
	refused "an unknown domain is refused" "no domain" box keys retire nonesuch slot=0 generation=1
	check "keys retire" box keys retire "$d" receiver=192.0.2.9 spi=77 version=5
	check_equal "it is gone, and its tombstone says so" retired "$(box keys list --json | jq -r '.[] | select(.spi == 77) | .state')"
	check "sealed traffic went on" pings client 10.9.0.9
}

by_directory() {
	local d=$1 n
	n=$(count_keys)
	echo "receiver=192.0.2.9 spi=91 version=5 side=enc key=$other" | drop_in one.keys
	check "a file in keys-dir is taken" wait_for 5 keys_are $((n + 1))
	echo "receiver=192.0.2.9 spi=92 version=5 side=enc key=00" | drop_in two.keys
	check "a bad one is refused, with file and line" wait_for 5 grep -q 'more/two.keys:1: key= must be' "$topology_dir/halfkeyd.log"
	check_equal "and changes nothing" $((n + 1)) "$(count_keys)"
	status_says() { box status --json | jq -r .reloads.last_error | grep -q "$1"; }
	check "status shows the sentence" wait_for 5 status_says 'two.keys:1'
	rm "$topology_dir/more/two.keys"
	box reload >/dev/null
	in_directory() { [ "$(box keys list --json | jq '[.[] | select(.state != "retired")] | length + 1')" = $((n + 1)) ]; }
	check "a reload reads the directory, too" wait_for 10 in_directory
	sed "s|^domains:|&\n  - {name: other, envelope: psp, profile: split, receivers: [198.51.100.0/24], keys: kept.keys, keys-dir: ./more}|" \
		"$topology_dir/halfkey.yaml" >"$topology_dir/two.yaml"
	cp "$topology_dir/halfkey.yaml" "$topology_dir/one.yaml"
	cp "$topology_dir/two.yaml" "$topology_dir/halfkey.yaml"
	(umask 077; : >"$topology_dir/kept.keys")
	refused "one directory for two domains is refused, whatever it is called" "give each a directory of its own" box reload
	cp "$topology_dir/one.yaml" "$topology_dir/halfkey.yaml"
	rm "$topology_dir/more/one.keys"
	check "a file that goes takes its keys along" wait_for 5 grep -q '1 retired (more/one.keys)' "$topology_dir/halfkeyd.log"
	check "sealed traffic went on" pings client 10.9.0.9
	: "$d"
}

timed_key() { echo "receiver=192.0.2.9 spi=$1 version=5 side=enc key=$(random_key 32) $2"; } # SPI TIMES
# ending SPI: a key that ends soon, and as much later as it takes to add it in time
ending() {
	local after said
	for after in 3 10 30 100; do
		said=$(timed_key "$1" "not-after=$(($(date +%s) + after))" | box keys add "$(domain)" - 2>&1) && return
		grep -q 'is in the past' <<<"$said" || break
	done
	echo "$said"
	return 1
}
spi_is() { [ "$(box keys list --json | jq -r ".[] | select(.spi == $1) | .state")" = "$2" ]; }
timed() {
	local d=$1 now
	now=$(date +%s)
	{ timed_key 193 "not-before=$((now + 3600)) not-after=$((now + 7200))"; timed_key 194 "not-before=$((now + 3)) not-after=$((now + 7200))"; } |
		box keys add "$d" - >/dev/null
	check "before its time a key waits" spi_is 193 not-yet
	check "when that comes it is in force" wait_for 6 spi_is 194 current
	check "a key that ends is added" ending 195
	check "after its time it is expired and wiped" wait_for 12 spi_is 195 expired
}

# The inspector dies with all its memory: keys that no file holds come back with the
# next one, those that went do not, and nobody has to push anything at 3 am.
inspector_is_not() { local now; now=$(box status --json | jq -r .processes.inspector); [ -n "$now" ] && [ "$now" != "$1" ] && box_ready; }
crash() { # NAME
	local old
	old=$(box status --json | jq -r .processes.inspector)
	kill -9 "$old"
	check "$1: the inspector is replaced" wait_for 15 inspector_is_not "$old"
}
in_force() { box keys list --json | jq -r '.[] | select(.state == "current" or .state == "next") | "\(.domain) \(.receiver) \(.kind) \(.slot) \(.generation) \(.spi) \(.not_after)"' | sort; }
by_crash() {
	local d=$1 before end
	end=$(($(date +%s) + 3600))
	# the tunnel's own keys, from the socket alone: its file is empty from here on
	box keys add "$d" "$topology_dir/keys/box.keys" >/dev/null
	cp -p "$topology_dir/keys/box.keys" "$topology_dir/kept.keys"
	: >"$topology_dir/keys/box.keys"
	box reload >/dev/null
	box keys add "$d" "$topology_dir/kept.keys" >/dev/null
	box keys add "$d" - <<-KEYS >/dev/null
		receiver=192.0.2.9 spi=94 version=5 side=enc key=$(random_key 32)
		receiver=192.0.2.9 spi=95 version=4 side=enc key=$(random_key 16) not-after=$end
	KEYS
	check "one that ends comes as well" ending 96
	box keys retire "$d" receiver=192.0.2.9 spi=94 version=5 >/dev/null
	check "and expires" wait_for 12 spi_is 96 expired
	before=$(in_force)
	check_equal "keys came over the socket" 1 "$(grep -c " 95 $end" <<<"$before")"
	crash "kill -9 of the inspector"
	check_equal "the same keys are in force again, with their times" "$before" "$(in_force)"
	check "the log says so" wait_for 5 grep -q 'keys: [0-9]* from the control socket in force again' "$topology_dir/halfkeyd.log"
	check "sealed traffic is opened with keys that no file holds" opens_more
	box keys retire "$d" receiver=192.0.2.9 spi=95 version=4 >/dev/null
	box reload >/dev/null
	before=$(in_force)
	crash "and once more, after a reload"
	check_equal "the same keys again, without the one that was retired" "$before" "$(in_force)"
	check_equal "which is gone" 0 "$(grep -c ' 95 ' <<<"$before")"
	check "sealed traffic is opened" opens_more
	check_equal "nothing was lost on the way" 0 "$(grep -c 'control socket lost' "$topology_dir/halfkeyd.log")"
}
opens_more() { local before; before=$(reason_count workers ok); pings client 10.9.0.9 && wait_for 2 ok_reaches $((before + 6)); }
ok_reaches() { [ "$(reason_count workers ok)" -ge "$1" ]; }

# Every place that shows anything: no digit of a key that came and went.
nothing_shows() {
	local log=$topology_dir/everything pid key
	pid=$(box status --json | jq .processes.inspector)
	{
		cat "$topology_dir/halfkeyd.log"
		box status --json
		box stats --json
		box keys list
		box keys list --json
		tr '\0' '\n' <"/proc/$pid/cmdline"
	} >"$log" 2>&1
	for key in "$secret" "$other" "$(sed -n 's/.*key=\([0-9a-f]*\).*/\1/p' "$topology_dir/kept.keys" | head -n 1)"; do
		check_equal "logs and answers show no key (${#key} digits)" 0 "$(grep -c -e "${key:0:12}" -e "${key:40:12}" "$log")"
	done
	if ! command -v gcore >/dev/null; then
		skip "a core file holds no key - gcore is not installed"
		return
	fi
	gcore -o "$topology_dir/core" "$pid" >/dev/null 2>&1 || { skip "a core file holds no key - gcore cannot read the inspector"; return; }
	for key in "$secret" "$other"; do
		check_equal "a core file holds no key" 0 "$(python3 -c 'import sys; d=open(sys.argv[1],"rb").read(); k=sys.argv[2]; print(d.count(bytes.fromhex(k)) + d.count(k.encode()))' \
			"$topology_dir/core.$pid" "$key")"
	done
}

topology_up 1
sealed_keys
mkdir -m 700 "$topology_dir/more"
config
secret=$(random_key 32)
other=$(random_key 32)
box_start
sealed_up
check "it inspects" pings client 10.9.0.9
by_socket "$(domain)" "$(count_keys)"
by_directory "$(domain)"
timed "$(domain)"
by_crash "$(domain)"
nothing_shows
check_equal "last used is shown for the tunnel's keys" true \
	"$(box keys list --json | jq 'any(.[]; .kind == "master" and .used > 0)')"
box_conserves "key changes"
sealed_down
test_end
