// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receiving host of EESP and WESP: see seal_eesp.h. Everything read here is
 * an attacker's until the ICV is verified; only verified packets make windows
 * and move epochs.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/endpoint/eesp.h"
#include "user/endpoint/hostkeys.h"
#include "user/endpoint/windows.h"

#define PAYLOAD_INFO 4

/* A sub-SA or context that a verified packet came under. */
struct window {
	struct hk_eesp *sa;
	struct hk_window *kept;
};

struct hk_eesp_host {
	struct hk_eesp_policy policy;
	struct hk_crypto *crypto;
	__u8 enc[32], auth[32];
	unsigned count;
	struct window windows[HK_EESP_CONTEXTS];
};

static void copy_keys(struct hk_eesp_host *host, const struct hk_eesp_keys *keys)
{
	memcpy(host->enc, keys->enc, 32);
	if (keys->auth)
		memcpy(host->auth, keys->auth, 32);
}

struct hk_eesp_host *hk_eesp_host_new(const struct hk_eesp_policy *policy, const struct hk_eesp_keys *keys)
{
	struct hk_eesp_host *host;

	if (!policy->find && (!keys->enc || policy->split != (keys->auth != NULL))) {
		errno = EPERM;
		return NULL;
	}
	host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->policy = *policy;
	if (!policy->find)
		copy_keys(host, keys);
	host->crypto = hk_crypto_new("libcrypto");
	if (host->crypto && (policy->windows || !hk_windows_open(&host->policy.windows, NULL, "", NULL)))
		return host;
	hk_crypto_free(host->crypto);
	free(host);
	return NULL;
}

void hk_eesp_host_free(struct hk_eesp_host *host)
{
	unsigned i;

	if (!host)
		return;
	for (i = 0; i < host->count; i++)
		hk_eesp_free(host->windows[i].sa);
	hk_windows_close(host->policy.windows);
	hk_crypto_free(host->crypto);
	hk_wipe(host, sizeof(*host));
	free(host);
}

static void forget(struct hk_eesp_host *host, unsigned index)
{
	hk_eesp_free(host->windows[index].sa);
	host->windows[index] = host->windows[--host->count];
	memset(&host->windows[host->count], 0, sizeof(host->windows[0]));
}

/* Would the same packet still find the same keys? */
static bool still_known(const struct hk_eesp_host *host, const struct window *window)
{
	const struct hk_eesp *sa = window->sa;
	struct hk_eesp_keys keys = {0};
	struct hk_eesp *again = NULL;
	bool same = false;
	unsigned n;

	for (n = 0; !same && n < HK_HOST_GENERATIONS; n++) {
		if (host->policy.find(host->policy.context, &sa->name, &window->kept->sender, n, &keys) ||
			hk_eesp_new(&again, host->crypto, &sa->name, &keys, NULL))
			break;
		same = hk_equal(again->fingerprint, sa->fingerprint, sizeof(sa->fingerprint));
		hk_eesp_free(again);
	}
	return same;
}

void hk_eesp_host_rekey(struct hk_eesp_host *host)
{
	unsigned i;

	for (i = host->count; host->policy.find && i--;)
		if (!still_known(host, &host->windows[i])) {
			hk_windows_release(host->policy.windows, host->windows[i].kept);
			forget(host, i);
		}
}

/* A packet as far as it can be read without keys. */
struct reading {
	struct hk_eesp_name name;
	struct hk_eesp_layout layout;
	__u8 kcv[4];
	__u64 number; /* what the replay window counts */
};

static unsigned read_fields(struct hk_eesp_name *name, const __u8 *fields)
{
	bool wesp = name->envelope == HK_ENVELOPE_WESP;
	__u8 flags = fields[1];

	if (HK_DKC_KDF(fields) != HK_DKC_KDF108 ||
		HK_DKC_PROFILE(fields) != (wesp ? HK_DKC_PROFILE_WESP : HK_DKC_PROFILE_EESP) ||
		(flags & HK_DKC_RESERVED) || !(flags & (HK_DKC_SN | HK_DKC_IV)))
		return HK_REFUSAL_CONTEXT;
	if (wesp && ((flags & (HK_DKC_SN | HK_DKC_TUNNEL)) || !(flags & HK_DKC_IV)))
		return HK_REFUSAL_CONTEXT;
	name->derived = true;
	name->sn = flags & HK_DKC_SN;
	name->iv = flags & HK_DKC_IV;
	name->transport = !wesp && !(flags & HK_DKC_TUNNEL);
	name->split = flags & HK_DKC_SPLIT;
	name->reader = flags & HK_DKC_READER;
	name->slot = HK_DKC_SLOT(fields);
	return HK_REFUSAL_NONE;
}

