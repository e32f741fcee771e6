#!/bin/bash
# The key server on loopback: what each role gets and never gets, whatever it
# asks and whatever it shows; kill -9 under load without a repeated SPI; state
# that others could read; output for stock IPsec hosts. No key in any log.
# shellcheck disable=SC2154,SC2086,SC2046,SC2034 # names from lib.sh and keyserver.sh; ks_files is several words
. "$(dirname "$0")/lib.sh"
. tests/net/keyserver.sh
ks_begin keyserver

start() {
	: >"$ks/log.now"
	"$endpoint" keyserver -c "$ks/keyserver.yaml" 2>>"$ks/log.now" &
	server=$!
	wait_for 10 grep -q 'in force now\|ready at' "$ks/log.now" && wait_for 5 is_up && return 0
	not_ok "the key server starts - $(tail -n 1 "$ks/log.now")"
	exit 1
}
is_up() { "$O/halfkey" keys pull --server "$at" $(ks_files box) --out "$ks/up.keys" --once; }
stop() { # SIGNAL
	kill "-$1" "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	cat "$ks/log.now" >>"$ks/log"
	server=
}

# frame JSON: as it stands on the wire
frame() {
	# shellcheck disable=SC2059
	printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' 0 0 $((${#1} / 256)) $((${#1} % 256)))"
	printf '%s' "$1"
}
# talk CERT S_CLIENT-OPTION... <bytes: what the server says to them, as text: it ought to be nothing
talk() {
	local cert=$1
	shift
	(cat; sleep 0.5) | timeout 5 openssl s_client -connect "$at" -CAfile "$ks/ca.pem" -cert "$ks/$cert.pem" \
		-key "$ks/$cert.key" -quiet -no_ign_eof -verify_quiet "$@" 2>/dev/null | tr -d '\0'
}
# ask CERT ROLE JSON...: hello as ROLE first, then the requests; every answer
ask() {
	local cert=$1 role=$2
	shift 2
	python3 tests/net/ask.py "$at" "$ks/ca.pem" "$ks/$cert.pem" "$ks/$cert.key" \
		"{\"op\":\"hello\",\"role\":\"$role\"}" "$@"
}
has_auth() { grep -q 'side=auth\|side=reader' <<<"$1"; }
refused_auth() { count refused-auth; }

# never NAME ANSWER: no key but encryption keys in it
never() { if has_auth "$2"; then not_ok "$1 - it got one"; else ok "$1"; fi; }
nothing() { if grep -q 'key=' <<<"$2"; then not_ok "$1 - it got a key"; else ok "$1"; fi; }

ks_certs
ks_cert ca expired URI:halfkey:box:box1 clientAuth 0
ks_cert ca expired-host URI:halfkey:host:client clientAuth 0
ks_ca other
ks_cert other foreign URI:halfkey:host:client
ks_cert ca nobody URI:halfkey:host:stranger
ks_cert ca nouri none
ks_cert ca twouris URI:halfkey:box:box1,URI:halfkey:host:client
ks_cert ca badrole URI:halfkey:admin:client
ks_cert ca noeku URI:halfkey:host:client none
ks_cert ca anyeku URI:halfkey:host:client anyExtendedKeyUsage
ks_cert ca fakeserver URI:halfkey:server:keys clientAuth
ks_cert ca twohosts URI:halfkey:host:server,URI:halfkey:host:client
ks_cert ca twoekus URI:halfkey:host:client clientAuth,serverAuth
ks_cert ca star 'URI:halfkey:host:*'
ks_cert ca longer URI:halfkey:host:client:x
ks_cert ca zero DER:30178615"$(printf 'halfkey:host:client' | od -An -v -tx1 | tr -d ' \n')0078"
ks_usage=keyAgreement ks_cert ca nosignature URI:halfkey:host:client
ks_is_ca=TRUE ks_cert ca isca URI:halfkey:host:client
ks_usage=digitalSignature,keyCertSign ks_cert ca signer URI:halfkey:host:client
ks_is_ca=TRUE ks_usage=digitalSignature,keyCertSign ks_cert ca subca URI:halfkey:host:client
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj /CN=self -keyout "$ks/self.key" \
	-out "$ks/self.pem" -addext subjectAltName=URI:halfkey:host:client -addext extendedKeyUsage=clientAuth 2>/dev/null
