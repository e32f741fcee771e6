// SPDX-License-Identifier: GPL-2.0-or-later
/* TSS at the end host: see tss.h. Layouts are user/crypto/tss.h's, ciphers protect.h's. */
#include "user/endpoint/tss.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/sa.h"

#define ENVELOPE_MAX 65536
#define EPOCH_KNOWN  0x10000u

/* One side's key, and what it last derived. */
struct side {
	struct hk_kdf_key master;
	__u8 key[32], mask[HK_TSS_IV];
};

struct hk_tss {
	struct hk_tss_setup setup;
	__u32 sdi;
	__u8 an;
	bool split;
	struct hk_crypto *crypto;
	struct side enc, auth;
	/* the context that `protection` is for */
	__u8 context[16 * HK_KDF_TSS_BLOCKS];
	unsigned context_size;
	bool ready;
	struct hk_protection protection;
	__u64 not_after; /* of its key; 0: no end */
	__u32 epoch;	 /* EPOCH_KNOWN | highest that verified; 0: none yet */
	__u8 envelope[ENVELOPE_MAX];
};

static bool direct(const struct hk_tss *tss)
{
	return tss->setup.options.mode == HK_TSS_DIRECT;
}

int hk_tss_new(struct hk_tss **out, const struct hk_tss_setup *setup, __u32 sdi, unsigned an,
	const __u8 enc[32], const __u8 *auth, struct hk_error *error)
{
	struct hk_tss *tss = calloc(1, sizeof(*tss));
	int status = 0;

	if (!tss)
		return hk_error_set(error, ENOMEM, "no memory for the keys of SDI %u", sdi);
	if (sdi > HK_TSS_SDI_MAX || an > 1)
		status = hk_error_set(error, EINVAL, "SDI %u, slot %u: an SDI is at most %u, a slot 0 or 1",
			sdi, an, HK_TSS_SDI_MAX);
	else if (auth && hk_equal(enc, auth, 32))
		status = hk_error_set(error, EPERM,
			"SDI %u: both sides have one key, so the box could forge: make new keys", sdi);
	tss->setup = *setup;
	tss->sdi = sdi;
	tss->an = (__u8)an;
	tss->split = auth;
	if (!status)
		tss->crypto = hk_crypto_new("libcrypto");
	if (!status && (!tss->crypto || hk_kdf_key_init(&tss->enc.master, enc) ||
			       (auth && hk_kdf_key_init(&tss->auth.master, auth))))
		status = hk_error_set(error, EIO, "the crypto library took no key for SDI %u", sdi);
	if (status)
		hk_tss_free(tss);
	else
		*out = tss;
	return status;
}

int hk_tss_from_keys(struct hk_tss **out, const struct hk_tss_setup *setup, __u32 sdi, unsigned an,
	const struct hk_host_keys *keys, const char *name, struct hk_error *error)
{
	const struct hk_master_wish wish = {.has_id = true, .has_slot = true, .id = sdi, .slot = (__u8)an};
	struct hk_master master;
	int status;

	master.refusal = HK_REFUSAL_NO_KEY;
	if (an > 1 || !hk_host_keys_master(keys, &wish, &master))
		return hk_error_set(error, ENOKEY, "%s: no key for SDI %u in slot %u: id=%u slot=%u: %s",
			name, sdi, an, sdi, an, hk_refusal_text(master.refusal));
	status = hk_tss_new(out, setup, sdi, an, master.enc, master.auth, error);
	if (!status)
		(*out)->not_after = master.not_after;
	return status;
}

__u64 hk_tss_not_after(const struct hk_tss *tss)
{
	return tss->not_after;
}

void hk_tss_free(struct hk_tss *tss)
{
	if (!tss)
		return;
	hk_protection_clear(&tss->protection);
	hk_crypto_free(tss->crypto);
	hk_wipe(tss, sizeof(*tss));
	free(tss);
}

/* --- nonce rules ------------------------------------------------------------------------------- */

/* Without SSI and IPv4 source the IV begins with the SDI, which all hosts share. */
static bool iv_is_shared(const struct hk_tss_options *options, bool v4)
{
	return !options->ssi && (!v4 || options->iv_sdi);
}

