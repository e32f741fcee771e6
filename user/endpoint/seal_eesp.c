// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EESP and WESP at the end host, keys and sealing: see seal_eesp.h.
 *
 *   EESP  80 | Opt Len | Session | SPI | context, options | [SN64] | [IV64] | [0 NH PadLen] data | [reader 8]
 * | ICV WESP  header [pad] | context | SPI | SN | IV64 | data, ESP trailer | [reader 8] | ICV
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/crypto/kdf.h"
#include "user/endpoint/eesp.h"
#include "user/endpoint/inner.h"

#define PAYLOAD_INFO   4 /* the full format's bytes in front of the payload */
#define WESP_ALIGN     4
#define ENVELOPE_EXTRA 1024 /* more than headers, 255 bytes of options, padding and tags */

static void make_fields(__u8 fields[2], const struct hk_eesp_name *name)
{
	bool wesp = name->envelope == HK_ENVELOPE_WESP;

	fields[0] = (__u8)((wesp ? HK_DKC_PROFILE_WESP : HK_DKC_PROFILE_EESP) << 4 | HK_DKC_KDF108);
	fields[1] = (__u8)(name->slot << 1);
	if (!wesp)
		fields[1] |= (__u8)((name->sn ? HK_DKC_SN : 0) | (name->transport ? 0 : HK_DKC_TUNNEL));
	if (wesp || name->iv)
		fields[1] |= HK_DKC_IV;
	if (name->split)
		fields[1] |= HK_DKC_SPLIT;
	if (name->reader)
		fields[1] |= HK_DKC_READER;
}

static int check_name(
	const struct hk_eesp_name *name, const struct hk_eesp_keys *keys, struct hk_error *error)
{
	bool wesp = name->envelope == HK_ENVELOPE_WESP;

	if ((!wesp && name->envelope != HK_ENVELOPE_EESP) || (wesp && !name->derived) || name->slot > 3)
		return hk_error_set(error, EINVAL, "neither EESP nor WESP with a derived-key context");
	if (name->spi < HK_ESP_SPI_RESERVED)
		return hk_error_set(error, EINVAL, "SPI %u is reserved: use 256 or more", name->spi);
	if (!wesp && !name->sn && !name->iv)
		return hk_error_set(error, EINVAL, "neither sequence number nor IV: there is no nonce");
	if (name->reader && (!name->split || !name->derived))
		return hk_error_set(error, EINVAL, "a reader tag needs a split derived-key context");
	if (!keys->enc || name->split != (keys->auth != NULL))
		return hk_error_set(
			error, EPERM, "split needs both sides of the keys, single the one key alone");
	return 0;
}

static int derive_side(__u8 out[HK_KDF108_OUTPUT], struct hk_crypto *crypto, const __u8 *master,
	enum hk_side side, const __u8 context[HK_KDF108_CONTEXT])
{
	__u8 messages[HK_KDF108_MESSAGES * 32];
	struct hk_kdf_key key;
	int status = hk_kdf_key_init(&key, master);

	if (!status) {
		hk_kdf108_messages(messages, side, context);
		hk_crypto_cmac(crypto, &key, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS, messages, out);
	}
	hk_wipe(&key, sizeof(key));
	return status;
}

static void expand_root(__u8 out[HK_HKDF_OUT], struct hk_crypto *crypto, const __u8 *root, __u16 session)
{
	struct hk_hmac_key key;
	struct hk_hkdf_job job = {.key = &key, .out = out, .info_size = 2};

	hk_put16(job.info, session);
	hk_hmac_key_init(&key, root, 32);
	hk_crypto_hkdf(crypto, &job, 1);
	hk_wipe(&key, sizeof(key));
}

/* Key material of one side: key, then mask and KCV, or salt. */
static int derive(__u8 out[HK_HKDF_OUT], struct hk_crypto *crypto, const struct hk_eesp *sa,
	const __u8 *master, enum hk_side side)
{
	const struct hk_eesp_name *name = &sa->name;
	__u8 context[HK_KDF108_CONTEXT], mkid[4], id[8], epoch[4];

	if (!name->derived) {
		expand_root(out, crypto, master, name->session);
		return 0;
	}
	hk_put32(mkid, name->mkid);
	hk_put64(id, name->context);
	hk_put32(epoch, name->epoch);
	hk_kdf_dkc_context(context, sa->fields, mkid, id, epoch, name->spi,
		name->envelope == HK_ENVELOPE_WESP ? 0 : name->session);
	return derive_side(out, crypto, master, side, context);
}

