# shellcheck shell=bash
# A network to try things in, sourced by the demo and the namespace tests:
#
#   client netns            box netns                 server netns
#   ┌──────────┐      ┌─────────────────┐      ┌──────────┐
#   │       c0 ├──────┤ box-c     box-s ├──────┤ s0       │
#   └──────────┘ veth └─────────────────┘ veth └──────────┘
#   192.0.2.1/24        no addresses           192.0.2.9/24
#   2001:db8::1/64                             2001:db8::9/64
#
# Names carry the shell's process id, so that several can stand side by side.
# topology_down removes all of it, and whatever was started with in_background.
#
# `ip netns exec` remounts /sys and hides bpffs, so commands enter with nsenter.

topology_id=${topology_id:-$$}
topology_client=hk-$topology_id-client
topology_box=hk-$topology_id-box
topology_server=hk-$topology_id-server
topology_pids=()
topology_instance=t$topology_id
topology_dir=

in_client() { nsenter --net=/run/netns/"$topology_client" -- "$@"; }
in_box() { nsenter --net=/run/netns/"$topology_box" -- "$@"; }
in_server() { nsenter --net=/run/netns/"$topology_server" -- "$@"; }

# in_background WHERE COMMAND...: starts it, remembers it, leaves its pid in $background
in_background() {
	local where=$1
	shift
	# nsenter replaces itself with the command, so the pid is the command's
	nsenter --net=/run/netns/"$where" -- "$@" &
	background=$!
	topology_pids+=("$background")
}

# A pair between two namespaces: NETNS NAME NETNS NAME QUEUES MTU
topology_link() {
	ip link add "$2" netns "$1" numrxqueues "$5" numtxqueues "$5" type veth \
		peer name "$4" netns "$3" numrxqueues "$5" numtxqueues "$5"
	local side
	for side in "$1 $2" "$3 $4"; do
		# shellcheck disable=SC2086
		set -- $side "$1" "$2" "$3" "$4" "$5" "$6"
		# Partial checksums break traffic through AF_XDP; without GRO (or an XDP
		# program) at the receiver, redirected frames vanish.
		nsenter --net=/run/netns/"$1" -- ethtool -K "$2" tx off gro on >/dev/null 2>&1
		nsenter --net=/run/netns/"$1" -- ethtool -K "$2" tso off gso off >/dev/null 2>&1 || true
		shift 2
	done
}

# One at a time: a second mount on top would hide what another one pinned.
topology_bpffs() {
	[ -d /sys/fs/bpf ] || return 0
	(
		flock 9
		mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
	) 9</sys/fs
}

# topology_up [QUEUES] [MTU]
topology_up() {
	local queues=${1:-1} mtu=${2:-1500} n parent=${TMPDIR:-/tmp}
	[ ${#parent} -le 60 ] || parent=/tmp # a socket's path has 107 characters
	topology_bpffs
	topology_dir=$(mktemp -d "$parent/halfkey.$topology_id.XXXXXX")
	chmod 755 "$topology_dir"
	for n in "$topology_client" "$topology_box" "$topology_server"; do
		ip netns add "$n"
		nsenter --net=/run/netns/"$n" -- ip link set lo up
		nsenter --net=/run/netns/"$n" -- sysctl -qw net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
	done
	topology_link "$topology_client" c0 "$topology_box" box-c "$queues" "$mtu"
	topology_link "$topology_box" box-s "$topology_server" s0 "$queues" "$mtu"
	in_box sysctl -qw net.ipv6.conf.box-c.disable_ipv6=1 net.ipv6.conf.box-s.disable_ipv6=1
	in_client ip link set c0 mtu "$mtu" up
	in_box ip link set box-c mtu "$mtu" up
	in_box ip link set box-s mtu "$mtu" up
	in_server ip link set s0 mtu "$mtu" up
	in_client ip addr add 192.0.2.1/24 dev c0
	in_client ip addr add 2001:db8::1/64 dev c0 nodad
	in_server ip addr add 192.0.2.9/24 dev s0
	in_server ip addr add 2001:db8::9/64 dev s0 nodad
}

topology_stop() { # PID...: asks, waits, insists
	local pid
	for pid in "$@"; do topology_runs "$pid" && kill "$pid" 2>/dev/null; done
	for pid in "$@"; do
		wait_for 6 topology_ended "$pid" || kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# topology_runs PID: a process that we started, and not another one that has its number by now
topology_runs() {
	local key value
	while read -r key value; do
		case $key in
		State:) [[ $value != Z* ]] || return 1 ;;
		PPid:) [ "$value" = $$ ] || [ "$value" = "$BASHPID" ] && return 0 || return 1 ;; # a subshell's as well
		esac
	done 2>/dev/null <"/proc/$1/status"
	return 1
}
topology_ended() { ! topology_runs "$1"; }

topology_down() {
	local n pid
	[ ${#topology_pids[@]} -gt 0 ] && topology_stop "${topology_pids[@]}"
	topology_pids=()
	for n in "$topology_client" "$topology_box" "$topology_server"; do
		[ -e /run/netns/"$n" ] || continue
		# whatever still lives in there was started by us
		for pid in $(ip netns pids "$n" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
		ip netns del "$n" 2>/dev/null || true
	done
	rm -rf /sys/fs/bpf/halfkey/v*/"$topology_instance"
	rmdir /sys/fs/bpf/halfkey/v* /sys/fs/bpf/halfkey 2>/dev/null || true
	[ -n "$topology_dir" ] && rm -rf "$topology_dir"
	return 0
}

# wait_for SECONDS COMMAND...: until it succeeds; 1 when it never does. SECONDS are those of a quiet
# machine: one that is busy, or stands still for a while, gets WAIT_FACTOR times as many, and that
# costs nothing when all goes well.
WAIT_FACTOR=${WAIT_FACTOR:-10}
wait_for() {
	local end=$((SECONDS + $1 * WAIT_FACTOR))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -ge "$end" ] && return 1
		sleep 0.1
	done
}