/* One key serves both directions, so the IV must tell them apart. */
static int may_serve(const struct hk_tss *tss, const struct hk_tss_shape *shape, struct hk_error *error)
{
	const struct hk_tss_options *options = &tss->setup.options;
	bool v4 = hk_address_is_v4(&shape->source);

	if (hk_tss_is_server(options, &shape->source) == hk_tss_is_server(options, &shape->destination))
		return hk_error_set(error, EPERM,
			"SDI %u: in mode server one end is a server and the other is not; see servers=",
			tss->sdi);
	if (iv_is_shared(options, v4))
		return hk_error_set(error, EPERM,
			"SDI %u: in mode server both directions have one key, and their IVs would begin with "
			"the "
			"same SDI: use iv-word=source over IPv4, or SSIs over IPv6",
			tss->sdi);
	if (options->ssi && (v4 || options->small_context))
		return hk_error_set(error, EPERM,
			"SDI %u: in mode server the SSI is the client's in both directions, so nonces would "
			"repeat: "
			"use ssi=no over IPv4, or context=large over IPv6",
			tss->sdi);
	return 0;
}

int hk_tss_may_send(const struct hk_tss *tss, const struct hk_tss_shape *shape, struct hk_error *error)
{
	const struct hk_tss_options *options = &tss->setup.options;
	bool v4 = hk_address_is_v4(&shape->source);

	if (v4 != hk_address_is_v4(&shape->destination))
		return hk_error_set(error, EINVAL, "source and destination are not of one IP version");
	switch (options->mode) {
	case HK_TSS_CLUSTER: return 0; /* every sender has a key of its own */
	case HK_TSS_SERVER: return may_serve(tss, shape, error);
	case HK_TSS_DIRECT: break;
	default: return hk_error_set(error, EINVAL, "SDI %u: no mode", tss->sdi);
	}
	if (iv_is_shared(options, v4) && !shape->sole_sender)
		return hk_error_set(error, EPERM,
			"SDI %u: in mode direct without SSI or IPv4 source all senders would have the same "
			"nonces: "
			"only one host may seal with this key, and must say so (--sole-sender)",
			tss->sdi);
	return 0;
}

/* --- keys -------------------------------------------------------------------------------------- */

static void derive_side(struct hk_tss *tss, struct side *side, const struct hk_tss_packet *packet)
{
	__u8 messages[HK_KDF_TSS_MESSAGES * HK_KDF_TSS_BLOCKS * 16], material[HK_KDF_TSS_MESSAGES * 16];
	unsigned blocks;

	if (direct(tss)) { /* the first two round keys are the key itself */
		memcpy(side->key, side->master.schedule, sizeof(side->key));
		return;
	}
	blocks = hk_kdf_tss_messages(messages, &side->master, packet);
	hk_crypto_cmac(tss->crypto, &side->master, HK_KDF_TSS_MESSAGES, blocks, messages, material);
	memcpy(side->key, material, sizeof(side->key));
	memcpy(side->mask, material + HK_KDF_TSS_MASK, sizeof(side->mask));
	hk_wipe(material, sizeof(material));
}

/* The keys of this packet; neighbours mostly share them. 0 or -EIO. */
static int need_keys(struct hk_tss *tss, const struct hk_tss_packet *packet)
{
	__u8 context[sizeof(tss->context)];
	unsigned size = direct(tss) ? 0 : hk_kdf_tss_message(context, packet, 1);

	if (tss->ready && size == tss->context_size && memcmp(context, tss->context, size) == 0)
		return 0;
	hk_protection_clear(&tss->protection);
	derive_side(tss, &tss->enc, packet);
	if (tss->split)
		derive_side(tss, &tss->auth, packet);
	memcpy(tss->context, context, size);
	tss->context_size = size;
	tss->ready = !hk_protection_init(&tss->protection, tss->split ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM, 32,
		tss->enc.key, tss->split ? tss->auth.key : NULL);
	return tss->ready ? 0 : -EIO;
}

/* What seal and open hand to protect.h; the storage that the job points into. */
struct work {
	struct hk_protect_job job;
	__u8 iv[16], nonce_auth[HK_TSS_IV], aad[HK_TSS_AAD_MAX];
};

static int prepare(struct hk_tss *tss, const struct hk_tss_packet *packet, const __u8 *entropy, __u8 *text,
	__u32 length, struct work *work)
{
	bool masked = !direct(tss);

	if (need_keys(tss, packet))
		return -EIO;
	memset(work, 0, sizeof(*work));
	hk_tss_iv(work->iv, packet, masked ? tss->enc.mask : NULL);
	hk_tss_iv(work->nonce_auth, packet, masked ? tss->auth.mask : NULL);
	work->iv[15] = 2; /* split: the first counter block */
	work->job = (struct hk_protect_job){.iv = work->iv,
		.nonce_auth = work->nonce_auth,
		.aad = work->aad,
		.aad_length = hk_tss_aad(work->aad, packet, entropy),
		.text = text,
		.length = length};
	return 0;
}

