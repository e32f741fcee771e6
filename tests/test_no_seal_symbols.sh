#!/bin/bash
# "Sees, cannot forge", looked at from the outside: no symbol of the seal side is
# in the box's programs, and no file of the box names a call of a crypto library
# that encrypts payload or makes a tag. Needs no root. Run from anywhere:
# O=build tests/test_no_seal_symbols.sh
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
. tests/report.sh
test_name=no-seal
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- symbols ---------------------------------------------------------------------------------

nm -g --defined-only "$O/libhalfkey-seal.a" 2>/dev/null | awk 'NF == 3 {print $3}' |
	grep -v '^__' | sort -u >"$work/seal"
if [ "$(wc -l <"$work/seal")" -lt 20 ] || ! grep -qx hk_seal_packet "$work/seal"; then
	not_ok "the seal side has symbols to look for - $O/libhalfkey-seal.a gives $(wc -l <"$work/seal")"
fi

# seal_symbols PROGRAM: those it has, static ones as well
seal_symbols() { nm --defined-only "$1" | awk 'NF == 3 {print $3}' | sort -u | comm -12 - "$work/seal"; }

seal_symbols "$O/halfkey-endpoint" >"$work/endpoint"
if [ -s "$work/endpoint" ]; then ok "halfkey-endpoint has $(wc -l <"$work/endpoint") of them, so they can be found"
else not_ok "halfkey-endpoint has seal-side symbols - none found: are programs stripped?"; fi

for program in halfkeyd halfkey; do
	if [ ! -e "$O/$program" ]; then
		skip "symbols of $program - $O/$program is not built"
		continue
	fi
	seal_symbols "$O/$program" >"$work/found"
	check_empty "no seal-side symbol is in $program" "$work/found"
	# What makes tags: HMAC over packets, GCM tags. (HMAC() itself makes fingerprints.)
	nm -D --undefined-only "$O/$program" | awk '{print $2}' | sed 's/@.*//' |
		grep -E '^(EVP_MAC_|EVP_Seal|EVP_Sign|EVP_DigestSign|EVP_Cipher(Update|Final)|EVP_EncryptFinal|AES_|CRYPTO_|CMAC_|HMAC_)' \
			>"$work/found"
	check_empty "$program imports no call that makes tags or encrypts either way" "$work/found"
done

# --- sources ---------------------------------------------------------------------------------

# Comments and strings are no calls: they go before the search.
strip_comments() { gcc -fpreprocessed -dD -E -P - 2>/dev/null <"$1" | sed 's/"[^"]*"/""/g'; }

# find_calls PATTERN EXCEPT FILE...: "file: line" of each hit outside the files matching EXCEPT
find_calls() {
	local pattern=$1 except=$2 file
	shift 2
	for file in "$@"; do
		[[ $file =~ $except ]] && continue
		strip_comments "$file" | grep -nE "$pattern" | sed "s|^|$file: |"
	done
}

mapfile -t sources < <(find bpf user include maps docs/examples -name '*.[ch]' -not -path 'user/endpoint/*' 2>/dev/null | sort)
# Encryption of any kind: the KDF's blocks (schedule.c, and both backends' ECB and CTR) are all there is.
encrypt='EVP_(Encrypt|Cipher|Seal|CIPHER_CTX_ctrl)|IMB_DIR_ENCRYPT|IMB_CIPHER_|IMB_SUBMIT|IMB_[A-Z0-9_]*_(ENC|ENCRYPT)|AES_[a-z]+_?encrypt|CRYPTO_[a-z]'
find_calls "$encrypt" '^user/crypto/(schedule|libcrypto|ipsecmb)\.c$' "${sources[@]}" >"$work/found"
check_empty "encrypting calls stand in user/crypto/ alone" "$work/found"

# Tags for output, whoever asks: nobody but the seal side. HMAC is also a key derivation's PRF (HKDF, prf+):
# that, and the fingerprints of `keys list`, stand in the crypto room's files named here and nowhere else.
prf='^user/crypto/(crypto|levels|libcrypto|ipsecmb)\.c$'
tags='EVP_CTRL_(AEAD|GCM)_GET_TAG|EVP_MAC|EVP_DigestSign|EVP_Seal|EVP_EncryptFinal|\bHMAC_|CMAC_|IMB_AUTH_(AES|GCM|GHASH)|IMB_[A-Z0-9_]*GCM[A-Z0-9_]*_ENC|IMB_GHASH'
find_calls "$tags" '^$' "${sources[@]}" >"$work/found"
check_empty "no file of the box makes a tag" "$work/found"
find_calls 'HMAC *\(|IMB_AUTH_HMAC|IMB_HMAC|IMB_(SUBMIT_HASH|SHA)' "$prf" "${sources[@]}" >"$work/found"
check_empty "HMAC is named by key derivation and fingerprints alone" "$work/found"
{
	grep -nE '^#include.*user/endpoint/' "${sources[@]}"
	find_calls 'hk_(seal|protection|sa|nonce_state|host)_[a-z]' '^$' "${sources[@]}"
} >"$work/found"
check_empty "no file of the box includes or names the seal side" "$work/found"

# The search itself must find something, or it proves nothing.
mapfile -t seal < <(find user/endpoint -name '*.c' | sort)
find_calls "$tags" '^$' "${seal[@]}" >"$work/found"
if [ -s "$work/found" ]; then ok "the search finds the tags the seal side makes"
else not_ok "the search finds the tags the seal side makes - nothing found"; fi

exit $test_failed
