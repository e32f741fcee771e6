# shellcheck shell=bash disable=SC2154,SC2034,SC2046 # ks_files is several words
# Certificates and a key server for tests, sourced after lib.sh. Everything in $ks.
#
#   ks_ca NAME                          a CA: $ks/NAME.pem, $ks/NAME.key
#   ks_cert CA FILE URI [EKU [DAYS]]    a certificate: $ks/FILE.pem, $ks/FILE.key; $ks_usage and $ks_is_ca
#                                       in front: another keyUsage, and whether it is a CA
ks_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
		-keyout "$ks/$1.key" -out "$ks/$1.pem" -addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign -addext subjectKeyIdentifier=hash 2>/dev/null
}

ks_cert() {
	local ca=$1 file=$2 uri=$3 eku=${4:-clientAuth} days=${5:-30} extra=
	[ "$eku" = serverAuth ] && extra=",IP:127.0.0.1,IP:192.0.2.9,DNS:localhost"
	{
		echo "basicConstraints=critical,CA:${ks_is_ca:-FALSE}"
		echo "keyUsage=critical,${ks_usage:-digitalSignature}"
		echo "authorityKeyIdentifier=keyid"
		echo "subjectKeyIdentifier=hash"
		[ "$eku" = none ] || echo "extendedKeyUsage=$eku"
		[ "$uri" = none ] || echo "subjectAltName=$uri$extra"
	} >"$ks/$file.ext"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$file" \
		-keyout "$ks/$file.key" -out "$ks/$file.csr" 2>/dev/null
	if [ "$days" -gt 0 ]; then
		openssl x509 -req -in "$ks/$file.csr" -CA "$ks/$ca.pem" -CAkey "$ks/$ca.key" -CAcreateserial \
			-days "$days" -extfile "$ks/$file.ext" -out "$ks/$file.pem" 2>/dev/null
	else # expired an hour ago
		: >"$ks/index.txt"
		openssl ca -batch -notext -config <(printf '%s\n' '[ca]' 'default_ca=d' '[d]' "database=$ks/index.txt" \
			"new_certs_dir=$ks" "default_md=sha256" "policy=p" "rand_serial=yes" '[p]' 'commonName=supplied') \
			-cert "$ks/$ca.pem" -keyfile "$ks/$ca.key" -in "$ks/$file.csr" -extfile "$ks/$file.ext" \
			-startdate 20250101000000Z -enddate 20250201000000Z -out "$ks/$file.pem" 2>/dev/null
	fi
	chmod 600 "$ks/$file.key"
	[ -s "$ks/$file.pem" ]
}

# The usual set: a CA, a server, two hosts, a box, a reader
ks_certs() {
	ks_ca ca
	ks_cert ca server URI:halfkey:server:keys serverAuth
	ks_cert ca client URI:halfkey:host:client
	ks_cert ca peer URI:halfkey:host:server
	ks_cert ca box URI:halfkey:box:box1
	ks_cert ca reader URI:halfkey:reader:audit
}

# ks_config LISTEN DOMAIN-LINE...: $ks/keyserver.yaml; hosts client and server, one box, one reader
ks_config() {
	local listen=$1
	shift
	{
		echo "listen: \"$listen\""
		printf '%s\n' "state: state" "ca: ca.pem" "cert: server.pem" "key: server.key" "stats: stats.json" \
			"domains:" "  - name: tunnel"
		printf '    %s\n' "$@"
		printf '    %s\n' "hosts:" "  - {name: client, address: 192.0.2.1}" \
			"  - {name: server, address: 192.0.2.9}" "boxes: [box1]" "readers: [audit]"
	} >"$ks/keyserver.yaml"
}

# ks_files NAME: the options that name its certificate
ks_files() { echo "--ca $ks/ca.pem --cert $ks/$1.pem --key $ks/$1.key --domain tunnel"; }

# --- alone, on loopback ---------------------------------------------------------------------------------

