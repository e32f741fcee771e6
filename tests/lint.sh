#!/bin/bash
# Static analysis: formatting, cppcheck, clang-tidy, shellcheck, man pages, and
# what must never be in the box. Prints `ok`/`not ok`/`skip` lines for tests/run.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
failed=0

# verdict NAME STATUS OUTPUT-FILE
verdict() {
	if [ "$2" -eq 0 ]; then
		echo "ok lint: $1"
	else
		cat "$3"
		echo "not ok lint: $1 - $(grep -m1 . "$3" | cut -c1-200)"
		failed=1
	fi
}

have() { command -v "$1" >/dev/null || { echo "skip lint: $2 - $1 is not installed"; return 1; }; }

out=$(mktemp)
trap 'rm -f "$out"' EXIT
mapfile -t sources < <(git ls-files '*.c' '*.h' 2>/dev/null || find . -name '*.[ch]' -not -path './build*')
mapfile -t ours < <(printf '%s\n' "${sources[@]}" | grep -E '^user/.*\.c$')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run 2>/dev/null || find . -name '*.sh')

if have clang-format formatting; then
	clang-format --dry-run -Werror "${sources[@]}" >"$out" 2>&1
	verdict "formatting (.clang-format)" $? "$out"
fi

if have cppcheck cppcheck; then
	cppcheck --quiet --error-exitcode=1 --std=c11 -j2 -I. -Iinclude -D_GNU_SOURCE -D__x86_64__ \
		--enable=warning,portability --inline-suppr --suppress=missingInclude --suppress=missingIncludeSystem \
		--library=tests/cppcheck.cfg "${ours[@]}" >"$out" 2>&1
	verdict "cppcheck" $? "$out"
fi

if have clang-tidy clang-tidy; then
	printf '%s\n' "${ours[@]}" | xargs -P2 -n6 sh -c '
		clang-tidy --quiet "$@" -- -std=gnu11 -I. -Iinclude -I'"$O"'/bpf -D_GNU_SOURCE -DHK_VERSION=\"lint\" 2>/dev/null' \
		clang-tidy >"$out" 2>&1
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

exit $failed