static void read_ids(struct reading *reading, const __u8 *ids)
{
	reading->name.mkid = hk_get32(ids);
	reading->name.context = hk_get64(ids + 4);
	reading->name.epoch = hk_get32(ids + 12);
	memcpy(reading->kcv, ids + 16, 4);
}

static unsigned read_options(struct reading *reading, const __u8 *bytes, __u32 length, __u32 *offset)
{
	bool has_offset = false;
	__u32 at = 0, size;

	*offset = 0;
	while (at < length) {
		if (!bytes[at]) {
			at++;
			continue;
		}
		if (length - at < 2 || length - at - 2 < bytes[at + 1])
			return HK_REFUSAL_EESP_HEADER;
		size = bytes[at + 1];
		if (bytes[at] == 2 && (has_offset || (size != 2 && size != 4)))
			return HK_REFUSAL_EESP_HEADER;
		if (bytes[at] == 2) {
			has_offset = true;
			*offset = (bytes[at + 2] & 0x3f) * 4u;
		}
		if (bytes[at] == HK_DKC_OPTION && !at) {
			if (size != HK_DKC_SIZE - 2)
				return HK_REFUSAL_CONTEXT;
			if (read_fields(&reading->name, bytes + 2))
				return HK_REFUSAL_CONTEXT;
			read_ids(reading, bytes + 4);
		}
		at += 2 + size;
	}
	return HK_REFUSAL_NONE;
}

static unsigned read_eesp(
	const struct hk_eesp_policy *policy, const __u8 *data, __u32 length, struct reading *out)
{
	__u32 at, tail, offset;
	unsigned refusal;

	if (length < HK_EESP_HEADER_SIZE)
		return HK_REFUSAL_SHORT;
	if (data[0] != HK_EESP_FIRST_BYTE)
		return HK_REFUSAL_EESP_HEADER;
	at = HK_EESP_HEADER_SIZE + data[1];
	if (length < at)
		return HK_REFUSAL_SHORT;
	out->name.session = hk_get16(data + 2);
	out->name.spi = hk_get32(data + 4);
	out->name.sn = policy->sn;
	out->name.iv = policy->iv;
	out->name.split = policy->split;
	if (out->name.spi < HK_ESP_SPI_RESERVED)
		return HK_REFUSAL_SPI;
	refusal = read_options(out, data + HK_EESP_HEADER_SIZE, data[1], &offset);
	if (refusal)
		return refusal;
	tail = HK_TAG_SIZE + (out->name.reader ? HK_DKC_READER_SIZE : 0);
	at += (out->name.sn ? 8 : 0) + (out->name.iv ? 8 : 0);
	if (length < at + tail)
		return HK_REFUSAL_SHORT;
	if (offset > length - at - tail)
		return HK_REFUSAL_EESP_HEADER;
	out->layout = (struct hk_eesp_layout){
		.aad_length = at + offset, .iv = at - 8, .text = at + offset, .end = length - tail};
	out->number = hk_get64(data + at - (out->name.sn && out->name.iv ? 16 : 8));
	return HK_REFUSAL_NONE;
}

/* What the ICV does not cover must be exactly what it always is. */
static unsigned read_wesp(const __u8 *data, __u32 length, struct reading *out)
{
	static const __u8 zeros[4];
	__u32 context, at, tail;

	if (length < HK_WESP_HEADER_SIZE + 4)
		return HK_REFUSAL_SHORT;
	context = HK_WESP_HEADER_SIZE + (data[3] == 0x78 ? 4 : 0);
	if ((data[3] != 0x68 && data[3] != 0x78) || data[0] || data[1] != context + HK_DKC_SIZE ||
		data[2] != HK_TAG_SIZE || (data[3] == 0x78 && memcmp(data + 4, zeros, 4) != 0))
		return HK_REFUSAL_EESP_HEADER;
	at = context + HK_DKC_SIZE + HK_ESP_HEADER_SIZE + HK_ESP_IV_SIZE;
	if (length < at + HK_ESP_TRAILER_SIZE + HK_TAG_SIZE)
		return HK_REFUSAL_SHORT;
	if (memcmp(data + context + 2, zeros, 2) != 0 || read_fields(&out->name, data + context))
		return HK_REFUSAL_CONTEXT;
	read_ids(out, data + context + 4);
	tail = HK_TAG_SIZE + (out->name.reader ? HK_DKC_READER_SIZE : 0);
	if (length < at + HK_ESP_TRAILER_SIZE + tail)
		return HK_REFUSAL_SHORT;
	out->name.spi = hk_get32(data + context + HK_DKC_SIZE);
	if (out->name.spi < HK_ESP_SPI_RESERVED)
		return HK_REFUSAL_SPI;
	out->number = hk_get32(data + context + HK_DKC_SIZE + 4);
	out->layout = (struct hk_eesp_layout){.aad = context,
		.aad_length = HK_DKC_SIZE + HK_ESP_HEADER_SIZE,
		.iv = at - 8,
		.text = at,
		.end = length - tail};
	return HK_REFUSAL_NONE;
}

