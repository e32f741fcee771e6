#!/bin/bash
# Every reason of include/halfkey/reason.h is met by a test. Usage:
# tests/test_reasons.sh FILE, with the `# met:` lines of all unit and BPF tests
# (tests/unit/reasons.h). What those cannot meet stands in tests/reasons.txt.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

not_ok() { echo "not ok reasons: $*"; failed=1; }

sed -n 's/^# met: //p' "${1:?}" | tr ' ' '\n' | sort -u >"$work/met"
sed -n 's/^\tR([0-9]*, [A-Z0-9_]*, "\([a-z0-9-]*\)".*/\1/p' include/halfkey/reason.h | sort >"$work/all"
grep -v '^#' tests/reasons.txt | cut -f1 | sort >"$work/apart"

if ! grep -qx disarmed "$work/met"; then
	echo "skip reasons: all - the BPF tests did not run"
	exit 0
fi
if [ "$(wc -l <"$work/all")" -lt 100 ]; then
	not_ok "reason.h is read - $(wc -l <"$work/all") reasons found"
fi
for reason in $(sort -u "$work/met" "$work/apart" | comm -13 - "$work/all"); do
	not_ok "$reason - no test meets it, and tests/reasons.txt does not say why"
done
for reason in $(comm -12 "$work/met" "$work/apart"); do
	not_ok "$reason - a test meets it: take it out of tests/reasons.txt"
done
for reason in $(comm -13 "$work/all" "$work/apart"); do
	not_ok "$reason - in tests/reasons.txt, but no reason"
done
while IFS=$'\t' read -r reason file why; do
	constant=HK_REASON_$(tr a-z- A-Z_ <<<"$reason")
	if [ "$file" = - ]; then
		[ -n "$why" ] || not_ok "$reason - tests/reasons.txt does not say why no test meets it"
	else
		grep -qE "\b($reason|$constant)\b" "$file" || not_ok "$reason - $file does not speak of it"
	fi
done < <(grep -v '^#' tests/reasons.txt)
[ $failed -eq 0 ] && echo "ok reasons: $(wc -l <"$work/met") met by unit and BPF tests, $(wc -l <"$work/apart") apart"
exit $failed