static int make_keys(struct hk_eesp *sa, struct hk_crypto *crypto, const struct hk_eesp_keys *keys)
{
	const struct hk_eesp_name *name = &sa->name;
	unsigned suite = name->split ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM;
	__u8 enc[HK_HKDF_OUT], auth[HK_HKDF_OUT], reader[HK_HKDF_OUT];
	int status = derive(enc, crypto, sa, keys->enc, name->split ? HK_SIDE_ENC : HK_SIDE_SINGLE);

	if (!status && name->split)
		status = derive(auth, crypto, sa, keys->auth, HK_SIDE_AUTH);
	if (!status && sa->tags)
		status = derive(reader, crypto, sa, keys->reader, HK_SIDE_READER);
	if (!status)
		status = hk_protection_init(&sa->protection, suite, 32, enc, name->split ? auth : NULL);
	if (!status && sa->tags)
		status = hk_protection_init(&sa->readers, HK_SUITE_GCM_SPLIT, 32, enc, reader);
	memcpy(sa->mask_enc, enc + 32, 12);
	memcpy(sa->kcv, enc + HK_KDF_DKC_KCV, 4);
	if (name->split)
		memcpy(sa->mask_auth, auth + 32, 12);
	if (sa->tags)
		memcpy(sa->mask_reader, reader + 32, 12);
	hk_wipe(enc, sizeof(enc));
	hk_wipe(auth, sizeof(auth));
	hk_wipe(reader, sizeof(reader));
	return status;
}

int hk_eesp_new(struct hk_eesp **out, struct hk_crypto *crypto, const struct hk_eesp_name *name,
	const struct hk_eesp_keys *keys, struct hk_error *error)
{
	static const __u8 label[32] = "halfkey EESP key";
	int status = check_name(name, keys, error);
	struct hk_eesp *sa;

	if (status)
		return status;
	sa = calloc(1, sizeof(*sa));
	if (!sa)
		return hk_error_set(error, ENOMEM, "no memory for the keys of SPI 0x%08x", name->spi);
	sa->name = *name;
	sa->tags = name->reader && keys->reader;
	hk_crypto_fingerprint(label, keys->enc, 32, sa->fingerprint);
	make_fields(sa->fields, name);
	status = make_keys(sa, crypto, keys);
	if (status) {
		hk_eesp_free(sa);
		return hk_error_set(
			error, -status, "the crypto library took no key for SPI 0x%08x", name->spi);
	}
	*out = sa;
	return 0;
}

void hk_eesp_free(struct hk_eesp *sa)
{
	if (!sa)
		return;
	hk_protection_clear(&sa->protection);
	hk_protection_clear(&sa->readers);
	hk_wipe(sa, sizeof(*sa));
	free(sa);
}

/* Derived: (SPI || IV) ^ mask. Sub-SA: salt || IV. */
static void make_nonce(const struct hk_eesp *sa, const __u8 *mask, const __u8 *iv, __u8 nonce[16])
{
	unsigned i;

	memset(nonce, 0, 16);
	nonce[15] = 2;
	if (sa->name.derived)
		hk_put32(nonce, sa->name.spi);
	memcpy(nonce + 4, iv, 8);
	for (i = 0; i < (sa->name.derived ? 12u : 4u); i++)
		nonce[i] ^= mask[i];
}

void hk_eesp_job(const struct hk_eesp *sa, __u8 *packet, const struct hk_eesp_layout *layout,
	struct hk_eesp_nonces *nonces, struct hk_protect_job *job)
{
	make_nonce(sa, sa->mask_enc, packet + layout->iv, nonces->enc);
	make_nonce(sa, sa->mask_auth, packet + layout->iv, nonces->auth);
	make_nonce(sa, sa->mask_reader, packet + layout->iv, nonces->reader);
	*job = (struct hk_protect_job){.iv = nonces->enc,
		.nonce_auth = nonces->auth,
		.aad = packet + layout->aad,
		.aad_length = layout->aad_length,
		.text = packet + layout->text,
		.length = layout->end - layout->text};
}