/* --- seal -------------------------------------------------------------------------------------- */

/* Entropy, if native, and the header; bytes written. */
static unsigned put_header(
	const struct hk_tss *tss, const struct hk_tss_shape *shape, __u16 epoch, __u64 counter, __u8 *out)
{
	bool ssi = tss->setup.options.ssi;
	__u8 *at = out;

	if (!shape->udp) {
		hk_put32(at, (__u32)shape->entropy << 16);
		at += HK_TSS_ENTROPY_SIZE;
	}
	hk_put32(at, (__u32)(HK_TSS_TYPE << 3 | (ssi ? HK_TSS_SP : 0) | tss->an) << 24 | tss->sdi);
	at += 4;
	if (ssi) {
		hk_put32(at, shape->ssi);
		at += HK_TSS_SSI_SIZE;
	}
	hk_put64(at, (__u64)epoch << HK_TSS_COUNTER_BITS | counter);
	return (unsigned)(at + HK_TSS_TSC_SIZE - out);
}

static struct hk_tss_packet packet_of(
	const struct hk_tss *tss, const struct hk_tss_shape *shape, const __u8 *header)
{
	return (struct hk_tss_packet){.options = &tss->setup.options,
		.source = &shape->source,
		.destination = &shape->destination,
		.header = header};
}

int hk_tss_seal(struct hk_tss *tss, const struct hk_tss_shape *shape, __u16 epoch, __u64 counter,
	const __u8 *payload, __u32 length, __u8 *out, __u32 room)
{
	struct hk_tss_packet packet;
	struct work work;
	unsigned size;
	int status = hk_tss_may_send(tss, shape, NULL);

	if (status)
		return status;
	if (counter >> HK_TSS_COUNTER_BITS)
		return -EINVAL;
	if (length > ENVELOPE_MAX - HK_TSS_OVERHEAD_MAX)
		return -EMSGSIZE;
	size = put_header(tss, shape, epoch, counter, tss->envelope);
	packet = packet_of(tss, shape, tss->envelope + (shape->udp ? 0 : HK_TSS_ENTROPY_SIZE));
	memcpy(tss->envelope + size, payload, length);
	if (prepare(tss, &packet, shape->udp ? NULL : tss->envelope, tss->envelope + size, length, &work) ||
		hk_protection_seal(&tss->protection, &work.job, tss->envelope + size + length))
		return -EIO;
	return hk_outer_build(&shape->source, &shape->destination,
		shape->udp ? IPPROTO_UDP : tss->setup.protocol, shape->entropy, HK_UDP_PORT_TSS,
		tss->envelope, size + length + HK_TSS_ICV_SIZE, out, room);
}

int hk_tss_nonces_open(struct hk_nonce_state **out, const struct hk_state_place *place,
	const struct hk_tss *tss, const struct hk_tss_shape *shape, __u16 epoch, struct hk_error *error)
{
	/* A public constant: the name must be the same in every process that holds the key. */
	static const __u8 label[32] = "halfkey TSS nonce state";
	__u8 header[HK_TSS_ENTROPY_SIZE + HK_TSS_HEADER_SIZE + HK_TSS_SSI_SIZE], fingerprint[8];
	__u8 stream[32 + HK_TSS_IV + 16 * HK_KDF_TSS_BLOCKS]; /* key, IV and context: all but the counter */
	struct hk_tss_packet packet;
	struct hk_nonce_series series = {.envelope = HK_ENVELOPE_TSS, .fingerprint = fingerprint};
	unsigned size = 32 + HK_TSS_IV;
	int status = hk_tss_may_send(tss, shape, error);

	if (status)
		return status;
	put_header(tss, shape, epoch, 0, header);
	packet = packet_of(tss, shape, header + (shape->udp ? 0 : HK_TSS_ENTROPY_SIZE));
	memcpy(stream, tss->enc.master.schedule, 32);
	hk_tss_iv(stream + 32, &packet, NULL);
	if (!direct(tss))
		size += hk_kdf_tss_message(stream + size, &packet, 1);
	hk_crypto_fingerprint(label, stream, size, fingerprint);
	hk_wipe(stream, sizeof(stream));
	series.spi = hk_get32(packet.header);
	series.iv_max = (1ull << HK_TSS_COUNTER_BITS) - 1;
	series.clock_shift = 14; /* 16 microseconds: 48 bits last until 2112 */
	return hk_nonce_state_open_at(out, place, &series, error);
}

