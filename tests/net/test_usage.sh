#!/bin/bash
# One rule for all programs and their commands: 0 done (also --help), 1 refused or
# failed, 2 wrong usage, with a sentence; and every manual says so.
. "$(dirname "$0")/offline.sh"
offline_begin usage

status_of() { "$@" >"$work/said" 2>&1 </dev/null; echo $?; }
usage() { # NAME STATUS COMMAND...
	local name=$1 wanted=$2 got
	shift 2
	got=$(status_of "$@")
	if [ "$got" = "$wanted" ] && [ -s "$work/said" ]; then ok "$name"; else
		not_ok "$name - status $got, wanted $wanted: $(head -n 1 "$work/said")"; fi
}

said() { # NAME LINE: what the command before said first
	local got
	got=$(head -n 1 "$work/said")
	if [ "$got" = "$2" ]; then ok "$1"; else not_ok "$1 - wanted '$2', got '$got'"; fi
}

for command in open check doctor status stats keys verdicts reload detach; do
	usage "halfkey $command --help" 0 "$O/halfkey" $command --help
	usage "halfkey $command: an unknown option" 2 "$O/halfkey" $command --nonsense
	said "halfkey $command: it is named" "halfkey $command: there is no option --nonsense (halfkey $command --help)"
	usage "halfkey $command: an option without its value" 2 "$O/halfkey" $command --config
done
usage "halfkey: no command" 2 "$O/halfkey"
usage "halfkey keys pull: no server" 2 "$O/halfkey" keys pull
(umask 077; printf '"IPv4","*","192.0.2.9","0x1000","AES-CTR [RFC3686]","0x%072d","HMAC-SHA-256-128 [RFC4868]","0x%064d"\n' 1 2 >"$work/esp_sa")
usage "halfkey keys import: no daemon" 1 "$O/halfkey" keys import d "$work/esp_sa" -s "$work/none"
said "halfkey keys import: one key is one" "halfkey keys: $work/esp_sa: 1 authentication key was dropped: a box has no use for one"
usage "halfkey check: no such file" 1 "$O/halfkey" check "$work/none.yaml"
usage "halfkeyd --help" 0 "$O/halfkeyd" --help
usage "halfkeyd: an unknown option" 2 "$O/halfkeyd" --nonsense
said "halfkeyd: it is named" "halfkeyd: there is no option --nonsense (halfkeyd --help)"
usage "halfkey keys pull: an unknown option" 2 "$O/halfkey" keys pull --nonsense
said "halfkey keys pull: it is named" "halfkey keys pull: there is no option --nonsense (halfkey keys pull --help)"
usage "halfkeyd: an option without its value" 2 "$O/halfkeyd" --config
usage "halfkeyd: a word too many" 2 "$O/halfkeyd" extra
for command in keygen keys keyserver seal open tunnel; do
	usage "halfkey-endpoint $command --help" 0 endpoint $command --help
	usage "halfkey-endpoint $command: an unknown option" 2 endpoint $command --nonsense
	said "halfkey-endpoint $command: it is named" "halfkey-endpoint $command: there is no option --nonsense (halfkey-endpoint $command --help)"
done
for command in keygen keys keyserver seal open tunnel; do
	usage "halfkey-endpoint $command: nothing said" 2 endpoint $command
done
usage "halfkey-endpoint: no command" 2 endpoint
usage "halfkey-endpoint: an unknown command" 2 endpoint statsu
usage "halfkey-endpoint keygen: an option without its value" 2 endpoint keygen --out
usage "halfkey-endpoint keygen: a word too many" 2 endpoint keygen extra
usage "halfkey-endpoint keygen: no address" 2 endpoint keygen --out "$work/k" --peer a=nowhere --peer b=192.0.2.9
usage "halfkey-endpoint keys: an unknown format" 2 endpoint keys --file x --format cuneiform
usage "halfkey-endpoint keys: no number" 2 endpoint keys --file x --reqid none
usage "halfkey-endpoint keys: no address" 2 endpoint keys --file x --peer nowhere
usage "halfkey-endpoint keys: no such file" 1 endpoint keys --file "$work/none"
usage "halfkey-endpoint keyserver: --json alone" 2 endpoint keyserver --json -c "$work/none"
usage "halfkey-endpoint keyserver: --domain alone" 2 endpoint keyserver --domain d -c "$work/none"
usage "halfkey-endpoint keyserver: --list and --rotate" 2 endpoint keyserver --list --rotate all -c "$work/none"
usage "halfkey-endpoint keyserver: no such file" 1 endpoint keyserver -c "$work/none"
usage "halfkey-endpoint seal: one capture" 2 endpoint seal -k k in.pcap
usage "halfkey-endpoint seal: an unknown envelope" 2 endpoint seal -k k -e nonsense in.pcap out.pcap
usage "halfkey-endpoint seal: no such file" 1 endpoint seal -k "$work/none" -f 192.0.2.1 -t 192.0.2.9 "$work/in" "$work/out"
usage "halfkey-endpoint tunnel: a word too many" 2 endpoint tunnel extra
usage "halfkey-endpoint tunnel: no such file" 1 endpoint tunnel -c "$work/none"
for page in docs/man/*.[1-8]; do
	if sed -n '/^.Sh EXIT STATUS/,/^.Sh [^E]/p' "$page" | tr '\n' ' ' | grep -q '2 on wrong usage'; then
		ok "$page says it"
	else not_ok "$page says it"; fi
done
exit $test_failed
