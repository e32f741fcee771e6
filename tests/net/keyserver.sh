# shellcheck shell=bash disable=SC2154,SC2034
# Certificates and a key server for tests, sourced after lib.sh. Everything in $ks.
#
#   ks_ca NAME                          a CA: $ks/NAME.pem, $ks/NAME.key
#   ks_cert CA FILE URI [EKU [DAYS]]    a certificate: $ks/FILE.pem, $ks/FILE.key
ks_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
		-keyout "$ks/$1.key" -out "$ks/$1.pem" -addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign -addext subjectKeyIdentifier=hash 2>/dev/null
}

ks_cert() {
	local ca=$1 file=$2 uri=$3 eku=${4:-clientAuth} days=${5:-30} extra=
	[ "$eku" = serverAuth ] && extra=",IP:127.0.0.1,IP:192.0.2.9,DNS:localhost"
	{
		echo "basicConstraints=critical,CA:FALSE"
		echo "keyUsage=critical,digitalSignature"
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