/* Ciphertext, reader tag and ICV; what is in front of layout->end is in place. Bytes behind it, or -EIO. */
static int protect(struct hk_eesp *sa, __u8 *packet, const struct hk_eesp_layout *layout)
{
	struct hk_eesp_nonces nonces;
	struct hk_protect_job job;
	__u8 tag[HK_TAG_SIZE];
	__u8 *end = packet + layout->end;

	hk_eesp_job(sa, packet, layout, &nonces, &job);
	if (!sa->name.reader)
		return hk_protection_seal(&sa->protection, &job, end) ? -EIO : HK_TAG_SIZE;
	if (hk_protection_seal(&sa->protection, &job, tag))
		return -EIO;
	job.nonce_auth = nonces.reader;
	if (hk_protection_tag(&sa->readers, &job, tag))
		return -EIO;
	memcpy(end, tag, HK_DKC_READER_SIZE);
	job.nonce_auth = nonces.auth;
	job.length += HK_DKC_READER_SIZE; /* the ICV covers it as if it were ciphertext */
	return hk_protection_tag(&sa->protection, &job, end + HK_DKC_READER_SIZE)
		       ? -EIO
		       : HK_DKC_READER_SIZE + HK_TAG_SIZE;
}

static __u8 *put_context(const struct hk_eesp *sa, __u8 *at, bool wesp)
{
	if (!wesp) {
		*at++ = HK_DKC_OPTION;
		*at++ = HK_DKC_SIZE - 2;
	}
	memcpy(at, sa->fields, 2);
	at += 2;
	if (wesp) {
		hk_put16(at, 0);
		at += 2;
	}
	hk_put32(at, sa->name.mkid);
	hk_put64(at + 4, sa->name.context);
	hk_put32(at + 12, sa->name.epoch);
	memcpy(at + 16, sa->kcv, 4);
	return at + 20;
}

static __u8 *put_options(const struct hk_eesp *sa, const struct hk_eesp_shape *shape, __u8 *at)
{
	if (sa->name.derived)
		at = put_context(sa, at, false);
	if (shape->offset_size) {
		memset(at, 0, 2u + shape->offset_size);
		at[0] = 2;
		at[1] = shape->offset_size;
		at[2] = shape->crypt_offset;
		at += 2 + shape->offset_size;
	}
	if (!shape->options)
		return at;
	memcpy(at, shape->options, shape->options_size);
	return at + shape->options_size;
}

static int seal_eesp(struct hk_eesp *sa, const struct hk_eesp_shape *shape,
	const struct hk_eesp_numbers *numbers, __u8 next_header, const __u8 *payload, __u32 length, __u8 *out)
{
	struct hk_eesp_layout layout = {0};
	__u8 *at = put_options(sa, shape, out + HK_EESP_HEADER_SIZE);
	int tail;

	out[0] = HK_EESP_FIRST_BYTE;
	if (at - out - HK_EESP_HEADER_SIZE > 255)
		return -EMSGSIZE;
	out[1] = (__u8)(at - out - HK_EESP_HEADER_SIZE);
	hk_put16(out + 2, sa->name.session);
	hk_put32(out + 4, sa->name.spi);
	if (sa->name.sn) {
		hk_put64(at, numbers->sn);
		at += 8;
	}
	if (sa->name.iv) {
		hk_put64(at, numbers->iv);
		at += 8;
	}
	layout.iv = (__u32)(at - out) - 8;
	layout.text = (__u32)(at - out) + shape->crypt_offset * 4u;
	if (sa->name.transport) {
		hk_put16(at, 0);
		at[2] = next_header;
		at[3] = shape->padding_size;
		at += PAYLOAD_INFO;
	}
	memcpy(at, payload, length);
	at += length;
	if (sa->name.transport && shape->padding_size)
		memcpy(at, shape->padding, shape->padding_size);
	at += sa->name.transport ? shape->padding_size : 0;
	layout.aad_length = layout.text;
	layout.end = (__u32)(at - out);
	if (layout.text > layout.end)
		return -EINVAL;
	tail = protect(sa, out, &layout);
	return tail < 0 ? tail : (int)layout.end + tail;
}

