# shellcheck shell=bash disable=SC2154,SC2034
# Sealed traffic for the box's tests, sourced after lib.sh: keys, a tunnel
# between client and server, and bulk transfers that compare checksums.
#
#   inner  client 10.9.0.1, fd09::1      server 10.9.0.9, fd09::9

# Where this build pins an instance's maps
pins=/sys/fs/bpf/halfkey/v$(sed -n 's/^#define HK_MAPS_VERSION //p' maps/layout.h)

# sealed_keys [-6] KEYGEN-OPTION...: fresh keys for one tunnel; -6: outer IPv6
sealed_keys() {
	local client=192.0.2.1 server=192.0.2.9
	if [ "${1:-}" = -6 ]; then
		client=2001:db8::1 server=2001:db8::9
		shift
	fi
	rm -rf "$topology_dir/keys"
	"$O/halfkey-endpoint" keygen --out "$topology_dir/keys" "$@" \
		--peer "client=$client,10.9.0.1/24,fd09::1/64" \
		--peer "server=$server,10.9.0.9/24,fd09::9/64" >/dev/null
}

# The configuration's `domains:` for those keys
sealed_domains() { sed 's|keys: box.keys|keys: keys/box.keys|' "$topology_dir/keys/domain.yaml"; }

sealed_tunnel() { # NAMESPACE NAME TUNNEL-OPTION...
	local log=$topology_dir/$2.tunnel.log where=$1 name=$2
	shift 2
	: >"$log"
	in_background "$where" "$O/halfkey-endpoint" tunnel -c "$topology_dir/keys/$name.tunnel.yaml" \
		--state "$topology_dir/keys/$name.state" --first-use "$@" 2>>"$log"
	wait_for 10 grep -q ' ready ' "$log" || {
		not_ok "tunnel $name starts - $(tail -n 1 "$log")"
		return 1
	}
	sealed_pids+=("$background")
}

# sealed_up TUNNEL-OPTION...: tunnels on both ends; sealed_down stops them
sealed_pids=()
sealed_up() { sealed_tunnel "$topology_client" client "$@" && sealed_tunnel "$topology_server" server "$@"; }
sealed_down() {
	[ ${#sealed_pids[@]} -gt 0 ] && topology_stop "${sealed_pids[@]}"
	sealed_pids=()
}

# bulk FROM TO ADDRESS KIBIBYTES: TCP from in_FROM to ADDRESS, which is in_TO's; equal checksums or 1
bulk() {
	local from=$1 to=$2 address=$3 size=$4 family=4 port=$((20000 + RANDOM % 12000)) receiver
	case $address in *:*) family=6 address="[$address]" ;; esac
	head -c "$((size * 1024))" /dev/urandom >"$topology_dir/bulk.out"
	rm -f "$topology_dir/bulk.in"
	"in_$to" timeout --foreground 200 socat -u "TCP$family-LISTEN:$port,reuseaddr" "CREATE:$topology_dir/bulk.in" &
	receiver=$!
	wait_for 10 listens "$to" "$port" || { echo "nobody listens on $port"; return 1; }
	"in_$from" timeout --foreground 200 socat -u "OPEN:$topology_dir/bulk.out" "TCP$family:$address:$port,connect-timeout=60" ||
		{ kill $receiver 2>/dev/null; echo "the sender failed"; return 1; }
	wait $receiver || { echo "the receiver failed"; return 1; }
	cmp "$topology_dir/bulk.out" "$topology_dir/bulk.in"
}
listens() { [ -n "$("in_$1" ss -Htln "sport = :$2")" ]; }

# echoes WHERE ADDRESS COUNT [INTERVAL [SIZE]]: that many answers of that many, however long they take
echoes() {
	local where=$1
	shift
	"in_$where" python3 tests/net/echo.py "$@"
}
# pings WHERE ADDRESS [SIZE]: three answers of three
pings() { echoes "$1" "$2" 3 0.05 "${3:-56}"; }
# answers WHERE ADDRESS: one answer to one ping, be it that others are lost before
answers() { wait_for 20 "in_$1" ping -q -c 1 -W 1 "$2"; }

# echo_begin FILE INTERVAL: echoes from the client, answered when this returns, until echo_end, which waits for
# the last answers. FILE is what echo.py prints.
echo_begin() {
	rm -f "$1.begun"
	in_background "$topology_client" env BEGUN="$1.begun" python3 tests/net/echo.py 10.9.0.9 1000000 "$2" >"$1" 2>&1
	echoing=$background
	wait_for 10 test -e "$1.begun" || not_ok "echoes are answered - $(tail -n 1 "$1")"
}
echo_end() {
	kill -INT "$echoing"
	wait "$echoing"
}

# none_lost FILE: what echo.py printed
none_lost() { grep -q '[1-9][0-9]* packets transmitted, .* received, 0% packet loss' "$1" || { cat "$1"; return 1; }; }

# reason_count WHERE REASON: WHERE is xdp or workers
reason_count() { box stats --json | jq ".$1.reasons[\"$2\"].packets // 0"; }