/* --- open -------------------------------------------------------------------------------------- */

/* Whether it is a TSS packet: entropy first where there is no UDP. enum hk_refusal. */
static unsigned find_envelope(const struct hk_tss *tss, const struct hk_sealed *sealed)
{
	if (sealed->protocol == IPPROTO_UDP)
		return sealed->port == HK_UDP_PORT_TSS ? HK_REFUSAL_NONE : HK_REFUSAL_NOT_SEALED;
	return tss->setup.protocol && sealed->protocol == tss->setup.protocol ? HK_REFUSAL_NONE
									      : HK_REFUSAL_NOT_SEALED;
}

/* What can be told without keys. */
static unsigned check_header(const struct hk_tss *tss, const __u8 *header, __u32 length)
{
	__u8 type = header[0] >> 3;

	if (type >= HK_PDS_TYPE_FIRST && type <= HK_PDS_TYPE_LAST)
		return HK_REFUSAL_NOT_SEALED;
	if (type != HK_TSS_TYPE || (header[0] & HK_TSS_RESERVED) ||
		!(header[0] & HK_TSS_SP) == tss->setup.options.ssi)
		return HK_REFUSAL_TSS_HEADER;
	if (length < hk_tss_header_size(header) + HK_TSS_ICV_SIZE)
		return HK_REFUSAL_SHORT;
	if ((header[0] & HK_TSS_AN) != tss->an || hk_tss_sdi(header) != tss->sdi)
		return HK_REFUSAL_NO_KEY;
	if (tss->epoch && hk_tss_is_stale(hk_tss_epoch(header), (__u16)tss->epoch))
		return HK_REFUSAL_STALE_EPOCH;
	return HK_REFUSAL_NONE;
}

static void raise_epoch(struct hk_tss *tss, __u16 epoch)
{
	if (!tss->epoch || (__s16)(__u16)(epoch - (__u16)tss->epoch) > 0)
		tss->epoch = EPOCH_KNOWN | epoch;
}

unsigned hk_tss_open(
	struct hk_tss *tss, const __u8 *packet, __u32 length, __u8 *out, struct hk_tss_opened *opened)
{
	struct hk_sealed sealed;
	unsigned refusal = hk_sealed_outer(packet, length, &sealed);

	opened->length = 0;
	return refusal ? refusal : hk_tss_open_sealed(tss, &sealed, out, opened);
}

unsigned hk_tss_open_sealed(
	struct hk_tss *tss, const struct hk_sealed *sealed, __u8 *out, struct hk_tss_opened *opened)
{
	struct hk_tss_packet tss_packet = {.options = &tss->setup.options};
	unsigned refusal = find_envelope(tss, sealed);
	bool udp = sealed->protocol == IPPROTO_UDP;
	__u32 front = udp ? 0 : HK_TSS_ENTROPY_SIZE, size, length;
	const __u8 *header = sealed->data + front;
	struct work work;
	int status;

	opened->length = 0;
	if (!refusal && sealed->length < front + HK_TSS_HEADER_SIZE)
		return HK_REFUSAL_SHORT;
	if (!refusal)
		refusal = check_header(tss, header, sealed->length - front);
	if (refusal)
		return refusal;
	tss_packet.source = &sealed->source;
	tss_packet.destination = &sealed->destination;
	tss_packet.header = header;
	size = front + hk_tss_header_size(header);
	length = sealed->length - size - HK_TSS_ICV_SIZE;
	memcpy(out, sealed->data + size, length);
	if (prepare(tss, &tss_packet, udp ? NULL : sealed->data, out, length, &work))
		return HK_REFUSAL_CIPHER;
	status = hk_protection_open(&tss->protection, &work.job, sealed->data + size + length);
	if (status)
		return status == -EBADMSG ? HK_REFUSAL_BAD_ICV : HK_REFUSAL_CIPHER;
	opened->payload = out;
	opened->length = length;
	opened->epoch = hk_tss_epoch(header);
	opened->counter = hk_get64(header + hk_tss_header_size(header) - HK_TSS_TSC_SIZE) &
			  ((1ull << HK_TSS_COUNTER_BITS) - 1);
	raise_epoch(tss, opened->epoch);
	return HK_REFUSAL_NONE;
}
