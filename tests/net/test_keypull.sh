#!/bin/bash
# The box's side of a key server: straight into the running daemon, into a file
# with a reload, into a watched directory. A set is confirmed when it is in
# force and not before; a daemon that starts anew gets it again; a box that no
# longer hears from the server loses its keys when their time is over.
# shellcheck disable=SC2154,SC2086,SC2046,SC2034 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/keyserver.sh
test_begin keypull
ks_topology

keys_in() { box keys list --json | jq "[.[] | select(.domain == \"$1\" and (.state | IN(\"current\", \"next\", \"previous\")))] | length"; }
has() { test "$(keys_in "$1")" "$2" "$3"; }
generations() { box keys list --json | jq -r "[.[] | select(.domain == \"$1\") | .generation] | unique | join(\" \")"; }
another() { [ "$(generations "$1")" != "$2" ]; }
in_log() { grep -q "$1" "$ks/pull.log"; }
# It noticed that the process is another one, and put the keys again
put_again() { sed '0,/not the process that got the keys/d' "$ks/pull.log" | grep 'is in halfkeyd'; }

# No generation follows the first by itself: what the pull does here is due to halfkeyd alone.
ks_config "$at" "lifetime: 1h" "ahead: 2s" "grace: 2s" "delegation: 0s"
ks_server
(umask 077; : >"$ks/none.keys"; mkdir "$ks/more")
receivers='receivers: ["192.0.2.1", "192.0.2.9"]'
box_config <<-YAML
	mode: inline
	domains:
	  - {name: sealed, envelope: psp, profile: split, $receivers, keys: none.keys, keys-dir: more}
YAML
box_start

# --- straight into the daemon ------------------------------------------------------------------------

ks_pull --into sealed
check "--into puts the keys into the running daemon" wait_for 10 has sealed -ge 2
check_equal "the encryption side alone" enc "$(box keys list --json | jq -r '[.[].side] | unique | join(" ")')"
check_equal "and nothing into a file" "" "$(find "$ks" "$ks/more" -maxdepth 1 -name '*.keys' -size +0)"
check_equal "each key has a beginning and an end" 0 "$(box keys list --json | jq '[.[] | select(.not_before == 0 or .not_after == 0 or .not_after - .not_before > 3700)] | length')"
old=$(box status --json | jq .processes.inspector)
kill -9 "$old"
renewed() { box_ready && [ "$(box status --json | jq .processes.inspector)" != "$old" ] && has sealed -ge 2; }
check "an inspector that starts anew has them again" wait_for 15 renewed
check "from the pull as well, which noticed" wait_for 15 put_again
: >"$ks/pull.log" # nothing is under way now: the next notice is about the next daemon
box_stop
box_start
check "a daemon that starts anew gets them again" wait_for 15 has sealed -ge 2
check "because the pull noticed" wait_for 15 put_again
box reload
check "a reload keeps them" has sealed -ge 2
ks_config "$at" "lifetime: 8s" "ahead: 2s" "grace: 2s" "delegation: 0s"
kill -HUP "$key_server_pid"
check "shorter lives, from now on" wait_for 5 grep -q 'reloaded' "$ks/keyserver.log"
first=$(generations sealed)
check "the next generation comes ahead of use" wait_for 12 another sealed "$first"
gone() { ! generations sealed | grep -qw "$first"; }
check "and the first one goes" wait_for 12 gone
topology_stop "$pull_pid"

# --- time-boxed delegation ---------------------------------------------------------------------------

topology_stop "$key_server_pid"
check "a box that hears nothing more loses its keys when their time is over" wait_for 20 has sealed -eq 0
check "which the daemon says" wait_for 5 grep -q 'expired and are wiped' "$topology_dir/halfkeyd.log"

# --- refused is not confirmed ------------------------------------------------------------------------

ks_config "$at" "lifetime: 1h" "ahead: 2s" "grace: 2s"
ks_server
ks_pull --into nonesuch
check "a domain that halfkeyd does not have is refused" wait_for 10 in_log 'no domain "nonesuch"'
check_equal "and not confirmed" 0 "$(grep -c 'is in halfkeyd' "$ks/pull.log")"
sentence() { # SERVER CERT: what a pull says that cannot even begin
	"$O/halfkey" keys pull --once --out "$ks/none.keys" --domain tunnel --server "$1" --ca "$ks/ca.pem" \
		--cert "$2" --key "$ks/box.key" 2>&1
}
check_equal "a port that is none" \
	"halfkey keys: server '127.0.0.1:99999': the port must be a number from 1 to 65535" \
	"$(sentence 127.0.0.1:99999 "$ks/box.pem")"
check_equal "a certificate that is not there" \
	"halfkey keys: $ks/none.pem: cannot be read: No such file or directory" "$(sentence 127.0.0.1 "$ks/none.pem")"
check_equal "a directory for a certificate" "halfkey keys: $ks: is not a regular file" "$(sentence 127.0.0.1 "$ks")"
other_name() { # the server's own address, written as no certificate has it
	in_server "$O/halfkey" keys pull --once --out "$ks/none.keys" --domain tunnel --server 192.0.521:4780 $(ks_files box) 2>&1
}
check_equal "a name that the server's certificate does not have" \
	"halfkey keys: server 192.0.521, port 4780: its certificate is not for that name; it has IP:127.0.0.1, IP:192.0.2.9, DNS:localhost" \
	"$(other_name)"
topology_stop "$pull_pid"

# --- a watched directory -----------------------------------------------------------------------------

ks_pull --out "$ks/more/pulled.keys"
check "a file of keys-dir is enough" wait_for 10 has sealed -ge 2
check_equal "it has mode 600" 600 "$(stat -c %a "$ks/more/pulled.keys")"
first=$(generations sealed)
"$endpoint" keyserver -c "$ks/keyserver.yaml" --rotate all
check "and is replaced as a whole at a rotation" wait_for 12 another sealed "$first"
nothing_else() { [ -z "$(find "$ks/more" -mindepth 1 ! -name pulled.keys)" ]; } # while it writes there is a draft
check "nothing half written stays" wait_for 5 nothing_else
topology_stop "$pull_pid"
rm "$ks/more/pulled.keys"
check "a file that goes takes its keys along" wait_for 10 has sealed -eq 0

# --- a file and a reload -----------------------------------------------------------------------------

ks_pull --out "$ks/none.keys" --reload
check "the domain's own file, with a reload" wait_for 10 has sealed -ge 2
check_equal "confirmed when it is in force" yes "$(wait_for 5 in_log 'is in .*none.keys' && echo yes)"
topology_stop "$pull_pid"
mkdir "$ks/none.keys.new" # the draft cannot be made
ks_pull --out "$ks/none.keys" --reload
check "a file that cannot be written is said" wait_for 10 in_log 'none.keys: cannot be written'
check_equal "and not confirmed" 0 "$(grep -c 'is in .*none.keys' "$ks/pull.log")"
check_equal "the keys at hand stay" yes "$([ -s "$ks/none.keys" ] && has sealed -ge 2 && echo yes)"
topology_stop "$pull_pid"

for wrong in "" "--into a --out b" "--into a --reload"; do
	check_equal "wrong usage: '$wrong'" 2 "$("$O/halfkey" keys pull --server "$at" $(ks_files box) $wrong 2>/dev/null; echo $?)"
done
sed -n 's/.*key=\([0-9a-f]*\).*/\1/p' "$ks/none.keys" >"$ks/keys"
check_equal "no key is in a log" 0 "$(cat "$ks"/*.log | grep -cFf "$ks/keys")"
test_end
