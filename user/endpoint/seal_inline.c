// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets of inline keying at the end host: see seal_inline.h.
 *
 *   parent   SPI 4 | SN 4 | packet nonce 16 | IV 8 | [creation] payload, trailer | ICV 16
 *   child    as ESP with suite gcm-split
 *
 * AAD of a parent's packet: SPI, SN and packet nonce.
 */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <string.h>

#include "user/endpoint/inline_sa.h"
#include "user/endpoint/inner.h"

#define TRAILER 2 /* pad length and next header */
#define ALIGN	4
#define AAD	(HK_ESP_HEADER_SIZE + HK_INLINE_NONCE)
#define START	(AAD + HK_ESP_IV_SIZE)
#define NO_NEXT 59
#define UDP	8

/* What goes into the envelope. */
struct content {
	__u8 bytes[65536];
	__u32 length;
	__u8 next_header;
	__u32 header; /* of the inner packet, left outside (transport mode) */
};

/* --- keys of one packet ----------------------------------------------------------------------- */

struct packet_keys {
	struct hk_protection protection;
	__u8 enc_iv[16], auth_nonce[12];
};

static int packet_keys(const struct hk_inline *sa, const __u8 *packet, struct packet_keys *keys)
{
	__u8 enc[HK_HKDF_OUT], auth[HK_HKDF_OUT];
	struct hk_hkdf_job jobs[2] = {
		{.key = &sa->enc, .out = enc, .info_size = HK_INLINE_INFO},
		{.key = &sa->auth, .out = auth, .info_size = HK_INLINE_INFO},
	};
	int status;

	hk_inline_info(jobs[0].info, HK_SIDE_ENC, packet + HK_ESP_HEADER_SIZE, sa->name.spi);
	hk_inline_info(jobs[1].info, HK_SIDE_AUTH, packet + HK_ESP_HEADER_SIZE, sa->name.spi);
	hk_crypto_hkdf(sa->crypto, jobs, 2);
	memset(keys, 0, sizeof(*keys));
	memcpy(keys->enc_iv, enc + 32, 4);
	memcpy(keys->enc_iv + 4, packet + AAD, HK_ESP_IV_SIZE);
	keys->enc_iv[15] = 2;
	memcpy(keys->auth_nonce, auth + 32, 4);
	memcpy(keys->auth_nonce + 4, packet + AAD, HK_ESP_IV_SIZE);
	status = hk_protection_init(&keys->protection, HK_SUITE_GCM_SPLIT, 32, enc, auth);
	hk_wipe(enc, sizeof(enc));
	hk_wipe(auth, sizeof(auth));
	return status;
}

static struct hk_protect_job job_of(struct packet_keys *keys, __u8 *packet, __u32 end)
{
	return (struct hk_protect_job){.iv = keys->enc_iv,
		.nonce_auth = keys->auth_nonce,
		.aad = packet,
		.aad_length = AAD,
		.text = packet + START,
		.length = end - START};
}

/* --- sealing ---------------------------------------------------------------------------------- */

static int take_inner(const struct hk_inline *sa, const struct hk_seal_shape *shape,
	const struct hk_inline_packet *packet, struct content *content, __u8 *next_header)
{
	struct hk_inner_ip inner;

	*next_header = NO_NEXT;
	if (!packet->length)
		return packet->creation ? 0 : -EINVAL;
	if (hk_inner_ip_parse(packet->inner, packet->length, &inner))
		return -EINVAL;
	if (!shape->transport) {
		*next_header = inner.version == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
		return 0;
	}
	if (!hk_inner_fits_transport(&inner, HK_ENVELOPE_ESP) || inner.protocol == sa->name.next_header ||
		memcmp(&inner.destination, &sa->name.receiver, sizeof(inner.destination)) != 0)
		return -EINVAL;
	content->header = inner.header_size;
	*next_header = inner.protocol;
	return 0;
}

static int build(const struct hk_inline *sa, const struct hk_seal_shape *shape,
	const struct hk_inline_packet *packet, struct content *content)
{
	struct hk_creation creation;
	__u32 at = 0;
	int status;

	content->header = 0;
	status = take_inner(sa, shape, packet, content, &content->next_header);
	if (status)
		return status;
	if (packet->length > sizeof(content->bytes) - HK_CREATION_MAX)
		return -EMSGSIZE;
	if (packet->creation) {
		creation = *packet->creation;
		creation.next_header = content->next_header;
		content->next_header = sa->name.next_header;
		at = hk_creation_write(&creation, content->bytes);
	}
	content->length = at + packet->length - content->header;
	if (packet->length)
		memcpy(content->bytes + at, packet->inner + content->header,
			packet->length - content->header);
	return 0;
}