# ks_begin NAME: a directory of its own, and a port; at the end $server and $others are killed.
# Where we may have one the loopback is our own as well, so that nobody else has the port.
ks_begin() {
	if [ -z "${ks_alone:-}" ] && unshare --net true 2>/dev/null; then
		ks_alone=yes exec unshare --net -- bash "$0"
	fi
	[ -z "${ks_alone:-}" ] || ip link set lo up
	test_name=$1
	endpoint=$O/halfkey-endpoint
	ks=$(mktemp -d "${TMPDIR:-/tmp}/halfkey-$1.XXXXXX")
	at=127.0.0.1:$(ks_port)
	server=
	others=()
	trap ks_end EXIT
	trap 'exit 130' INT TERM
}
# A port that nobody has; the kernel gives none of these away by itself
ks_port() {
	local port=$((20000 + RANDOM % 12000))
	while [ -n "$(ss -Htan "sport = :$port")" ]; do port=$((20000 + RANDOM % 12000)); done
	echo $port
}
# count COUNTER: of $server, now
count() {
	rm -f "$ks/stats.json"
	kill -USR1 "$server"
	wait_for 5 test -s "$ks/stats.json"
	jq ".\"$1\"" "$ks/stats.json"
}
ks_end() {
	local pid
	for pid in "${others[@]}" $server; do topology_runs "$pid" && kill -9 "$pid" 2>/dev/null; done
	rm -rf "$ks"
}

# --- with a topology: the key server in the server's namespace, where everyone reaches it ---------------

ks_topology() {
	topology_up 1
	ks=$topology_dir
	endpoint=$O/halfkey-endpoint
	at=192.0.2.9:4780
	chmod 711 "$topology_dir"
	ks_certs
}

# Its pid in $key_server_pid, its words in $ks/keyserver.log
ks_server() {
	local before
	touch "$ks/keyserver.log"
	before=$(ks_starts)
	in_background "$topology_server" "$endpoint" keyserver -c "$ks/keyserver.yaml" 2>>"$ks/keyserver.log"
	key_server_pid=$background
	wait_for 10 ks_started "$before" || not_ok "the key server starts - $(tail -n 1 "$ks/keyserver.log")"
}
ks_starts() { grep -c 'ready at' "$ks/keyserver.log"; }
ks_started() { [ "$(ks_starts)" -gt "$1" ]; }

# ks_tunnel WHERE CERT LOCAL PEER INNER INNER-PEER OPTION...: its pid in $tunnel_pid, words in $ks/CERT.tunnel.log
ks_tunnel() {
	local where=$1 cert=$2 local=$3 peer=$4 inner=$5 far=$6 log=$ks/$2.tunnel.log
	shift 6
	: >"$log"
	in_background "$where" "$endpoint" tunnel --server "$at" --state "$ks/$cert.state" $(ks_files "$cert") --local "$local" --peer "$peer=$far" \
		--address "$inner/24" --stats "$ks/$cert.stats" "$@" 2>>"$log"
	tunnel_pid=$background
	wait_for 20 grep -q 'with SPI' "$log" && wait_for 20 grep -q 'keys to receive' "$log" ||
		not_ok "tunnel $cert gets its keys - $(tail -n 1 "$log")"
}

# Both ends; their pids in $client_pid and $peer_pid
ks_tunnels() {
	ks_tunnel "$topology_client" client 192.0.2.1 192.0.2.9 10.9.0.1 10.9.0.9 "$@"
	client_pid=$tunnel_pid
	ks_tunnel "$topology_server" peer 192.0.2.9 192.0.2.1 10.9.0.9 10.9.0.1 "$@"
	peer_pid=$tunnel_pid
}

# ks_spis COUNT: so many SPIs both ends were given so far
ks_spis() { [ "$(grep -c 'with SPI' "$ks/client.tunnel.log")" -ge "$1" ] && [ "$(grep -c 'with SPI' "$ks/peer.tunnel.log")" -ge "$1" ]; }

# ks_receive tcp|udp PORT COUNT: at the tunnel's far end, into $ks/tcp.received or udp.received; its pid in $receiver
ks_receive() {
	in_server python3 tests/net/seq.py receive "$1" 10.9.0.9 "$2" "$3" >"$ks/$1.received" 2>&1 &
	receiver=$!
	wait_for 10 in_server sh -c "ss -Hnlt -u 'sport = :$2' | grep -q ." || not_ok "nobody listens on $1 $2"
}

# ks_pull OPTION...: keys pull in the background; its pid in $pull_pid, words in $ks/pull.log
ks_pull() {
	: >"$ks/pull.log"
	in_background "$topology_server" "$O/halfkey" keys pull --server "$at" $(ks_files box) -s "$ks/control.sock" "$@" 2>>"$ks/pull.log"
	pull_pid=$background
}
box_has_keys() { [ "$(box keys list --json | jq length)" -ge 2 ]; }

# ks_box DOMAIN-LINE: a box whose keys come over its control socket alone
ks_box() {
	box_config <<-YAML
		mode: inline
		domains:
		  - {name: sealed, $1, receivers: ["192.0.2.1", "192.0.2.9"]}
	YAML
	box_start
	ks_pull --into sealed
	wait_for 10 box_has_keys || not_ok "the box gets its keys - $(tail -n 1 "$ks/pull.log")"
}
