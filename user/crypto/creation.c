// SPDX-License-Identifier: GPL-2.0-or-later
/* The creation header of inline keying, read and written: see inline.h. */
#include <string.h>

#include "user/base/bytes.h"

#include <halfkey/reason.h>

#include "user/crypto/inline.h"

/*
 *  0 next header | header length | version 4, flags 4 | scope
 *  4 protocol | algorithm | 0(16)
 *  8 Reply-SPI, 12 lifetime, 16 initial sequence, 20 creator port, 22 peer port
 * 24 reply nonce, 40 peer nonce, 56 first and last address
 */
/* Fields that the scope does not use are zero: two headers never mean the same. */
static unsigned check_scope(const struct hk_creation *creation)
{
	bool ports = creation->creator_port || creation->peer_port;

	switch (creation->scope) {
	case HK_SCOPE_RANGE:
		if (memcmp(&creation->low, &creation->high, sizeof(creation->low)) > 0)
			return HK_REASON_CREATION_SCOPE;
		/* fall through */
	case HK_SCOPE_HOST: return creation->protocol || ports ? HK_REASON_CREATION_SCOPE : HK_REASON_OK;
	case HK_SCOPE_PROTOCOL: return ports ? HK_REASON_CREATION_SCOPE : HK_REASON_OK;
	case HK_SCOPE_PORTS: return HK_REASON_OK;
	default: return HK_REASON_CREATION_SCOPE;
	}
}

static unsigned read_addresses(const __u8 *at, __u32 size, struct hk_creation *out)
{
	if (size == 8) {
		out->low = hk_address_v4(at);
		out->high = hk_address_v4(at + 4);
		return HK_REASON_OK;
	}
	out->low = hk_address_v6(at);
	out->high = hk_address_v6(at + 16);
	if (hk_address_is_v4(&out->low) || hk_address_is_v4(&out->high))
		return HK_REASON_CREATION_SCOPE;
	return HK_REASON_OK;
}

static unsigned read_size(const __u8 *bytes, __u32 length, struct hk_creation *out)
{
	__u32 size, extra;

	if (length < HK_CREATION_SIZE)
		return HK_REASON_CREATION_SHORT;
	size = (bytes[1] + 1u) * 8;
	if (size > length)
		return HK_REASON_CREATION_SHORT;
	extra = size - HK_CREATION_SIZE;
	if (bytes[3] == HK_SCOPE_RANGE ? extra != 8 && extra != 32 : extra != 0)
		return HK_REASON_CREATION_LENGTH;
	out->size = (__u8)size;
	return HK_REASON_OK;
}

unsigned hk_creation_parse(const __u8 *bytes, __u32 length, struct hk_creation *out)
{
	unsigned reason;

	memset(out, 0, sizeof(*out));
	reason = read_size(bytes, length, out);
	if (reason != HK_REASON_OK)
		return reason;
	if (bytes[2] != HK_CREATION_VERSION << 4)
		return HK_REASON_CREATION_VERSION;
	if (bytes[5] != HK_CREATION_ALGORITHM)
		return HK_REASON_CREATION_ALGORITHM;
	if (hk_get16(bytes + 6))
		return HK_REASON_CREATION_RESERVED;
	out->next_header = bytes[0];
	out->scope = bytes[3];
	out->protocol = bytes[4];
	out->spi = hk_get32(bytes + 8);
	out->lifetime = hk_get32(bytes + 12);
	out->sequence = hk_get32(bytes + 16);
	out->creator_port = hk_get16(bytes + 20);
	out->peer_port = hk_get16(bytes + 22);
	memcpy(out->reply_nonce, bytes + 24, HK_INLINE_NONCE);
	memcpy(out->peer_nonce, bytes + 40, HK_INLINE_NONCE);
	if (out->spi < HK_ESP_SPI_RESERVED)
		return HK_REASON_CREATION_SPI;
	if (out->scope == HK_SCOPE_RANGE)
		reason = read_addresses(bytes + HK_CREATION_SIZE, out->size - HK_CREATION_SIZE, out);
	return reason == HK_REASON_OK ? check_scope(out) : reason;
}

static __u32 write_addresses(const struct hk_creation *creation, __u8 *out)
{
	if (creation->scope != HK_SCOPE_RANGE)
		return 0;
	if (hk_address_is_v4(&creation->low)) {
		memcpy(out, creation->low.bytes + 12, 4);
		memcpy(out + 4, creation->high.bytes + 12, 4);
		return 8;
	}
	memcpy(out, &creation->low, 16);
	memcpy(out + 16, &creation->high, 16);
	return 32;
}

__u32 hk_creation_write(const struct hk_creation *creation, __u8 *out)
{
	__u32 size = HK_CREATION_SIZE + write_addresses(creation, out + HK_CREATION_SIZE);

	out[0] = creation->next_header;
	out[1] = (__u8)(size / 8 - 1);
	out[2] = HK_CREATION_VERSION << 4;
	out[3] = creation->scope;
	out[4] = creation->protocol;
	out[5] = HK_CREATION_ALGORITHM;
	hk_put16(out + 6, 0);
	hk_put32(out + 8, creation->spi);
	hk_put32(out + 12, creation->lifetime);
	hk_put32(out + 16, creation->sequence);
	hk_put16(out + 20, creation->creator_port);
	hk_put16(out + 22, creation->peer_port);
	memcpy(out + 24, creation->reply_nonce, HK_INLINE_NONCE);
	memcpy(out + 40, creation->peer_nonce, HK_INLINE_NONCE);
	return size;
}
