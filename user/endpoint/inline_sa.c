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
	hk_sa_free(sa->sa);
	hk_wipe(sa, sizeof(*sa));
	free(sa);
}

int hk_inline_draw(struct hk_creation *creation)
{
	return RAND_bytes(creation->reply_nonce, HK_INLINE_NONCE) == 1 ? 0 : -EIO;
}

/* Both sides of a child, from both secrets of its parent. */
static int make_child(struct hk_inline **out, const struct hk_inline *parent,
	const struct hk_creation *creation, const struct hk_address *receiver, struct hk_error *error)
{
	struct hk_inline_name name = {
		.spi = creation->spi, .receiver = *receiver, .next_header = parent->name.next_header};
	struct hk_sa_name sa_name = {.envelope = HK_ENVELOPE_ESP,
		.variant = HK_SUITE_GCM_SPLIT,
		.spi = creation->spi,
		.receiver = *receiver};
	struct hk_child_secrets enc, auth;
	__u8 header[HK_CREATION_MAX];
	__u32 size = hk_creation_write(creation, header);
	struct hk_sa_keys keys = {.key_size = 32};
	int status;

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
	if (!status)
		return 0;
	hk_inline_free(*out);
	*out = NULL;
	return status;
}

int hk_inline_expect(struct hk_inline **out, const struct hk_inline *parent,
	const struct hk_creation *creation, const struct hk_address *receiver, struct hk_error *error)
{
	return make_child(out, parent, creation, receiver, error);
}

int hk_inline_install(struct hk_inline **out, const struct hk_inline *parent, struct hk_inline_seen *seen,
	const struct hk_creation *creation, const struct hk_address *receiver, struct hk_error *error)
{
	int status = hk_inline_seen_take(seen, creation->reply_nonce);

	if (status)
		return hk_error_set(error, -status, "child 0x%08x: %s", creation->spi,
			status == -EEXIST ? "its reply nonce was used before: not installed again"
					  : "its reply nonce cannot be recorded: not installed");
	status = make_child(out, parent, creation, receiver, error);
	if (!status)
		(*out)->seals = true;
	return status;
}