static int seal_parent(struct hk_inline *sa, const struct hk_numbers *numbers, const __u8 *packet_nonce,
	const struct content *content, __u8 *out, __u32 room)
{
	__u32 pad = (ALIGN - (content->length + TRAILER) % ALIGN) % ALIGN;
	__u32 end = START + content->length + pad + TRAILER, i;
	struct hk_protect_job job;
	struct packet_keys keys;
	int status;

	if (end + HK_ESP_ICV_SIZE > room)
		return -EMSGSIZE;
	hk_put32(out, sa->name.spi);
	hk_put32(out + 4, numbers->sn);
	if (packet_nonce)
		memcpy(out + HK_ESP_HEADER_SIZE, packet_nonce, HK_INLINE_NONCE);
	else if (RAND_bytes(out + HK_ESP_HEADER_SIZE, HK_INLINE_NONCE) != 1)
		return -EIO;
	hk_put64(out + AAD, numbers->iv);
	memcpy(out + START, content->bytes, content->length);
	for (i = 0; i < pad; i++)
		out[START + content->length + i] = (__u8)(i + 1);
	out[end - 2] = (__u8)pad;
	out[end - 1] = content->next_header;
	if (packet_keys(sa, out, &keys))
		return -EIO;
	job = job_of(&keys, out, end);
	status = hk_protection_seal(&keys.protection, &job, out + end);
	hk_protection_clear(&keys.protection);
	hk_wipe(&keys, sizeof(keys));
	return status ? -EIO : (int)(end + HK_ESP_ICV_SIZE);
}

/* In transport mode the outer header is the inner one with another protocol and length. */
static int wrap_transport(const __u8 *inner, __u32 header, bool udp, __u32 size, __u8 *out)
{
	__u32 payload = size + (udp ? UDP : 0), total = header + payload;

	if (total > 65535)
		return -EMSGSIZE;
	memcpy(out, inner, header);
	if (out[0] >> 4 == 4) {
		hk_put16(out + 2, (__u16)total);
		out[9] = udp ? IPPROTO_UDP : IPPROTO_ESP;
		hk_put16(out + 10, 0);
		hk_put16(out + 10, hk_ip_checksum(out, header));
	} else {
		hk_put16(out + 4, (__u16)payload);
		out[6] = udp ? IPPROTO_UDP : IPPROTO_ESP;
	}
	if (udp) {
		hk_put16(out + header, HK_UDP_PORT_ESP);
		hk_put16(out + header + 2, HK_UDP_PORT_ESP);
		hk_put16(out + header + 4, (__u16)payload);
		hk_put16(out + header + 6, 0);
	}
	return (int)total;
}

