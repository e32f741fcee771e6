# shellcheck shell=bash disable=SC2154
# A TLS connection between client and server that a test has in hand, sourced
# after lib.sh: OpenSSL's s_client and s_server, what each of them is to say, and
# what the other heard.

tls_suite=ECDHE-RSA-AES128-GCM-SHA256
tls_name=www.halfkey.test
tls_pids=()

# tls_begin NAME: the test's first line behind those it sources
tls_begin() {
	test_begin "$1"
	command -v openssl >/dev/null && return
	skip "all of it - no openssl"
	exit 0
}

# One path, a certificate, and an empty key log
tls_topology() {
	topology_up 1
	tls_certificate
	(umask 077 && : >"$topology_dir/keys.log")
}

# The configuration's `domains:` for it
tls_domain() {
	cat <<-YAML
		domains:
		  - name: web
		    envelope: tls
		    profile: single
		    receivers: ["192.0.2.1", "192.0.2.9"]
		    tls: {ports: [443, 8443], memory: 4MiB}
		    keys: keys.log
	YAML
}

has() { wait_for 5 counted "$1" "$2"; } # REASON COUNT
counted() { [ "$(box_count "$1")" -ge "$2" ]; }

tls_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=server \
		-keyout "$topology_dir/server.key" -out "$topology_dir/server.pem" 2>/dev/null
}

tls_listens() { [ -n "$(in_server ss -Htln "sport = :$1")" ]; }
tls_connected() { [ -n "$(in_client ss -Htn state established "dport = :$1")" ]; }

# tls_up PORT KEY-LOG [SERVER-OPTION...]: a connection, its handshake done
tls_up() {
	local dir=$topology_dir port=$1 log=$2
	shift 2
	[ $# -gt 0 ] || set -- -tls1_2 -cipher $tls_suite
	rm -f "$dir"/pipe.*
	mkfifo "$dir/pipe.client" "$dir/pipe.server"
	: >"$dir/client.in"
	: >"$dir/server.in"
	nsenter --net=/run/netns/"$topology_server" -- timeout 600 openssl s_server -quiet -naccept 1 -accept "$port" "$@" \
		-key "$dir/server.key" -cert "$dir/server.pem" -keylogfile "$log" \
		<"$dir/pipe.server" >"$dir/server.out" 2>"$dir/server.log" &
	tls_pids=($!)
	exec 8>"$dir/pipe.server"
	wait_for 5 tls_listens "$port" || return 1
	nsenter --net=/run/netns/"$topology_client" -- timeout 600 openssl s_client -quiet -ign_eof \
		-connect "192.0.2.9:$port" -servername "$tls_name" <"$dir/pipe.client" >"$dir/client.out" 2>"$dir/client.log" &
	tls_pids+=($!)
	exec 9>"$dir/pipe.client"
	wait_for 5 tls_connected "$port" && wait_for 5 grep -q "^[A-Z]" "$log"
}

# tls_connect NAME PORT ...: the same as a check; not in a subshell, which would take the pipes along
tls_connect() {
	local name=$1
	shift
	if tls_up "$@"; then ok "$name"; else not_ok "$name - $(tail -n 1 "$topology_dir/client.log" "$topology_dir/server.log" | tr '\n' ' ')"; fi
}

tls_text() { # MARK KIBIBYTES: lines that can be found again
	yes "$1 $(printf 'x%.0s' {1..80})" | head -c "$(($2 * 1024))"
}

# tls_say client|server MARK KIBIBYTES
tls_say() {
	tls_text "$2" "$3" >"$topology_dir/said"
	cat "$topology_dir/said" >>"$topology_dir/$1.in"
	if [ "$1" = client ]; then cat "$topology_dir/said" >&9; else cat "$topology_dir/said" >&8; fi
}

# tls_heard client|server: all that this side said has arrived
tls_heard() {
	local other=server
	[ "$1" = server ] && other=client
	wait_for 20 cmp "$topology_dir/$1.in" "$topology_dir/$other.out"
}

tls_tell() { tls_say "$@" && tls_heard "$1"; }

tls_down() {
	exec 8>&- 9>&-
	kill "${tls_pids[@]}" 2>/dev/null
	wait "${tls_pids[@]}" 2>/dev/null
	tls_pids=()
	return 0
}
