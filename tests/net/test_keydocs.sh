#!/bin/bash
# docs/keyserver.md as written: every block of it is a command that runs here, a
# file that is used, a figure, or formulas. A block that this test does not know fails it.
# Changed are the paths of a system: /etc/halfkey, the endpoint's state, and halfkeyd's socket.
# shellcheck disable=SC2154,SC2034 # names from lib.sh
. "$(dirname "$0")/lib.sh"
test_begin keydocs
topology_up 1
work=$topology_dir/doc
mkdir -m 700 "$work" "$work/bin"
mkdir "$work/blocks"
document=$PWD/docs/keyserver.md
known=0

awk -v out="$work/blocks" '/^```/ { inside = !inside; if (inside) { n++; file = out "/" n } else close(file); next } inside { print > file }' "$document"
# block WORDS: the one block that holds them, with this machine's paths, in $block
block() {
	local found
	found=$(grep -lF -- "$1" "$work/blocks"/*)
	block=$work/${2:-block}
	if [ "$(wc -w <<<"$found")" -ne 1 ]; then
		not_ok "one block has '$1' - it is in '${found##*/}'"
		return 1
	fi
	known=$((known + 1))
	sed "s|/etc/halfkey/|$work/|g" "$found" >"$block"
}
# command N: the Nth command of $block, its continued lines in one
command_of() { sed -e ':a' -e '/\\$/N; s/\\\n */ /; ta' "$block" | sed -n "$1p"; }
runs() { (cd "$work" && PATH=$work/bin:$PATH nsenter --net=/run/netns/"$topology_client" -- bash -euc "$1"); }
stays() { # COMMAND LOG: in the background
	in_background "$topology_client" bash -c "cd '$work' && PATH='$work/bin':\$PATH exec $1" >"$work/$2.out" 2>"$work/$2.log"
	stayed=$background
}
log_says() { grep -q "$2" "$work/$1.log"; }
printed() { grep -q "$2" "$work/$1.out"; }

ln -s "$O/halfkey-endpoint" "$work/bin/halfkey-endpoint"
printf '#!/bin/sh\ncase "$*" in *--into*|*--reload*) set -- "$@" -s "%s" ;; esac\nexec "%s" "$@"\n' \
	"$topology_dir/control.sock" "$O/halfkey" >"$work/bin/halfkey"
chmod 755 "$work/bin/halfkey"

# --- certificates, configuration, the server -----------------------------------------------------------

block "openssl req -x509"
check "the certificates are made" runs "$(cat "$block")"
check_equal "all of them" 0 "$(find "$work" -maxdepth 1 -name '*.pem' -empty | wc -l)"
block 'listen: "127.0.0.1:4780"' keyserver.yaml
block "halfkey-endpoint keyserver -c keyserver.yaml --list"
stays "$(command_of 1)" server
check "the server runs with the configuration" wait_for 10 log_says server 'ready at'
list=$(command_of 2)
rotate=$(command_of 3)
wait_for 5 sh -c "[ -s '$work/state/keyserver.db' ]"
listed() { runs "$list" | grep -q 'client .*current'; }
check "--list shows generations" wait_for 5 listed
check "--rotate orders new keys" runs "$rotate"
next() { runs "$list" | grep -q 'client .*next .*in force from'; }
check "which come" wait_for 5 next
block "jq '.generations"
kill -USR1 "$stayed"
check "the stats file is written" wait_for 5 test -s "$work/stats.json"
check_equal "and says what a rotation waits for" client "$(runs "$(cat "$block")" | jq -r 'select(.waits_for) | .host')"
unnamed() { # counters of the stats file that the document does not name
	jq -r 'to_entries[] | select((.value | type) == "number" and .key != "time") | .key' "$work/stats.json" | while read -r name; do
		grep -qF "\`$name\`" "$document" || echo "$name"
	done
}
check_equal "every counter of it is in the document" "15, and not: " "$(jq '[.[] | numbers] | length - 1' "$work/stats.json"), and not: $(unnamed)"

# --- the box ---------------------------------------------------------------------------------------------

box_config <<-YAML
	mode: inline
	domains:
	  - {name: sealed, envelope: psp, profile: split, receivers: ["192.0.2.1", "192.0.2.9"]}
YAML
box_start
block "--into sealed"
stays "$(command_of 1)" pull
has_keys() { [ "$(box keys list --json | jq length)" -ge 2 ]; }
check "halfkeyd had said that it has none" wait_for 5 grep -q 'domain sealed: has no keys yet: .*halfkey keys pull --into sealed' "$topology_dir/halfkeyd.log"
check "keys pull --into puts them into halfkeyd" wait_for 10 has_keys
block "--out /etc/halfkey/box.keys --once"
check "keys pull --out --once writes a file" runs "$(command_of 1)"
check_equal "that file" "enc 600" "$(grep -o 'side=[a-z]*' "$work/box.keys" | sort -u | sed 's/side=//') $(stat -c %a "$work/box.keys")"

# --- hosts -----------------------------------------------------------------------------------------------

block "halfkey-endpoint tunnel --server"
stays "$(command_of 1) --state '$work/windows'" tunnel
check "the tunnel gets its keys" wait_for 15 log_says tunnel 'keys to receive'
check "and an SPI to its peer" wait_for 15 log_says tunnel 'to 192.0.2.9 with SPI'
topology_stop "$stayed"

sed -e 's/^state: state /state: esp /' -e 's/name: tunnel/name: tunnel\n    suite: ctr-hmac/' -e 's/envelope: psp/envelope: esp/' \
	-e 's/:4780/:4781/' "$work/keyserver.yaml" >"$work/esp.yaml"
stays "halfkey-endpoint keyserver -c esp.yaml" esp
check "an ESP domain" wait_for 10 log_says esp 'ready at'
block "--inbound --format xfrm --watch"
sed -i 's/--server 127.0.0.1 /--server 127.0.0.1:4781 /' "$block"
stays "$(command_of 2)" inbound
prints() { runs "$(command_of 1)" >"$work/out.out"; }
check "keys --peer prints what goes out" wait_for 10 prints
check "as ip xfrm takes it" printed out '^ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x'
check "keys --inbound --watch prints the same to the receiver" wait_for 10 printed inbound "$(grep -o 'spi 0x[0-9a-f]*' "$work/out.out" | head -n 1)"
"$O/halfkey-endpoint" keygen -e esp -o "$work/keys" --peer client=192.0.2.1 --peer server=192.0.2.9 >/dev/null
check "keys --file converts a key file" runs "$(command_of 3) >wireshark.out"
check "to Wireshark's table" printed wireshark '^"IPv4","192.0.2.1","192.0.2.9","0x'

known=$((known + $(grep -l '┌───\|HKDF-SHA-256-Expand' "$work/blocks"/* | wc -l))) # figures and formulas
check_equal "every block of the document is known" "$(find "$work/blocks" -type f | wc -l)" "$known"
test_end