int hk_inline_seal(struct hk_inline *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const struct hk_inline_packet *packet, __u8 *out, __u32 room)
{
	static _Thread_local __u8 envelope[65536];
	static _Thread_local struct content content;
	int size, status;

	if (!sa->seals)
		return -EPERM;
	status = build(sa, shape, packet, &content);
	if (status)
		return status;
	if (sa->sa)
		size = hk_esp_seal(sa->sa, shape, numbers, content.next_header, content.bytes, content.length,
			envelope, sizeof(envelope));
	else
		size = seal_parent(sa, numbers, packet->packet_nonce, &content, envelope, sizeof(envelope));
	hk_wipe(content.bytes, content.length);
	if (size < 0)
		return size;
	if (!content.header)
		return hk_outer_build(&shape->source, &sa->name.receiver,
			shape->udp ? IPPROTO_UDP : IPPROTO_ESP, HK_UDP_PORT_ESP, HK_UDP_PORT_ESP, envelope,
			(__u32)size, out, room);
	status = (int)(content.header + (shape->udp ? UDP : 0));
	if (status + size > (int)room)
		return -EMSGSIZE;
	memcpy(out + status, envelope, (__u32)size);
	return wrap_transport(packet->inner, content.header, shape->udp, (__u32)size, out);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* As ESP's: the sender's bytes, after the ICV verified. */
static unsigned trailer(__u8 *text, __u32 length, struct hk_payload *payload)
{
	__u32 pad = text[length - 2], i;

	if (pad + TRAILER > length)
		return HK_REFUSAL_PADDING;
	for (i = 0; i < pad; i++)
		if (text[length - TRAILER - pad + i] != i + 1)
			return HK_REFUSAL_PADDING;
	payload->data = text;
	payload->length = length - TRAILER - pad;
	payload->next_header = text[length - 1];
	return HK_REFUSAL_NONE;
}

static unsigned open_parent(
	struct hk_inline *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_payload *payload)
{
	__u32 end = sealed->length - HK_ESP_ICV_SIZE;
	struct hk_protect_job job;
	struct packet_keys keys;
	int status;

	if (sealed->length < START + TRAILER + HK_ESP_ICV_SIZE)
		return HK_REFUSAL_SHORT;
	if ((end - START) % ALIGN)
		return HK_REFUSAL_ESP_ALIGN;
	memcpy(out, sealed->data, end);
	if (packet_keys(sa, out, &keys))
		return HK_REFUSAL_CIPHER;
	job = job_of(&keys, out, end);
	status = hk_protection_open(&keys.protection, &job, sealed->data + end);
	hk_protection_clear(&keys.protection);
	hk_wipe(&keys, sizeof(keys));
	if (status)
		return status == -EBADMSG ? HK_REFUSAL_BAD_ICV : HK_REFUSAL_CIPHER;
	payload->numbers = (struct hk_numbers){.iv = hk_get64(out + AAD), .sn = hk_get32(out + 4)};
	return trailer(out + START, end - START, payload);
}

static unsigned take_creation(struct hk_payload *payload, struct hk_creation *creation)
{
	if (hk_creation_parse(payload->data, payload->length, creation)) {
		creation->size = 0;
		return HK_REFUSAL_CREATION;
	}
	payload->data += creation->size;
	payload->length -= creation->size;
	payload->next_header = creation->next_header;
	return HK_REFUSAL_NONE;
}

/* `payload` has a whole IP header's room in front of it. */
static unsigned deliver(
	const struct hk_sealed *sealed, const struct hk_payload *payload, struct hk_opened *opened)
{
	bool v4 = sealed->ip && sealed->ip[0] >> 4 == 4;
	__u32 header = v4 ? 20 : 40;
	struct hk_inner_ip inner;

	opened->inner = payload->data;
	opened->length = payload->length;
	if (payload->next_header == IPPROTO_IPIP || payload->next_header == IPPROTO_IPV6)
		return hk_inner_ip_parse(opened->inner, opened->length, &inner) ||
				       inner.version != (payload->next_header == IPPROTO_IPIP ? 4 : 6)
			       ? HK_REFUSAL_INNER
			       : HK_REFUSAL_NONE;
	if (payload->next_header == NO_NEXT)
		return HK_REFUSAL_DUMMY;
	if (!sealed->ip || header + payload->length > 65535)
		return HK_REFUSAL_NEXT_HEADER;
	opened->inner -= header;
	opened->length += header;
	memcpy(opened->inner, sealed->ip, header);
	if (v4) {
		opened->inner[0] = 0x45;
		hk_put16(opened->inner + 2, (__u16)opened->length);
		opened->inner[9] = payload->next_header;
		hk_put16(opened->inner + 10, 0);
		hk_put16(opened->inner + 10, hk_ip_checksum(opened->inner, 20));
	} else {
		hk_put16(opened->inner + 4, (__u16)payload->length);
		opened->inner[6] = payload->next_header;
	}
	return HK_REFUSAL_NONE;
}

unsigned hk_inline_open(struct hk_inline *sa, const struct hk_sealed *sealed, __u8 *out,
	struct hk_opened *opened, struct hk_creation *creation)
{
	struct hk_payload payload = {0};
	unsigned refusal;

	memset(creation, 0, sizeof(*creation));
	if (sealed->spi != sa->name.spi || sealed->envelope != HK_ENVELOPE_ESP)
		return HK_REFUSAL_NO_KEY;
	if (memcmp(&sealed->destination, &sa->name.receiver, sizeof(sealed->destination)) != 0)
		return HK_REFUSAL_NOT_OURS;
	out += HK_OPEN_ROOM(0) - 16;
	refusal =
		sa->sa ? hk_esp_open(sa->sa, sealed, out, &payload) : open_parent(sa, sealed, out, &payload);
	if (!refusal && payload.next_header == sa->name.next_header)
		refusal = take_creation(&payload, creation);
	opened->numbers = payload.numbers;
	if (!refusal)
		refusal = deliver(sealed, &payload, opened);
	if (refusal)
		hk_wipe(out, sealed->length);
	return refusal;
}
