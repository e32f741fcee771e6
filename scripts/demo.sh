#!/bin/bash
# The demo: Halfkey at work between a client and a server in network
# namespaces. Each line is checked; the exit status is 0 only when all hold.
# Everything is removed at the end, also on Ctrl-C.
#
#   client ══ sealed tunnel (PSP 5, split) ══ box (halfkeyd, inline) ══ server
#   10.77.0.1, fd77::1                                        10.77.0.2, fd77::2
set -u
cd "$(dirname "$0")/.." || exit 1
O=$(realpath "${O:-build}")
export topology_id=demo$$
. scripts/topology.sh

bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' off=$'\e[0m'
[ -t 1 ] || bold='' dim='' green='' red='' off=''
failures=0 passes=0

title() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
show() { sed "s/^/    $dim/; s/\$/$off/"; }
yes() { printf '  %s✔%s %s\n' "$green" "$off" "$*"; passes=$((passes + 1)); }
no() { printf '  %s✘ %s%s\n' "$red" "$*" "$off"; failures=$((failures + 1)); }
# expect NAME COMMAND...
expect() {
	local name=$1
	shift
	if "$@" >/dev/null 2>&1; then yes "$name"; else no "$name"; fi
}
give_up() {
	no "$*"
	tail -n 15 "$topology_dir"/*.log 2>/dev/null | show
	exit 1
}

trap topology_down EXIT
trap 'echo; echo "interrupted"; exit 130' INT TERM

. scripts/demo-parts.sh

printf '%sHalfkey: a box that sees, and cannot forge%s\n' "$bold" "$off"
cat <<'PICTURE'

    client netns              box netns               server netns
    10.77.0.1 ─ hk0 ═ c0 ──── box-c  box-s ──── s0 ═ hk0 ─ 10.77.0.2
                    └──── PSP version 5: separate Ek and Ak ────┘
                          halfkeyd holds Ek only
PICTURE

set_up
part_ciphertext
part_alerts
part_firewall
part_shaper
part_crash
part_maps
part_forgery
part_counts

echo
if [ "$failures" -eq 0 ]; then
	printf '%sAll %d lines hold.%s\n' "$bold" "$passes" "$off"
else
	printf '%s%d of %d lines do not hold.%s\n' "$red" "$failures" $((passes + failures)) "$off"
fi
exit $((failures > 0))
