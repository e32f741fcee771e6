// SPDX-License-Identifier: GPL-2.0-or-later
/* A stream's keys, by its two ends or by what the hellos said: see tls_keys.h. */
#include "user/envelope/tls_keys.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/envelope/hello.h"
#include "user/keys/connections.h"

#define HELLO_TRIES 16 /* records of a direction, for the hellos to be seen by another worker */
#define TLS_12	    0x0303

struct hk_tls_tuple hk_tls_tuple_of(const struct hk_stream *stream)
{
	const struct hk_stream_name *name = &stream->name;
	struct hk_tls_tuple tuple = {.domain = name->domain};

	tuple.client = stream->server ? name->dst : name->src;
	tuple.server = stream->server ? name->src : name->dst;
	tuple.client_port = stream->server ? name->dst_port : name->src_port;
	tuple.server_port = stream->server ? name->src_port : name->dst_port;
	return tuple;
}

/* TLS_*_WITH_AES_{128,256}_GCM_*: RFC 5288, 5289, 5487. 0: another suite. */
static unsigned suite_key_size(unsigned suite)
{
	if (suite >= 0x009c && suite <= 0x00ad)
		return suite & 1 ? 32 : 16;
	if (suite >= 0xc02b && suite <= 0xc032)
		return suite & 1 ? 16 : 32;
	return 0;
}

static void use_keys(struct hk_stream *stream, const __u8 *key, unsigned size, const __u8 *iv,
	const struct hk_tls_choice *choice)
{
	memcpy(stream->key, key, size);
	memcpy(stream->iv, iv, sizeof(stream->iv));
	stream->key_size = (__u8)size;
	stream->key_id = choice->id;
	stream->key_place = choice->place;
	stream->by_tuple = choice->secret->is_tuple;
	stream->keyed = true;
	stream->proven = stream->stale = false;
}

/* RFC 5246 6.3: client key | server key | client IV | server IV */
static void derive_keys(struct hk_stream *stream, const struct hk_hello *hello,
	const struct hk_tls_choice *choice, unsigned size)
{
	__u8 seed[64], block[2 * 32 + 2 * 4];

	memcpy(seed, hello->server_random, 32);
	memcpy(seed + 32, hello->client_random, 32);
	hk_crypto_tls_prf(size == 32, choice->secret->master, HK_TLS_MASTER_SIZE, "key expansion", seed,
		sizeof(seed), block, 2 * size + 8);
	use_keys(stream, block + (stream->server ? size : 0), size,
		block + 2 * size + (stream->server ? 4 : 0), choice);
	hk_wipe(block, sizeof(block));
}

/* Whether the box can open what the hellos agreed on; else the stream is ignored from now on. */
static unsigned check_hello(struct hk_stream *stream, const struct hk_hello *hello)
{
	unsigned size = suite_key_size(hello->suite);

	if (hello->version != TLS_12)
		stream->ignored = HK_REASON_TLS_VERSION;
	else if (!size)
		stream->ignored = HK_REASON_TLS_CIPHER;
	return stream->ignored ? 0 : size;
}

void hk_tls_find_by_hello(struct hk_stream *stream, const struct hk_keyring *keyring)
{
	struct hk_tls_tuple tuple = hk_tls_tuple_of(stream);
	struct hk_tls_choice choice;
	struct hk_hello hello;
	unsigned size;

	if (!hk_hello_get(&tuple, &hello) || !hello.has_server) {
		if (stream->sequence < HELLO_TRIES)
			stream->serial = 0;
		return;
	}
	size = check_hello(stream, &hello);
	if (size && hello.has_client &&
		hk_keyring_tls_random(keyring, tuple.domain, hello.client_random, &choice))
		derive_keys(stream, &hello, &choice, size);
}

void hk_tls_find_keys(struct hk_stream *stream, const struct hk_keyring *keyring)
{
	struct hk_tls_tuple tuple = hk_tls_tuple_of(stream);
	const struct hk_tls_secret *secret;
	struct hk_tls_choice choice;

	if (stream->keyed && hk_keyring_tls_holds(keyring, stream->key_place, stream->key_id)) {
		stream->serial = hk_keyring_serial(keyring);
		return;
	}
	stream->stale |= stream->keyed;
	hk_stream_unkey(stream);
	stream->serial = hk_keyring_serial(keyring);
	if (stream->rekeyed)
		return;
	if (!hk_keyring_tls_tuple(keyring, &tuple, &choice)) {
		hk_tls_find_by_hello(stream, keyring);
		return;
	}
	secret = choice.secret;
	use_keys(
		stream, secret->keys[stream->server], secret->key_size, secret->ivs[stream->server], &choice);
}