/* The one set of keys, if it is this packet's. */
static unsigned only_keys(const struct hk_eesp_host *host, const struct hk_eesp_name *name, unsigned nth,
	struct hk_eesp_keys *keys)
{
	const struct hk_eesp_policy *policy = &host->policy;

	if (nth)
		return HK_REFUSAL_NO_KEY;
	if (name->derived != policy->derived)
		return HK_REFUSAL_DOWNGRADE;
	*keys = (struct hk_eesp_keys){.enc = host->enc, .auth = policy->split ? host->auth : NULL};
	if (name->split != policy->split)
		return HK_REFUSAL_DOWNGRADE;
	return name->derived		  ? name->mkid != policy->mkid || name->slot != policy->slot
	       : name->spi != policy->spi ? HK_REFUSAL_NO_KEY
					  : HK_REFUSAL_NONE;
}

/* Under a split key nothing may come that one key alone protects, and the reverse. */
static unsigned find_keys(const struct hk_eesp_host *host, struct hk_eesp_name *name,
	const struct hk_address *sender, unsigned nth, struct hk_eesp_keys *keys)
{
	unsigned refusal = host->policy.find
				   ? host->policy.find(host->policy.context, name, sender, nth, keys)
				   : only_keys(host, name, nth, keys);

	if (!refusal && !name->derived)
		name->split = keys->auth; /* nothing on the wire says it */
	if (!refusal && name->split != (keys->auth != NULL))
		return HK_REFUSAL_DOWNGRADE;
	return !refusal && name->reader && !name->split ? HK_REFUSAL_CONTEXT : refusal;
}

static bool same_name(const struct hk_eesp_name *a, const struct hk_eesp_name *b)
{
	return a->spi == b->spi && a->session == b->session && a->derived == b->derived &&
	       (!a->derived || a->split == b->split) && a->context == b->context && a->epoch == b->epoch &&
	       a->mkid == b->mkid && a->slot == b->slot && a->sn == b->sn && a->iv == b->iv &&
	       a->reader == b->reader && a->transport == b->transport;
}

static unsigned verify(struct hk_eesp *sa, __u8 *packet, const struct hk_eesp_layout *layout)
{
	struct hk_eesp_nonces nonces;
	struct hk_protect_job job;
	__u8 tag[HK_TAG_SIZE];
	int status;

	hk_eesp_job(sa, packet, layout, &nonces, &job);
	if (!sa->name.reader) {
		status = hk_protection_open(&sa->protection, &job, packet + layout->end);
	} else {
		job.length += HK_DKC_READER_SIZE;
		status =
			hk_protection_check(&sa->protection, &job, packet + layout->end + HK_DKC_READER_SIZE);
		job.length -= HK_DKC_READER_SIZE;
		if (!status) /* the key stream again, in the other direction */
			status = hk_protection_seal(&sa->protection, &job, tag);
	}
	return status == -EBADMSG ? HK_REFUSAL_BAD_ICV : status ? HK_REFUSAL_CIPHER : HK_REFUSAL_NONE;
}

static unsigned read_full(__u8 *data, __u32 length, struct hk_payload *payload)
{
	if (length < PAYLOAD_INFO || data[0] >> 4 || data[3] > length - PAYLOAD_INFO)
		return HK_REFUSAL_PADDING;
	payload->data = data + PAYLOAD_INFO;
	payload->length = length - PAYLOAD_INFO - data[3];
	payload->next_header = data[2];
	return HK_REFUSAL_NONE;
}

