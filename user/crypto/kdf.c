// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PRF messages of each envelope (docs/wire-formats.md), for both sides.
 * Layout only: no key and no cipher comes near this file.
 */
#include "user/crypto/kdf.h"

#include <string.h>

#include "user/base/bytes.h"

unsigned hk_kdf_psp_key_size(unsigned version)
{
	switch (version) {
	case HK_PSP_GCM_128:
	case HK_PSP_SPLIT_128: return 16;
	case HK_PSP_GCM_256:
	case HK_PSP_SPLIT_256: return 32;
	default: return 0; /* the GMAC versions have no published derivation */
	}
}

/* [i]_32 || "Pv0\0" || SPI || [key bits]_32 */
void hk_kdf_psp_message(__u8 out[16], unsigned version, __u32 spi, __u32 counter)
{
	hk_put32(out, counter);
	out[4] = 'P';
	out[5] = 'v';
	out[6] = (__u8)('0' + version);
	out[7] = 0;
	hk_put32(out + 8, spi);
	hk_put32(out + 12, hk_kdf_psp_key_size(version) * 8);
}

/* [i]_8 || label || 00 || context || [384]_16 */
void hk_kdf108_message(__u8 out[32], const char label[4], const __u8 context[HK_KDF108_CONTEXT], __u8 counter)
{
	out[0] = counter;
	memcpy(out + 1, label, 4);
	out[5] = 0;
	memcpy(out + 6, context, HK_KDF108_CONTEXT);
	hk_put16(out + 30, HK_KDF108_OUTPUT * 8);
}

const char *hk_kdf_label(enum hk_side side)
{
	switch (side) {
	case HK_SIDE_AUTH: return "DKa1";
	case HK_SIDE_READER: return "DKr1";
	default: return "DKe1";
	}
}

/* 31h || suite << 4 | slot << 1 || MKID || SPI || receiver */
void hk_kdf_esp_context(__u8 out[HK_KDF108_CONTEXT], enum hk_suite suite, unsigned slot, __u16 mkid,
	__u32 spi, const struct hk_address *receiver)
{
	out[0] = 0x31;
	out[1] = (__u8)(suite << 4 | slot << 1);
	hk_put16(out + 2, mkid);
	hk_put32(out + 4, spi);
	memcpy(out + 8, receiver->bytes, 16);
}

/* 21h || flags || [MKID]_32 || ContextID || [epoch]_32 || 0(6) */
void hk_kdf_dtls_context(
	__u8 out[HK_KDF108_CONTEXT], unsigned flags, __u16 mkid, const __u8 context_id[8], __u16 epoch)
{
	memset(out, 0, HK_KDF108_CONTEXT);
	out[0] = 0x21;
	out[1] = (__u8)flags;
	hk_put32(out + 2, mkid);
	memcpy(out + 6, context_id, 8);
	hk_put32(out + 14, epoch);
}

/* Prof and KDF || flags || MKID || ContextID || Epoch || SPI || Session ID */
void hk_kdf_dkc_context(__u8 out[HK_KDF108_CONTEXT], const __u8 fields[2], const __u8 mkid[4],
	const __u8 context_id[8], const __u8 epoch[4], __u32 spi, __u16 session)
{
	memcpy(out, fields, 2);
	memcpy(out + 2, mkid, 4);
	memcpy(out + 6, context_id, 8);
	memcpy(out + 14, epoch, 4);
	hk_put32(out + 18, spi);
	hk_put16(out + 22, session);
}

void hk_kdf108_messages(
	__u8 out[HK_KDF108_MESSAGES * 32], enum hk_side side, const __u8 context[HK_KDF108_CONTEXT])
{
	unsigned i;

	for (i = 0; i < HK_KDF108_MESSAGES; i++)
		hk_kdf108_message(out + 32 * i, hk_kdf_label(side), context, (__u8)(i + 1));
}