static int seal_wesp(struct hk_eesp *sa, const struct hk_eesp_shape *shape,
	const struct hk_eesp_numbers *numbers, __u8 next_header, const __u8 *payload, __u32 length, __u8 *out)
{
	__u32 header = HK_WESP_HEADER_SIZE + (shape->pad ? 4 : 0), padded = hk_esp_padded(length, WESP_ALIGN);
	struct hk_eesp_layout layout = {.aad = header, .aad_length = HK_DKC_SIZE + HK_ESP_HEADER_SIZE};
	__u8 *at;
	int tail;

	memset(out, 0, header);
	out[1] = (__u8)(header + HK_DKC_SIZE);
	out[2] = HK_TAG_SIZE;
	out[3] = shape->pad ? 0x78 : 0x68;
	at = put_context(sa, out + header, true);
	hk_put32(at, sa->name.spi);
	hk_put32(at + 4, (__u32)numbers->sn);
	hk_put64(at + 8, numbers->iv);
	layout.iv = (__u32)(at + 8 - out);
	at += 16;
	layout.text = (__u32)(at - out);
	memcpy(at, payload, length);
	hk_esp_write_trailer(at, length, padded, next_header);
	layout.end = layout.text + padded;
	tail = protect(sa, out, &layout);
	return tail < 0 ? tail : (int)layout.end + tail;
}

unsigned hk_eesp_overhead(const struct hk_eesp_name *name, const struct hk_eesp_shape *shape)
{
	unsigned tail = HK_TAG_SIZE + (name->reader ? HK_DKC_READER_SIZE : 0);

	if (name->envelope == HK_ENVELOPE_WESP)
		return (shape->protocol == IPPROTO_UDP ? 4 : 0) + HK_WESP_HEADER_SIZE + (shape->pad ? 4 : 0) +
		       HK_DKC_SIZE + HK_ESP_HEADER_SIZE + HK_ESP_IV_SIZE + 3 + HK_ESP_TRAILER_SIZE + tail;
	return HK_EESP_HEADER_SIZE + (name->derived ? HK_DKC_SIZE : 0) +
	       (shape->offset_size ? 2u + shape->offset_size : 0) + shape->options_size + (name->sn ? 8 : 0) +
	       (name->iv ? 8 : 0) + tail;
}

/* The envelope, behind the marker that WESP has in UDP; `skip` bytes of the packet stay outside. */
static int build(struct hk_eesp *sa, const struct hk_eesp_shape *shape, const struct hk_eesp_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out)
{
	bool wesp = sa->name.envelope == HK_ENVELOPE_WESP;
	__u32 marker = wesp && shape->protocol == IPPROTO_UDP ? 4 : 0;
	int size;

	if (marker)
		hk_put32(out, HK_WESP_MARKER);
	size = (wesp ? seal_wesp : seal_eesp)(sa, shape, numbers, next_header, payload, length, out + marker);
	return size < 0 ? size : (int)marker + size;
}

int hk_eesp_envelope(struct hk_eesp *sa, const struct hk_eesp_shape *shape,
	const struct hk_eesp_numbers *numbers, const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	struct hk_inner_ip ip;

	if (sa->name.reader && !sa->tags)
		return -EPERM;
	if (sa->name.transport || hk_inner_ip_parse(inner, length, &ip))
		return -EINVAL;
	if (length > HK_EESP_PACKET_MAX || length + ENVELOPE_EXTRA > room)
		return -EMSGSIZE;
	return build(sa, shape, numbers, ip.version == 4 ? IPPROTO_IPIP : IPPROTO_IPV6, inner, length, out);
}

int hk_eesp_seal(struct hk_eesp *sa, const struct hk_eesp_shape *shape, const struct hk_eesp_numbers *numbers,
	const __u8 *inner, __u32 length, __u8 *out, __u32 room)
{
	__u8 envelope[HK_EESP_PACKET_MAX + ENVELOPE_EXTRA];
	struct hk_inner_ip ip;
	__u32 skip = 0;
	__u8 next_header;
	int size;

	if (sa->name.reader && !sa->tags)
		return -EPERM;
	if (length > HK_EESP_PACKET_MAX || hk_inner_ip_parse(inner, length, &ip) ||
		(sa->name.transport && !hk_inner_fits_transport(&ip, HK_ENVELOPE_ESP)))
		return -EINVAL;
	next_header = ip.version == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	if (sa->name.transport) {
		skip = ip.header_size;
		next_header = ip.protocol;
	}
	size = build(sa, shape, numbers, next_header, inner + skip, length - skip, envelope);
	if (size >= 0)
		size = hk_outer_build(sa->name.transport ? &ip.source : &shape->source,
			sa->name.transport ? &ip.destination : &shape->destination, shape->protocol,
			HK_UDP_PORT_ESP, HK_UDP_PORT_ESP, envelope, (__u32)size, out, room);
	if (size > 0 && sa->name.transport)
		hk_outer_keep_inner(out, inner);
	hk_wipe(envelope, sizeof(envelope));
	return size;
}