ks_config "$at" "lifetime: 1h" "ahead: 1m" "grace: 1m"
cannot_start() { # WHAT SENTENCE SED: with the configuration changed so
	local out
	sed "$3" "$ks/keyserver.yaml" >"$ks/wrong.yaml"
	out=$(timeout 60 "$endpoint" keyserver -c "$ks/wrong.yaml" 2>&1)
	check_equal "$1 is refused" 1 "$(grep -cF "$2" <<<"$out")"
}
cannot_start "a host's certificate for the server" "is no key server's certificate" \
	's/server\.pem/client.pem/; s/server\.key/client.key/'
cannot_start "a server's that may play a client" "fakeserver.pem: is no key server's certificate" \
	's/server\.pem/fakeserver.pem/; s/server\.key/fakeserver.key/'
check "--list before the first start says that there is nothing" grep -q 'state: holds no keys yet' \
	<("$endpoint" keyserver -c "$ks/keyserver.yaml" --list 2>&1)
start
list() { "$endpoint" keyserver -c "$ks/keyserver.yaml" --list --json | jq -c '[.[] | [.host, .generation, .fingerprint]]'; }
first=$(list)
check_equal "one generation for each host, to start with" 2 "$(jq length <<<"$first")"

# --- what each role gets ------------------------------------------------------------------------

subscribe='{"op":"subscribe","domain":"tunnel"}'
spi='{"op":"spi","to":"192.0.2.9"}'
answer=$(ask client host "$subscribe" '{"op":"ack","serial":1}' "$spi")
check_equal "a host gets both sides of its own keys" 2 "$(grep -o 'receiver=192.0.2.1 slot=[^\\]*side=\(enc\|auth\)' <<<"$answer" | sort -u | wc -l)"
check_equal "and both sides of an SPI of its own" 2 "$(grep -o 'receiver=192.0.2.9 spi=[^\\]*side=\(enc\|auth\)' <<<"$answer" | sort -u | wc -l)"
check_equal "and no master key of another receiver" 0 "$(grep -c 'receiver=192.0.2.9 slot' <<<"$answer")"
answer=$(ask box box "$subscribe")
check_equal "a box gets the encryption side of every receiver" 2 "$(grep -o 'receiver=[^ ]* slot=[^\\]*side=enc' <<<"$answer" | sort -u | wc -l)"
never "and nothing else" "$answer"
answer=$(ask reader reader "$subscribe")
check_equal "a reader gets MK_r alone" "reader" "$(grep -o 'side=[a-z]*' <<<"$answer" | sort -u | sed 's/side=//')"

# --- a box never gets an authentication key -----------------------------------------------------

before=$(refused_auth)
for request in "$spi" '{"op":"subscribe","domain":"tunnel","side":"auth"}' '{"op":"subscribe","domain":"tunnel","side":"both"}' \
	'{"op":"subscribe","domain":"tunnel","side":"reader"}' '{"op":"subscribe","domain":"tunnel","inbound":true}' \
	'{"op":"subscribe","domain":"tunnel","side":["auth"]}' '{"op":"subscribe","domain":"tunnel","side":"single"}'; do
	answer=$(ask box box "$request" "$subscribe" "$spi")
	never "a box that asks $request gets no authentication key" "$answer"
	check_equal "  and is told so" 1 "$(grep -c refused <<<"$answer")"
done
check_equal "each of these is counted" $((before + 7 + 7)) "$(refused_auth)"
check_equal "and logged" yes "$(grep -q 'refused box box1: spi' "$ks/log.now" && echo yes)"
for request in '{"op":"keys","side":"auth"}' '{"op":"list"}' '{"role":"host"}' '{"op":"hello","role":"host"}' '{"op":17}' \
	'{"op":"subscribe","domain":"tunnel","role":"host","name":"client"}' '{"op":"subscribe","domain":"other"}'; do
	never "nor with $request" "$(ask box box "$request" "$subscribe")"
	never "nor does a box that says it is a host, with $request" "$(ask box host "$request" "$subscribe")"
