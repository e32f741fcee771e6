// SPDX-License-Identifier: GPL-2.0-or-later
/* SAs of inline keying: parents from their secrets, children from a creation. See seal_inline.h. */
#include "user/endpoint/inline_sa.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

static const __u8 label[32] = "halfkey inline keying parent";

static struct hk_inline *make(
	struct hk_crypto *crypto, const struct hk_inline_name *name, const __u8 *enc, const __u8 *auth)
{
	struct hk_inline *sa = calloc(1, sizeof(*sa));

	if (!sa)
		return NULL;
	sa->name = *name;
	if (!sa->name.next_header)
		sa->name.next_header = HK_CREATION_NEXT;
	if (!sa->name.creations)
		sa->name.creations = HK_INLINE_CREATIONS;
	sa->crypto = crypto;
	hk_hmac_key_init(&sa->enc, enc, 32);
	hk_hmac_key_init(&sa->auth, auth, 32);
	hk_crypto_fingerprint(label, enc, 32, sa->fingerprint);
	return sa;
}

int hk_inline_parent(struct hk_inline **out, struct hk_crypto *crypto, const struct hk_inline_name *name,
	const struct hk_inline_keys *keys, struct hk_error *error)
{
	if (name->spi < HK_ESP_SPI_RESERVED)
		return hk_error_set(error, EINVAL, "SPI %u is reserved: use 256 or more", name->spi);
	if (hk_equal(keys->enc, keys->auth, 32))
		return hk_error_set(error, EINVAL,
			"SPI 0x%08x: both secrets are equal: whoever can open could forge", name->spi);
	*out = make(crypto, name, keys->enc, keys->auth);
	if (!*out)
		return hk_error_set(error, ENOMEM, "no memory for the parent 0x%08x", name->spi);
	(*out)->seals = true;
	return 0;
}

void hk_inline_free(struct hk_inline *sa)
{
	if (!sa)
		return;
	if (sa->kept)
		hk_windows_release(sa->windows, sa->kept);
	hk_sa_free(sa->sa);
	hk_wipe(sa, sizeof(*sa));
	free(sa);
}

__u32 hk_inline_spi(const struct hk_inline *sa)
{
	return sa->name.spi;
}

const __u8 *hk_inline_fingerprint(const struct hk_inline *sa)
{
	return sa->fingerprint;
}

void hk_inline_keep_window(struct hk_inline *parent, struct hk_windows *windows)
{
	parent->windows = windows;
}

int hk_inline_draw(struct hk_creation *creation)
{
	return RAND_bytes(creation->reply_nonce, HK_INLINE_NONCE) == 1 ? 0 : -EIO;
}

/* Both sides of a child, from both secrets of its parent. */
static int child_keys(struct hk_inline **out, const struct hk_inline *parent,
	const struct hk_creation *creation, const struct hk_address *receiver, struct hk_error *error)
{
	struct hk_inline_name name = parent->name;
	struct hk_sa_name sa_name = {.envelope = HK_ENVELOPE_ESP,
		.variant = HK_SUITE_GCM_SPLIT,
		.spi = creation->spi,
		.receiver = *receiver};
	struct hk_child_secrets enc, auth;
	__u8 header[HK_CREATION_MAX];
	__u32 size = hk_creation_write(creation, header);
	struct hk_sa_keys keys = {.key_size = 32};
	int status;

	name.spi = creation->spi;
	name.receiver = *receiver;
	hk_inline_child(parent->crypto, &parent->enc, HK_SIDE_ENC, header, size, &enc);
	hk_inline_child(parent->crypto, &parent->auth, HK_SIDE_AUTH, header, size, &auth);
	memcpy(keys.enc, enc.key, 32);
	memcpy(keys.auth, auth.key, 32);
	memcpy(keys.salt_enc, enc.salt, 4);
	memcpy(keys.salt_auth, auth.salt, 4);
	*out = make(parent->crypto, &name, enc.parent, auth.parent);
	status = *out ? hk_sa_from_keys(&(*out)->sa, &sa_name, &keys, error)
		      : hk_error_set(error, ENOMEM, "no memory for the child 0x%08x", creation->spi);
	hk_wipe(&keys, sizeof(keys));
	hk_wipe(&enc, sizeof(enc));
	hk_wipe(&auth, sizeof(auth));
	return status;
}

static int make_child(struct hk_inline **out, const struct hk_inline *parent,
	const struct hk_creation *creation, const struct hk_address *receiver, __u64 now_ns,
	struct hk_error *error)
{
	bool range = creation->scope == HK_SCOPE_RANGE;
	int status = child_keys(out, parent, creation, receiver, error);

	if (status) {
		hk_inline_free(*out);
		*out = NULL;
		return status;
	}
	(*out)->creation = *creation;
	(*out)->creation.size = range ? HK_CREATION_MAX : HK_CREATION_SIZE;
	/* what the creation was sent to is what answers on it */
	(*out)->low = range ? creation->low : parent->name.receiver;
	(*out)->high = range ? creation->high : parent->name.receiver;
	(*out)->born_ns = now_ns;
	return 0;
}

int hk_inline_expect(struct hk_inline **out, struct hk_inline *parent, const struct hk_creation *creation,
	const struct hk_address *receiver, __u64 now_ns, struct hk_error *error)
{
	int status;

	if (parent->created >= parent->name.creations)
		return hk_error_set(error, EDQUOT,
			"parent 0x%08x has created %u children, all it may: replace the parent SA",
			parent->name.spi, parent->created);
	status = make_child(out, parent, creation, receiver, now_ns, error);
	if (!status)
		parent->created++;
	return status;
}

static const char *why_not_installed(int status)
{
	switch (status) {
	case -EEXIST: return "its reply nonce was used before: not installed again";
	case -EDQUOT: return "its parent has created all it may: not installed; replace the parent SA";
	default: return "its reply nonce cannot be recorded: not installed";
	}
}

int hk_inline_install(struct hk_inline **out, const struct hk_inline *parent, struct hk_inline_seen *seen,
	const struct hk_creation *creation, const struct hk_address *receiver, __u64 now_ns,
	struct hk_error *error)
{
	int status = hk_inline_seen_take(seen, creation->reply_nonce, parent->name.creations);

	if (status)
		return hk_error_set(
			error, -status, "child 0x%08x: %s", creation->spi, why_not_installed(status));
	status = make_child(out, parent, creation, receiver, now_ns, error);
	if (!status)
		(*out)->seals = true;
	return status;
}

const struct hk_creation *hk_inline_creation(const struct hk_inline *sa)
{
	return sa->creation.size ? &sa->creation : NULL;
}

static bool lives(const struct hk_inline *sa, __u64 seconds, __u64 now_ns)
{
	return !sa->creation.size || now_ns - sa->born_ns < seconds * 1000000000ull;
}

bool hk_inline_seals_at(const struct hk_inline *sa, __u64 now_ns)
{
	return lives(sa, sa->creation.lifetime, now_ns);
}

bool hk_inline_opens_at(const struct hk_inline *sa, __u64 now_ns)
{
	return lives(sa, hk_child_honoured(sa->creation.lifetime), now_ns);
}
