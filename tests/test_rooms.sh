#!/bin/bash
# The rooms of docs/architecture.md: every #include goes where the table there says it may, a room
# uses only rooms above it, and what the table allows is used.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/report.sh
test_name=rooms
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# `ROOM USED` for each that the table allows, in the table's order; `-`: nothing.
allowed() {
	sed -n 's/^| `\([a-z/]*\)\/` | .* | \([^|]*\) |$/\1|\2/p' docs/architecture.md |
		awk -F'|' '{ n = split($2, used, /[ ,]+/); print $1, "-"; for (i = 1; i <= n; i++) if (used[i] != "-") print $1, used[i] }'
}

# `ROOM USED FILE` for each #include of another room. A name without folder is the room's last part.
included() {
	grep -rHoE --include='*.[ch]' '^#include (<halfkey|"(maps|bpf|user/[a-z]+|tests))/' include maps bpf user |
		sed -E 's/:#include "/ /; s/:#include <halfkey/ include\/halfkey/; s/\/$//' |
		awk '{
			split($1, part, "/")
			room = part[1] == "user" || part[1] == "include" ? part[1] "/" part[2] : part[1]
			if (room != $2) print room, $2, $1
		}'
}

allowed >"$work/table"
included >"$work/included"
awk '!($1 in seen) { print $1; seen[$1] = 1 }' "$work/table" >"$work/rooms"
check "the table and the files are read" [ "$(wc -l <"$work/rooms")" -ge 12 -a "$(wc -l <"$work/included")" -ge 100 ]

# a room stands before those that use it
awk '{ if (!($1 in row)) row[$1] = NR }
	$2 != "-" && !($2 in row) { print $1 " says it uses " $2 ", which does not stand above it" }' \
	"$work/table" >"$work/upward"
check_empty "dependencies point one way" "$work/upward"

awk 'NR == FNR { may[$1 " " $2] = 1; next } !(($1 " " $2) in may) { print $3 " includes from " $2 "/, which the table does not let " $1 "/ use" }' \
	"$work/table" "$work/included" >"$work/forbidden"
check_empty "every #include is one the table allows" "$work/forbidden"

awk 'NR == FNR { does[$1 " " $2] = 1; next } $2 != "-" && !(($1 " " $2) in does) { print $1 " uses nothing of " $2 }' \
	"$work/included" "$work/table" >"$work/idle"
check_empty "every use the table allows is one" "$work/idle"

find user -mindepth 1 -maxdepth 1 -type d -printf 'user/%f\n' | grep -vxFf "$work/rooms" >"$work/unnamed"
check_empty "every room stands in the table" "$work/unnamed"
exit $test_failed