done
before=$(refused_auth)
answer=$(ask reader reader "$subscribe" "$spi" '{"op":"subscribe","domain":"tunnel","side":"auth"}' '{"op":"subscribe","domain":"tunnel","side":"enc"}')
check_equal "a reader gets nothing but MK_r, whatever it asks" 0 "$(grep -c 'side=\(auth\|enc\|single\)' <<<"$answer")"
check_equal "which is counted" $((before + 1)) "$(refused_auth)"
answer=$(ask peer host "$subscribe" '{"op":"spi","to":"192.0.2.9"}' '{"op":"spi","to":"198.51.100.7"}')
check_equal "another host gets nothing of this one's" 0 "$(grep -c 'receiver=192.0.2.1' <<<"$answer")"
check_equal "and no SPI to itself or to strangers" 2 "$(grep -o '"refused","op":"spi"' <<<"$answer" | wc -l)"
nothing "a host that is in no domain gets nothing" "$(ask nobody host "$subscribe" "$spi")"
for cert in expired expired-host foreign self nouri twouris badrole noeku anyeku fakeserver \
	twohosts twoekus star longer zero nosignature isca signer subca; do
	check "there is a certificate '$cert'" openssl x509 -in "$ks/$cert.pem" -noout
	nothing "nothing for the certificate '$cert'" "$(ask $cert host "$subscribe" "$spi")$(ask $cert box "$subscribe")"
done
nothing "nothing without a certificate" "$({ frame '{"op":"hello","role":"host"}'; frame "$subscribe"; sleep 0.7; } |
	timeout 5 openssl s_client -connect "$at" -CAfile "$ks/ca.pem" -quiet -no_ign_eof -verify_quiet 2>/dev/null | tr -d '\0')"
nothing "nothing over TLS 1.2" "$({ frame '{"op":"hello","role":"host"}'; frame "$subscribe"; } | talk client -tls1_2)"
nothing "nothing without TLS" "$({ frame '{"op":"hello","role":"host"}'; frame "$subscribe"; sleep 0.5; } | timeout 3 socat - "TCP:$at" | tr -d '\0')"
nothing "half a message gets nothing" "$({ frame '{"op":"hello","role":"box"}'; printf '\0\0\0\x50{"op":"subs'; } | talk box)"
nothing "nor does a message of 4 GB" "$({ printf '\xff\xff\xff\xff'; head -c 5000 /dev/zero; } | talk box)"
nothing "nor noise" "$(head -c 3000 /dev/urandom | talk client)"

# --- replayed bytes: a recorded connection opened once more ----------------------------------------

relay=$(ks_port)
socat -r "$ks/recorded" "TCP-LISTEN:$relay,bind=127.0.0.1,reuseaddr" "TCP:$at" &
wait_for 5 sh -c "ss -Htln 'sport = :$relay' | grep -q ."
"$endpoint" keys --server "127.0.0.1:$relay" $(ks_files client) --peer 192.0.2.9 >"$ks/first" 2>"$ks/first.log"
check_equal "a recorded connection" yes "$(grep -q side=auth "$ks/first" && [ -s "$ks/recorded" ] && echo yes)"
before=$(count clients)
timeout 3 socat -t1 - "TCP:$at" <"$ks/recorded" >"$ks/replayed" 2>/dev/null
nothing "replayed, it gets nothing" "$(tr -d '\0' <"$ks/replayed")"
check_equal "and is nobody" "$before" "$(count clients)"

# --- the client's side: is that the server? --------------------------------------------------------

check_equal "a server of another CA is refused" 1 "$("$endpoint" keys --server "$at" --ca "$ks/other.pem" --cert "$ks/foreign.pem" \
	--key "$ks/foreign.key" --domain tunnel >/dev/null 2>"$ks/err"; echo $?)"
