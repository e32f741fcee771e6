#!/bin/sh
# Installs what Halfkey needs to build, run its demo and its tests on Debian 12.
# Does nothing, and asks for nothing, when all of it is there.
#
# Suricata is in Debian 12 only as a backport: it is installed from there
# without adding the backports to the machine's own package sources, and the
# tests that use it are skipped, with a reason, where that fails.
set -eu

build="gcc make clang llvm libbpf-dev libxdp-dev libelf-dev zlib1g-dev bpftool libcap-dev libseccomp-dev
	libipsec-mb-dev libssl-dev libsqlite3-dev libcyaml-dev libyaml-dev libjansson-dev libpcap-dev libhyperscan-dev"
run="iproute2 ethtool procps util-linux"
tests="libcunit1-dev clang-format clang-tidy cppcheck curl tcpdump tshark jq socat python3 binutils openssl
	iputils-ping mandoc shellcheck libclang-rt-14-dev gdb"

missing=""
for package in $build $run $tests; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done

here=$(dirname "$0")
root() { "$here/as-root.sh" "$@"; }

apt_install() {
	root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

if [ -n "$missing" ]; then
	echo "installing:$missing"
	root apt-get -qq update >/dev/null || echo "packages.sh: apt-get update failed; trying with the lists at hand" >&2
	# shellcheck disable=SC2086
	apt_install $missing
fi

command -v suricata >/dev/null && exit 0
[ "${HALFKEY_SURICATA:-yes}" = yes ] || exit 0
echo "installing: suricata (from Debian's backports; HALFKEY_SURICATA=no leaves it out)"
list=$(mktemp) lists=$(mktemp -d)
trap 'rm -rf "$list" "$lists"' EXIT
grep -h '^deb ' /dev/null > "$list" || true
echo "deb http://deb.debian.org/debian bookworm main" > "$list"
echo "deb http://deb.debian.org/debian bookworm-backports main" >> "$list"
chmod 644 "$list"; chmod 755 "$lists"
set -- -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$lists"
if root apt-get -qq "$@" update >/dev/null 2>&1 &&
	apt_install "$@" -t bookworm-backports suricata 2>/dev/null; then
	# The tests run it themselves. As a service it would start to read this machine's own network.
	if [ -d /run/systemd/system ]; then root systemctl disable --now suricata.service >/dev/null 2>&1 || true; fi
	exit 0
fi
echo "packages.sh: no Suricata to be had here; its tests will be skipped" >&2