static unsigned read_payload(const struct hk_eesp_name *name, __u8 *packet,
	const struct hk_eesp_layout *layout, struct hk_payload *payload)
{
	__u8 *data = packet + layout->iv + 8;
	__u32 length = layout->end - layout->iv - 8;

	if (name->envelope == HK_ENVELOPE_WESP)
		return hk_esp_read_trailer(data, length, payload);
	if (name->derived ? name->transport : length && !(data[0] >> 4))
		return read_full(data, length, payload);
	payload->data = data;
	payload->length = length;
	payload->next_header = length && data[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	return HK_REFUSAL_NONE;
}

/* Sub-SAs have no epochs, so each is a family of its own. */
static void name_window(const struct hk_eesp *sa, __u8 id[8], __u8 family[8])
{
	static const __u8 label[32] = "halfkey replay window", of_epochs[32] = "halfkey epochs of a context";
	const struct hk_eesp_name *name = &sa->name;
	__u8 bytes[40] = {0};

	memcpy(bytes, sa->fingerprint, 8);
	hk_put64(bytes + 8, name->context);
	hk_put32(bytes + 16, name->mkid);
	hk_put32(bytes + 20, name->epoch);
	hk_put32(bytes + 24, name->spi);
	hk_put16(bytes + 28, name->session);
	bytes[30] = name->slot;
	bytes[31] = (__u8)(name->derived | name->split << 1 | name->sn << 2 | name->iv << 3 |
			   name->reader << 4 | name->transport << 5);
	bytes[32] = name->envelope;
	hk_crypto_fingerprint(label, bytes, sizeof(bytes), id);
	if (name->derived)
		hk_crypto_fingerprint(of_epochs, bytes + 8, 12, family);
	else
		memcpy(family, id, 8);
}

/* Windows of epochs that this one ends. */
static void forget_older(struct hk_eesp_host *host, const struct hk_eesp_name *name)
{
	const struct hk_eesp_name *other;
	unsigned i;

	for (i = host->count; name->derived && i--;) {
		other = &host->windows[i].sa->name;
		if (other->context == name->context && other->mkid == name->mkid &&
			other->epoch < name->epoch)
			forget(host, i);
	}
}

/* The first packet under these keys. A sender that restarted since: its earlier epochs are over. */
static unsigned make_window(
	struct hk_eesp_host *host, struct hk_eesp *sa, const struct hk_address *sender, struct window **out)
{
	struct hk_windows *windows = host->policy.windows;
	__u8 id[8], family[8];
	struct hk_window *kept;

	name_window(sa, id, family);
	if (!hk_windows_is_latest(windows, family, sa->name.epoch))
		return HK_REFUSAL_REPLAY;
	forget_older(host, &sa->name);
	hk_windows_end_before(windows, family, sa->name.epoch);
	kept = host->count < HK_EESP_CONTEXTS ? hk_windows_claim(windows, id, sender) : NULL;
	if (!kept)
		return HK_REFUSAL_SPI_FULL;
	kept->epoch = sa->name.epoch;
	memcpy(kept->family, family, sizeof(kept->family));
	*out = &host->windows[host->count++];
	**out = (struct window){.sa = sa, .kept = kept};
	return HK_REFUSAL_NONE;
}

static unsigned take_number(struct hk_eesp_host *host, struct window *window, struct hk_eesp *sa,
	const struct reading *reading, const struct hk_address *sender)
{
	unsigned refusal = window ? HK_REFUSAL_NONE : make_window(host, sa, sender, &window);

	if (refusal)
		return refusal;
	if (memcmp(&window->kept->sender, sender, sizeof(*sender)) != 0)
		return HK_REFUSAL_OTHER_SENDER;
	if (!hk_replay_fresh(&window->kept->replay, reading->number))
		return HK_REFUSAL_REPLAY;
	hk_replay_take(&window->kept->replay, reading->number);
	return HK_REFUSAL_NONE;
}

static unsigned open_with(struct hk_eesp_host *host, struct hk_eesp *sa, struct window *window,
	const struct reading *reading, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct hk_payload payload = {0};
	unsigned refusal;

	if (sa->name.derived && !hk_equal(sa->kcv, reading->kcv, 4))
		return HK_REFUSAL_KCV;
	memcpy(out, sealed->data, sealed->length);
	refusal = verify(sa, out, &reading->layout);
	if (!refusal)
		refusal = take_number(host, window, sa, reading, &sealed->source);
	if (!refusal)
		refusal = read_payload(&sa->name, out, &reading->layout, &payload);
	if (!refusal)
		refusal = hk_payload_deliver(sealed, &payload, opened);
	if (refusal)
		hk_wipe(out, sealed->length);
	return refusal;
}

static bool is_other_key(unsigned refusal)
{
	return refusal == HK_REFUSAL_BAD_ICV || refusal == HK_REFUSAL_KCV;
}

/* What came under this name before is tried first. NO_KEY: nothing did. */
static unsigned open_as_before(struct hk_eesp_host *host, const struct reading *reading,
	const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	unsigned refusal = HK_REFUSAL_NO_KEY, i;

	for (i = 0; i < host->count; i++) {
		if (!same_name(&host->windows[i].sa->name, &reading->name))
			continue;
		refusal =
			open_with(host, host->windows[i].sa, &host->windows[i], reading, sealed, out, opened);
		if (!is_other_key(refusal))
			return refusal;
	}
	return refusal;
}

static bool was_tried(const struct hk_eesp_host *host, const struct hk_eesp *sa)
{
	unsigned i;

	for (i = 0; i < host->count; i++)
		if (same_name(&host->windows[i].sa->name, &sa->name) &&
			hk_equal(host->windows[i].sa->fingerprint, sa->fingerprint, sizeof(sa->fingerprint)))
			return true;
	return false;
}

/* Frees `sa` unless the packet made it a window. */
static unsigned open_first(struct hk_eesp_host *host, struct hk_eesp *sa, const struct reading *reading,
	const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	unsigned refusal = open_with(host, sa, NULL, reading, sealed, out, opened);

	if (!host->count || host->windows[host->count - 1].sa != sa)
		hk_eesp_free(sa);
	return refusal;
}

/*
 * With each generation of the key that nothing came under yet: check value and ICV
 * decide. `refusal` is of those that were tried.
 */
static unsigned open_unknown(struct hk_eesp_host *host, const struct reading *reading, unsigned refusal,
	const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened)
{
	struct reading as = *reading;
	struct hk_eesp_keys keys = {0};
	struct hk_eesp *sa = NULL;
	unsigned n, now;

	for (n = 0; n < HK_HOST_GENERATIONS; n++) {
		as.name = reading->name;
		now = find_keys(host, &as.name, &sealed->source, n, &keys);
		if (!now && hk_eesp_new(&sa, host->crypto, &as.name, &keys, NULL))
			now = HK_REFUSAL_CIPHER;
		if (now)
			return refusal == HK_REFUSAL_NO_KEY ? now : refusal;
		if (was_tried(host, sa)) {
			hk_eesp_free(sa);
			continue;
		}
		refusal = open_first(host, sa, &as, sealed, out, opened);
		if (!is_other_key(refusal))
			break;
	}
	return refusal;
}

/* From what IP or UDP carries to the envelope. */
static unsigned find_envelope(const struct hk_eesp_policy *policy, struct hk_sealed *sealed)
{
	bool wesp = policy->envelope == HK_ENVELOPE_WESP;

	if (sealed->protocol != IPPROTO_UDP)
		return sealed->protocol && sealed->protocol == (wesp ? HK_WESP_PROTOCOL : policy->protocol)
			       ? HK_REFUSAL_NONE
			       : HK_REFUSAL_NOT_SEALED;
	if (sealed->port != HK_UDP_PORT_ESP)
		return HK_REFUSAL_NOT_SEALED;
	if (!wesp)
		return sealed->length > 1 && sealed->data[0] & 0x80 ? HK_REFUSAL_NONE : HK_REFUSAL_NOT_SEALED;
	if (sealed->length < 4 || hk_get32(sealed->data) != HK_WESP_MARKER)
		return HK_REFUSAL_NOT_SEALED;
	sealed->data += 4;
	sealed->length -= 4;
	return HK_REFUSAL_NONE;
}

unsigned hk_eesp_host_open(
	struct hk_eesp_host *host, const struct hk_sealed *outer, __u8 *out, struct hk_opened *opened)
{
	struct reading reading = {.name.envelope = host->policy.envelope};
	struct hk_sealed sealed = *outer;
	unsigned refusal = find_envelope(&host->policy, &sealed);

	if (!refusal && memcmp(&sealed.destination, &host->policy.local, sizeof(sealed.destination)) != 0)
		refusal = HK_REFUSAL_NOT_OURS;
	if (refusal)
		return refusal;
	sealed.envelope = host->policy.envelope;
	if (sealed.envelope == HK_ENVELOPE_WESP)
		refusal = read_wesp(sealed.data, sealed.length, &reading);
	else
		refusal = read_eesp(&host->policy, sealed.data, sealed.length, &reading);
	if (refusal)
		return refusal;
	out += HK_OPEN_ROOM(0) - 16; /* 48 bytes in front: a rebuilt IP header */
	refusal = open_as_before(host, &reading, &sealed, out, opened);
	if (refusal == HK_REFUSAL_NO_KEY || is_other_key(refusal))
		refusal = open_unknown(host, &reading, refusal, &sealed, out, opened);
	return refusal;
}