check_equal "and one of another name" 1 "$("$endpoint" keys --server "localhost.localdomain:${at#*:}" $(ks_files client) >/dev/null 2>"$ks/err"; echo $?)"
chmod 644 "$ks/client.key"
check_equal "a private key that others can read is refused" 1 "$("$endpoint" keys --server "$at" $(ks_files client) 2>"$ks/err" >/dev/null; echo $?)"
chmod 600 "$ks/client.key"

# --- kill -9 under load: no SPI twice ----------------------------------------------------------------

spis() { # ROUND: asks again and again until it is told to stop
	while [ ! -e "$ks/enough" ]; do
		"$endpoint" keys --server "$at" $(ks_files "$2") --peer "$3" 2>/dev/null | sed -n "s/^receiver=\(.*\) spi=\(0x[0-9a-f]*\) .*side=enc.*/\1 \2/p" >>"$ks/given.$1"
	done
}
: >"$ks/given.1"
spis 1 client 192.0.2.9 &
one=$!
spis 2 client 192.0.2.9 &
two=$!
spis 3 peer 192.0.2.1 &
three=$!
given() { cat "$ks"/given.* 2>/dev/null | wc -l; }
given_more_than() { [ "$(given)" -gt "$1" ]; }
for _ in 1 2 3; do
	wait_for 10 given_more_than $(($(given) + 5)) # nothing is given out in a server's first second
	stop KILL
	start
done
touch "$ks/enough"
wait $one $two $three
check "SPIs were given out under load" given_more_than 15
check_equal "after kill -9 none of $(given) SPIs came twice" "" "$(cat "$ks"/given.* | sort | uniq -d)"
check_equal "and the generations are still the first ones" "$first" "$(list)"
cp "$ks/state/keyserver.db" "$ks/old.db"
"$endpoint" keys --server "$at" $(ks_files client) --peer 192.0.2.9 2>/dev/null | grep -o 'spi=0x[0-9a-f]*' | sort -u >"$ks/then"
stop KILL
cp "$ks/old.db" "$ks/state/keyserver.db"
rm -f "$ks/state/keyserver.db-journal"
start
"$endpoint" keys --server "$at" $(ks_files client) --peer 192.0.2.9 2>/dev/null | grep -o 'spi=0x[0-9a-f]*' | sort -u >"$ks/now"
check_equal "state put back from an older copy does not repeat one either" "1 1 0" \
	"$(wc -l <"$ks/then") $(wc -l <"$ks/now") $(comm -12 "$ks/then" "$ks/now" | wc -l)"

# --- state others could read ------------------------------------------------------------------------

check_equal "a second server on the same state is refused" 1 "$("$endpoint" keyserver -c "$ks/keyserver.yaml" 2>"$ks/err"; echo $?)"
stop TERM
for wrong in "755 700 state" "644 600 state/keyserver.db"; do
	set -- $wrong
	chmod "$1" "$ks/$3"
	check_equal "mode $1 of $3 is refused" "1 yes" "$(timeout 60 "$endpoint" keyserver -c "$ks/keyserver.yaml" 2>"$ks/err"; echo "$? $(grep -q "mode 0$1" "$ks/err" && echo yes)")"
	chmod "$2" "$ks/$3"
done
if [ "$(id -u)" -eq 0 ]; then
	chown nobody "$ks/state"
	check_equal "a state directory of somebody else is refused" 1 "$(timeout 60 "$endpoint" keyserver -c "$ks/keyserver.yaml" 2>"$ks/err"; echo $?)"
	chown root "$ks/state"
else
	skip "a state directory of somebody else - needs root"
fi

# --- state that is damaged: refused, named, and left as it is -------------------------------------------

sql() { python3 -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute(sys.argv[2]); d.commit()' "$ks/state/keyserver.db" "$1"; }
cp "$ks/state/keyserver.db" "$ks/whole.db"
damaged() { # NAME WORDS [opened]: after the damage was done; opening alone changes SQLite's own header
	local sum
	sum=$(sha256sum <"$ks/state/keyserver.db")
	check_equal "$1 is refused" "1 yes" "$(timeout 60 "$endpoint" keyserver -c "$ks/keyserver.yaml" 2>"$ks/err"; echo "$? $(grep -q "state/keyserver.db: $2" "$ks/err" && echo yes)")"
	[ $# -lt 3 ] && check_equal "  and stays as it is" "$sum" "$(sha256sum <"$ks/state/keyserver.db")"
	cat "$ks/whole.db" >"$ks/state/keyserver.db"
}
truncate -s 3000 "$ks/state/keyserver.db"
damaged "truncated state" "database disk image is malformed"
head -c 20000 /dev/urandom >"$ks/state/keyserver.db"
damaged "what is no state" "file is not a database"
if python3 -c 'import sqlite3' 2>/dev/null; then
	sql "UPDATE generations SET enc = x'00112233' WHERE state < 3"
	damaged "half a key" "generation [0-9]* is damaged" opened
	sql "UPDATE generations SET slot = 1 - slot WHERE state < 3"
	damaged_slot() { timeout 60 "$endpoint" keyserver -c "$ks/keyserver.yaml" 2>"$ks/err"; }
	check_equal "a generation in a slot that is not its own is refused" "1 yes" "$(damaged_slot; echo "$? $(grep -q 'is damaged' "$ks/err" && echo yes)")"
	cat "$ks/whole.db" >"$ks/state/keyserver.db"
else
	skip "half a key in the state - python3 has no sqlite3"
fi

# --- stock IPsec hosts --------------------------------------------------------------------------------

# The line is iproute2's grammar if it goes to the kernel: 255 is ip's own refusal, 2 the kernel's.
take_xfrm() {
	local out status
	if ! { [ "$(id -u)" -eq 0 ] && ip netns add "hk-$$-xfrm" 2>/dev/null; }; then
		skip "$suite: ip xfrm takes it - needs root and namespaces"
		return
	fi
	sed 's/^ip //' "$ks/out.xfrm" >"$ks/batch"
	out=$(ip -n "hk-$$-xfrm" -batch "$ks/batch" 2>&1)
	status=$?
	check_equal "$suite: ip understands the line" yes "$([ $status -ne 255 ] && echo yes)"
	sed 's/ mode tunnel/ mode tunel/' "$ks/batch" >"$ks/bad.batch"
	check_equal "$suite: and would not understand another" 255 "$(ip -n "hk-$$-xfrm" -batch "$ks/bad.batch" 2>/dev/null; echo $?)"
	if [ $status -eq 0 ]; then
		check_equal "$suite: the kernel takes it" 1 "$(ip -n "hk-$$-xfrm" xfrm state count | grep -c 'SAD count 1')"
	else
		skip "$suite: the kernel takes it - this kernel has no ESP: ${out%%$'\n'*}"
	fi
	ip netns del "hk-$$-xfrm"
}

for suite in ctr-hmac cbc-hmac gcm; do
	profile="split"
	[ $suite = gcm ] && profile=single
	rm -rf "$ks/state"
	ks_config "$at" "envelope: esp" "suite: $suite" "profile: $profile"
	start
	"$endpoint" keys --server "$at" $(ks_files client) --peer 192.0.2.9 --from 192.0.2.1 --format xfrm >"$ks/out.xfrm" 2>"$ks/err"
	check_equal "$suite: one line for ip xfrm" 1 "$(grep -c '^ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x' "$ks/out.xfrm")"
	"$endpoint" keys --server "$at" $(ks_files peer) --inbound --format xfrm >"$ks/in.xfrm" 2>"$ks/err"
	check_equal "$suite: the receiver gets the same one" "$(cat "$ks/out.xfrm")" "$(cat "$ks/in.xfrm")"
	take_xfrm
	"$endpoint" keys --server "$at" $(ks_files client) --peer 192.0.2.9 --from 192.0.2.1 --format strongswan >"$ks/esp_sa" 2>"$ks/err"
	check_equal "$suite: one row for strongSwan and Wireshark" 1 "$(grep -c '^"IPv4","192.0.2.1","192.0.2.9","0x' "$ks/esp_sa")"
	stop TERM
done

# --- no key in a log -----------------------------------------------------------------------------------

grep -ho 'key=[0-9a-f]\{32,\}' "$ks/first" "$ks/up.keys" | sed 's/key=//' | sort -u >"$ks/keys"
check_equal "there are keys to look for" yes "$([ "$(wc -l <"$ks/keys")" -ge 4 ] && echo yes)"
check_equal "no key is in a log" 0 "$(cat "$ks/log" "$ks/err" "$ks/first.log" "$ks/stats.json" | grep -cFf "$ks/keys")"
check_equal "nor anything that looks like one" 0 "$(cat "$ks/log" "$ks/err" | grep -c '[0-9a-f]\{32\}')"
exit $test_failed
