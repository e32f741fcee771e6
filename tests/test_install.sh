#!/bin/bash
# `make install DESTDIR=` gives a whole tree: every program runs and is known to
# man, the unit starts what was installed, and no link in the documentation is
# broken, neither here nor there; `make uninstall` leaves nothing but what the
# operator put there. Needs no root. Run from anywhere:
# O=build tests/test_install.sh
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
. tests/report.sh
test_name=install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Links from a page to another file that is not there: PAGE...
broken_links() {
	local page target
	for page in "$@"; do
		grep -oE '\]\([^)#: ]+' "$page" | cut -c3- | while read -r target; do
			[ -e "$(dirname "$page")/$target" ] || echo "$page: $target"
		done
	done
}
links_hold() { # NAME PAGE...
	local name=$1
	shift
	broken_links "$@" >"$work/links"
	check_empty "$name" "$work/links"
}

root=$work/root
prefix=/opt/halfkey
check "make install" make -s O="$O" install DESTDIR="$root" PREFIX=$prefix
check "and again over it" make -s O="$O" install DESTDIR="$root" PREFIX=$prefix
check "halfkeyd runs from there" "$root$prefix/sbin/halfkeyd" --version
for program in halfkey halfkey-endpoint; do
	check "$program runs from there" "$root$prefix/bin/$program" --help
done
for page in man8/halfkeyd.8 man1/halfkey.1 man1/halfkey-endpoint.1; do
	check "$page is there" test -s "$root$prefix/share/man/$page"
done
check "the unit starts the installed program" \
	grep -q "^ExecStart=$prefix/sbin/halfkeyd " "$root$prefix/lib/systemd/system/halfkeyd.service"
# completes WORD... : what bash would offer for the last of these words
completes() {
	# shellcheck disable=SC1090,SC1091 # it was just installed
	(
		. "$root$prefix/share/bash-completion/completions/${1##*/}"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_halfkey
		echo "${COMPREPLY[*]}"
	)
}
halfkey=$root$prefix/bin/halfkey
check_equal "bash completes commands" "stats status" "$(completes "$halfkey" sta)"
check_equal "and actions" "add import list pull retire rotate" "$(completes "$halfkey" keys "")"
check_equal "and options" "--instance" "$(completes "$halfkey" keys list --i)"
check_equal "and an action's own options" "--into" "$(completes "$halfkey" keys pull --into)"
check_equal "of both programs" "keygen keys keyserver" "$(completes "$halfkey-endpoint" key)"
check "feeds have a directory" test -d "$root/var/log/halfkey"
check "the example hook builds against the installed header" \
	"${CC:-cc}" -std=gnu11 -O2 -fPIC -shared -I"$root$prefix/include" \
	"$root$prefix/share/doc/halfkey/docs/examples/portwatch.c" -o "$work/portwatch.so"
links_hold "links in the documentation hold" README.md docs/*.md maps/README.md
# the headers stand in /usr/include there
mkdir -p "$root$prefix/share/doc/halfkey/include" &&
	ln -s "$root$prefix/include/halfkey" "$root$prefix/share/doc/halfkey/include/halfkey"
links_hold "installed ones, too" "$root$prefix"/share/doc/halfkey/README.md \
	"$root$prefix"/share/doc/halfkey/docs/*.md "$root$prefix"/share/doc/halfkey/maps/README.md

rm -r "$root$prefix/share/doc/halfkey/include"
echo mine >"$root/etc/halfkey/box.yaml"
check "make uninstall" make -s O="$O" uninstall DESTDIR="$root" PREFIX=$prefix
check_equal "it leaves what the operator put there, and nothing else" "$root/etc/halfkey/box.yaml" \
	"$(find "$root" -not -type d)"
exit $test_failed
