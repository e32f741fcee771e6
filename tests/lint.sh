#!/bin/bash
# Static analysis: formatting, cppcheck, clang-tidy, shellcheck, man pages, and
# what must never be in the box. Prints `ok`/`not ok`/`skip` lines for tests/run.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/report.sh
test_name=lint
O=${O:-build}
clean=$O/lint # of clang-tidy: a file for every source found clean, named by all that it was read with
flags="-std=gnu11 -I. -Iinclude -I$O/bpf -D_GNU_SOURCE"
export O clean flags

# verdict NAME STATUS OUTPUT-FILE
verdict() {
	if [ "$2" -eq 0 ]; then ok "$1"; else
		cat "$3"
		not_ok "$1 - $(grep -m1 . "$3" | cut -c1-200)"
	fi
}

have() { command -v "$1" >/dev/null || { skip "$2 - $1 is not installed"; return 1; }; }

# Analysis takes a second to ten a file: what was clean with the same text, headers, checks and
# version is clean.
# shellcheck disable=SC2086 # flags are words
tidy() { # SOURCE
	local key found
	key=$({ clang-tidy --version && cat .clang-tidy "$1" && "${CLANG:-clang}" -E $flags '-DHK_VERSION="lint"' "$1"; } 2>&1 | sha256sum)
	key=$clean/${key%% *}
	if [ -e "$key" ]; then
		touch "$key"
		return 0
	fi
	found=$(clang-tidy --quiet "$1" -- $flags '-DHK_VERSION="lint"' 2>/dev/null) && [ -z "$found" ] && : >"$key" && return 0
	echo "${found:-$1: clang-tidy failed}"
	return 1
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
mapfile -t sources < <(git ls-files '*.c' '*.h' 2>/dev/null || find . -name '*.[ch]' -not -path './build*')
mapfile -t ours < <(printf '%s\n' "${sources[@]}" | grep -E '^user/.*\.c$')
mapfile -t scripts < <(git ls-files '*.sh' '*.bash' .ci/run 2>/dev/null || find . -name '*.sh')

if have clang-format formatting; then
	clang-format --dry-run -Werror "${sources[@]}" >"$out" 2>&1
	verdict "formatting (.clang-format)" $? "$out"
fi

if have cppcheck cppcheck; then
	cppcheck --quiet --error-exitcode=1 --std=c11 -j"$JOBS" -I. -Iinclude -D_GNU_SOURCE -D__x86_64__ \
		--enable=warning,portability --inline-suppr --suppress=missingInclude --suppress=missingIncludeSystem \
		--library=tests/cppcheck.cfg "${ours[@]}" >"$out" 2>&1
	verdict "cppcheck" $? "$out"
fi

if have clang-tidy clang-tidy; then
	mkdir -p "$clean"
	find "$clean" -mtime +30 -delete
	mapfile -t largest_first < <(ls -S "${ours[@]}")
	side_by_side tidy "${largest_first[@]}" >"$out"
	verdict "clang-tidy (.clang-tidy)" $? "$out"
fi

if have shellcheck shellcheck; then
	shellcheck -S warning "${scripts[@]}" >"$out" 2>&1
	verdict "shellcheck" $? "$out"
fi

if have mandoc "man pages"; then
	mandoc -T lint -W warning docs/man/*.[1-8] >"$out" 2>&1
	verdict "man pages" $? "$out"
fi

exit $test_failed
