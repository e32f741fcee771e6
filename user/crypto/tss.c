// SPDX-License-Identifier: GPL-2.0-or-later
/* Contexts, IV and AAD of TSS: see tss.h. */
#include "user/crypto/tss.h"

#include <string.h>

#include "user/base/bytes.h"
#include "user/base/text.h"

#define OUTPUT_BITS 0x160 /* key 256, IV mask 96 */

static bool has_ssi(const __u8 *header)
{
	return header[0] & HK_TSS_SP;
}

/* epoch(2) ‖ counter(6) */
static const __u8 *tsc(const __u8 *header)
{
	return header + 4 + (has_ssi(header) ? HK_TSS_SSI_SIZE : 0);
}

unsigned hk_tss_header_size(const __u8 *header)
{
	return HK_TSS_HEADER_SIZE + (has_ssi(header) ? HK_TSS_SSI_SIZE : 0);
}

__u32 hk_tss_sdi(const __u8 *header)
{
	return (__u32)header[1] << 16 | (__u32)header[2] << 8 | header[3];
}

__u16 hk_tss_epoch(const __u8 *header)
{
	return (__u16)(tsc(header)[0] << 8 | tsc(header)[1]);
}

bool hk_tss_is_stale(__u16 epoch, __u16 present)
{
	return (__s16)(__u16)(present - epoch) > HK_TSS_EPOCHS_BEHIND;
}

__u32 hk_tss_rekey(const struct hk_tss_options *options, const __u8 *header)
{
	const __u8 *at = tsc(header) + 2;
	__u64 counter = 0;
	unsigned i;

	if (options->mode != HK_TSS_CLUSTER || !options->rekey_mask)
		return 0;
	for (i = 0; i < 6; i++)
		counter = counter << 8 | at[i];
	return (__u32)((counter & options->rekey_mask) >> options->rekey_shift);
}

bool hk_tss_is_server(const struct hk_tss_options *options, const struct hk_address *address)
{
	unsigned i;

	for (i = 0; i < options->servers_count; i++)
		if (hk_prefix_holds(&options->servers[i], address))
			return true;
	return false;
}

/* Whose key it is: the sender's; in server mode the client's in both directions. */
static const struct hk_address *owner(const struct hk_tss_packet *packet)
{
	const struct hk_tss_options *options = packet->options;

	if (options->mode == HK_TSS_SERVER && hk_tss_is_server(options, packet->source) &&
		!hk_tss_is_server(options, packet->destination))
		return packet->destination;
	return packet->source;
}

/* The context: with a 4-byte identity, or with an IPv6 address. Bytes written. */
static unsigned put_context(__u8 *out, const struct hk_tss_packet *packet)
{
	const struct hk_address *address = owner(packet);
	const __u8 *header = packet->header;
	bool wide = !hk_address_is_v4(address) && !(has_ssi(header) && packet->options->small_context);
	__u8 *at = out;

	if (wide) {
		memset(at, 0, 4);
		at += 4;
	}
	memcpy(at, tsc(header), 2);
	hk_put32(at + 2, hk_tss_rekey(packet->options, packet->header));
	at += 6;
	if (wide) {
		memcpy(at, address->bytes, 16);
		return (unsigned)(at + 16 - out);
	}
	memcpy(at, has_ssi(header) ? header + 4 : address->bytes + 12, 4);
	return (unsigned)(at + 4 - out);
}

/* [i]_8 ‖ label ‖ 00 ‖ context ‖ [0160]_16 or _32 */
unsigned hk_kdf_tss_message(__u8 *out, const struct hk_tss_packet *packet, __u8 counter)
{
	unsigned size = 4;

	out[0] = counter;
	out[1] = 'U';
	out[2] = packet->options->mode == HK_TSS_SERVER ? '2' : '1';
	out[3] = 0;
	size += put_context(out + size, packet);
	if (packet->options->long_length) {
		hk_put16(out + size, 0);
		size += 2;
	}
	hk_put16(out + size, OUTPUT_BITS);
	return size + 2;
}

/* They differ in their first byte alone, which the padding never touches. */
unsigned hk_kdf_tss_messages(__u8 *out, const struct hk_kdf_key *key, const struct hk_tss_packet *packet)
{
	unsigned blocks = hk_crypto_cmac_pad(key, out, hk_kdf_tss_message(out, packet, 1)), i;

	for (i = 1; i < HK_KDF_TSS_MESSAGES; i++) {
		memcpy(out + i * blocks * 16, out, blocks * 16);
		out[i * blocks * 16] = (__u8)(i + 1);
	}
	return blocks;
}

/* SSI, IPv4 source or SDI ‖ TSC ⊕ mask */
void hk_tss_iv(__u8 out[HK_TSS_IV], const struct hk_tss_packet *packet, const __u8 *mask)
{
	const __u8 *header = packet->header;
	unsigned i;

	if (has_ssi(header))
		memcpy(out, header + 4, 4);
	else if (!packet->options->iv_sdi && hk_address_is_v4(packet->source))
		memcpy(out, packet->source->bytes + 12, 4);
	else
		hk_put32(out, hk_tss_sdi(header));
	memcpy(out + 4, tsc(header), HK_TSS_TSC_SIZE);
	for (i = 0; mask && i < HK_TSS_IV; i++)
		out[i] ^= mask[i];
}

static unsigned put_address(__u8 *out, const struct hk_address *address)
{
	unsigned size = hk_address_is_v4(address) ? 4 : 16;

	memcpy(out, address->bytes + 16 - size, size);
	return size;
}

unsigned hk_tss_aad(__u8 out[HK_TSS_AAD_MAX], const struct hk_tss_packet *packet, const __u8 *entropy)
{
	unsigned size = 0, header = hk_tss_header_size(packet->header);

	if (entropy || !packet->options->header_aad) {
		size += put_address(out, packet->source);
		size += put_address(out + size, packet->destination);
	}
	if (entropy) {
		memcpy(out + size, entropy, HK_TSS_ENTROPY_SIZE);
		size += HK_TSS_ENTROPY_SIZE;
	}
	memcpy(out + size, packet->header, header);
	return size + header;
}
