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
	__u32 padded = hk_esp_padded(content->length, ALIGN), end = START + padded;
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
	hk_esp_write_trailer(out + START, content->length, padded, content->next_header);
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

/* May this end put the packet on the SA now? */
static int may_seal(
	const struct hk_inline *sa, const struct hk_seal_shape *shape, const struct hk_inline_packet *packet)
{
	if (!sa->seals)
		return -EPERM;
	if (!hk_inline_seals_at(sa, packet->now_ns))
		return -ETIME;
	return hk_inline_allows(sa, &shape->source, packet->inner, packet->length) ? 0 : -EACCES;
}

/* The envelope, and how much of the inner packet stays outside it (transport mode). */
static int seal_content(struct hk_inline *sa, const struct hk_seal_shape *shape,
	const struct hk_numbers *numbers, const struct hk_inline_packet *packet, __u32 *header, __u8 *out,
	__u32 room)
{
	static _Thread_local struct content content;
	int status = build(sa, shape, packet, &content);

	if (!status)
		status = may_seal(sa, shape, packet);
	if (status)
		return status;
	if (sa->sa)
		status = hk_esp_seal(sa->sa, shape, numbers, content.next_header, content.bytes,
			content.length, out, room);
	else
		status = seal_parent(sa, numbers, packet->packet_nonce, &content, out, room);
	*header = content.header;
	hk_wipe(content.bytes, content.length);
	return status;
}

int hk_inline_seal_envelope(struct hk_inline *sa, const struct hk_seal_shape *shape,
	const struct hk_numbers *numbers, const struct hk_inline_packet *packet, __u8 *out, __u32 room)
{
	__u32 header;

	if (shape->transport)
		return -EINVAL;
	return seal_content(sa, shape, numbers, packet, &header, out, room);
}

int hk_inline_seal(struct hk_inline *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const struct hk_inline_packet *packet, __u8 *out, __u32 room)
{
	static _Thread_local __u8 envelope[65536];
	__u32 header = 0, start;
	int size = seal_content(sa, shape, numbers, packet, &header, envelope, sizeof(envelope));

	if (size < 0)
		return size;
	if (!header)
		return hk_outer_build(&shape->source, &sa->name.receiver,
			shape->udp ? IPPROTO_UDP : IPPROTO_ESP, HK_UDP_PORT_ESP, HK_UDP_PORT_ESP, envelope,
			(__u32)size, out, room);
	start = header + (shape->udp ? UDP : 0);
	if (start + (__u32)size > room)
		return -EMSGSIZE;
	memcpy(out + start, envelope, (__u32)size);
	return wrap_transport(packet->inner, header, shape->udp, (__u32)size, out);
}

/* --- opening ---------------------------------------------------------------------------------- */

static unsigned open_parent(
	struct hk_inline *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_payload *payload)
{
	__u32 end = sealed->length - HK_ESP_ICV_SIZE;
	struct hk_protect_job job;
	struct packet_keys keys;
	unsigned refusal;
	int status;

	if (sealed->length < START + HK_ESP_TRAILER_SIZE + HK_ESP_ICV_SIZE)
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
	refusal = hk_esp_read_trailer(out + START, end - START, payload);
	if (refusal)
		hk_wipe(out + START, end - START);
	return refusal;
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

/* What was taken before, perhaps by a process before; NULL: no room to remember it. */
static struct hk_window *window_of(struct hk_inline *sa, const struct hk_address *sender)
{
	static const __u8 label[32] = "halfkey inline replay window";
	__u8 bytes[32] = {0}, id[8];

	if (!sa->windows && !sa->has_sender)
		sa->own.sender = *sender;
	if (sa->windows && !sa->kept) {
		memcpy(bytes, sa->fingerprint, sizeof(sa->fingerprint));
		hk_put32(bytes + 8, sa->name.spi);
		memcpy(bytes + 12, &sa->name.receiver, sizeof(sa->name.receiver));
		hk_crypto_fingerprint(label, bytes, sizeof(bytes), id);
		sa->kept = hk_windows_claim(sa->windows, id, sender);
	}
	sa->has_sender = true;
	return sa->windows ? sa->kept : &sa->own;
}

/* The sender and the number of a packet that verified. */
static unsigned admit(struct hk_inline *sa, const struct hk_sealed *sealed, const struct hk_numbers *numbers)
{
	struct hk_window *window = window_of(sa, &sealed->source);

	if (!window)
		return HK_REFUSAL_SPI_FULL;
	if (!sa->creation.size && memcmp(&window->sender, &sealed->source, sizeof(window->sender)) != 0)
		return HK_REFUSAL_OTHER_SENDER;
	if (!hk_inline_allows(sa, &sealed->source, NULL, 0))
		return HK_REFUSAL_OTHER_SENDER;
	if (numbers->sn < sa->creation.sequence || !hk_replay_fresh(&window->replay, numbers->sn))
		return HK_REFUSAL_REPLAY;
	hk_replay_take(&window->replay, numbers->sn);
	return HK_REFUSAL_NONE;
}

/* What was verified, delivered: from here on the packet is the sender's. */
static unsigned deliver(const struct hk_inline *sa, const struct hk_sealed *sealed,
	struct hk_payload *payload, struct hk_opened *opened, struct hk_creation *creation)
{
	unsigned refusal = HK_REFUSAL_NONE;

	if (payload->next_header == sa->name.next_header)
		refusal = take_creation(payload, creation);
	if (!refusal)
		refusal = hk_payload_deliver(sealed, payload, opened);
	if (refusal == HK_REFUSAL_DUMMY && creation->size)
		return HK_REFUSAL_CREATION_ALONE;
	if (!refusal && !hk_inline_allows(sa, &sealed->source, opened->inner, opened->length))
		return HK_REFUSAL_CHILD_SCOPE;
	return refusal;
}

static unsigned open_verified(struct hk_inline *sa, const struct hk_sealed *sealed, __u8 *out,
	struct hk_opened *opened, struct hk_creation *creation)
{
	struct hk_payload payload = {0};
	unsigned refusal, admitted;

	refusal =
		sa->sa ? hk_esp_open(sa->sa, sealed, out, &payload) : open_parent(sa, sealed, out, &payload);
	if (refusal && refusal != HK_REFUSAL_PADDING)
		return refusal;
	opened->numbers = payload.numbers;
	admitted = admit(sa, sealed, &payload.numbers);
	if (admitted || refusal)
		return admitted ? admitted : refusal;
	return deliver(sa, sealed, &payload, opened, creation);
}

unsigned hk_inline_open(struct hk_inline *sa, const struct hk_sealed *sealed, __u64 now_ns, __u8 *out,
	struct hk_opened *opened, struct hk_creation *creation)
{
	unsigned refusal;

	memset(creation, 0, sizeof(*creation));
	if (sealed->spi != sa->name.spi || sealed->envelope != HK_ENVELOPE_ESP)
		return HK_REFUSAL_NO_KEY;
	if (memcmp(&sealed->destination, &sa->name.receiver, sizeof(sealed->destination)) != 0)
		return HK_REFUSAL_NOT_OURS;
	if (!hk_inline_opens_at(sa, now_ns))
		return HK_REFUSAL_CHILD_EXPIRED;
	out += HK_OPEN_ROOM(0) - 16;
	refusal = open_verified(sa, sealed, out, opened, creation);
	if (refusal)
		hk_wipe(out, sealed->length);
	return refusal;
}
