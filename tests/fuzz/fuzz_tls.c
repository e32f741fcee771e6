// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the TLS opener with its streams and hellos, from any series
 * of segments. The cipher is a stand-in that copies and takes every third tag,
 * so that guessing, losing and finding again are all met.
 *
 *   input: ( where, place16, size, bytes ) ...     where: 1 server, 2 SYN, 4 RST, place: from `next`
 *
 * SOURCES: user/envelope/tls.c user/envelope/tls_keys.c user/envelope/streams.c
 * SOURCES: user/envelope/hello.c user/base/hash.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/envelope/hello.h"
#include "user/envelope/openers.h"
#include "user/envelope/streams.h"
#include "user/keys/connections.h"

#define HEADERS 34
#define TCP	20
#define PLAIN	(1u << 20)
#define POOL	(160u << 10) /* two windows, so that they give way to each other */

static const struct hk_tls_secret secret = {.key_size = 16};
static const struct hk_tls_secret tuple_secret = {.key_size = 16, .is_tuple = true};

__u64 hk_keyring_serial(const struct hk_keyring *keyring)
{
	(void)keyring;
	return 1;
}

bool hk_keyring_tls_tuple(
	const struct hk_keyring *keyring, const struct hk_tls_tuple *tuple, struct hk_tls_choice *out)
{
	(void)keyring;
	*out = (struct hk_tls_choice){.secret = &tuple_secret, .id = 1};
	return tuple->client_port & 1;
}

bool hk_keyring_tls_random(const struct hk_keyring *keyring, __u16 domain, const __u8 client_random[32],
	struct hk_tls_choice *out)
{
	(void)keyring;
	(void)domain;
	*out = (struct hk_tls_choice){.secret = &secret, .id = 2};
	return client_random[0] & 1;
}

bool hk_keyring_tls_holds(const struct hk_keyring *keyring, __u32 place, __u64 id)
{
	(void)keyring;
	return place == 0 && id % 3;
}

void hk_crypto_tls_prf(bool sha384, const __u8 *key, size_t key_size, const char *label, const __u8 *seed,
	size_t seed_size, __u8 *out, size_t size)
{
	(void)key;
	(void)label;
	memset(out, seed[seed_size - 1] + (int)key_size + sha384, size);
}

unsigned hk_keyring_choose(
	const struct hk_keyring *keyring, const struct hk_key_request *request, struct hk_key_choice *out)
{
	(void)keyring;
	(void)request;
	(void)out;
	return HK_REASON_NO_KEY;
}

bool hk_keyring_only_masters(const struct hk_keyring *keyring)
{
	return !keyring;
}

void hk_crypto_gcm_open(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count)
{
	(void)crypto;
	for (; count; count--, jobs++) {
		memcpy(jobs->out, jobs->in, jobs->length);
		jobs->verified = (jobs->tag[0] + jobs->tag[15]) % 3 != 1;
	}
}

#ifndef WRITE_SEEDS
/* Whatever the hello was, its name is one. */
static void check_name(const struct hk_opening *opening, unsigned where)
{
	struct hk_tls_tuple tuple = {.client = where & 1 ? opening->outer_dst : opening->outer_src,
		.server = where & 1 ? opening->outer_src : opening->outer_dst,
		.client_port = (uint16_t)(4 << 8 | where >> 7),
		.server_port = 443};
	struct hk_hello hello;
	unsigned i;

	if (!hk_hello_get(&tuple, &hello))
		return;
	for (i = 0; i < hello.server_name_length; i++)
		demand(hello.server_name[i] > ' ' && hello.server_name[i] <= '~', "no name");
}

static void run(
	struct hk_streams *streams, const uint8_t *data, size_t length, unsigned where, uint32_t sequence)
{
	struct hk_domain_config domain = {.envelope = HK_ENVELOPE_TLS, .tls = {.ports = {443}}};
	struct hk_meta meta = {.l3_offset = 14,
		.envelope_offset = HEADERS,
		.payload_offset = HEADERS + TCP,
		.end_offset = (uint16_t)(HEADERS + TCP + length)};
	uint8_t *frame = calloc(1, HEADERS + TCP + length), *tcp = frame + HEADERS;
	static uint64_t now_ns;
	struct hk_opening opening = {.meta = &meta,
		.now_ns = &now_ns,
		.domain = &domain,
		.frame = frame,
		.streams = streams,
		.frame_length = meta.end_offset};
	uint8_t client[2] = {4, (uint8_t)(where >> 7)}, server[2] = {443 >> 8, 443 & 0xff};
	unsigned reason;

	memcpy(tcp, where & 1 ? server : client, 2);
	memcpy(tcp + 2, where & 1 ? client : server, 2);
	tcp[4] = (uint8_t)(sequence >> 24), tcp[5] = (uint8_t)(sequence >> 16);
	tcp[6] = (uint8_t)(sequence >> 8), tcp[7] = (uint8_t)sequence;
	tcp[12] = 0x50;
	tcp[13] = (uint8_t)(where & 6);
	memcpy(tcp + TCP, data, length);
	opening.outer_src.bytes[15] = where & 1;
	opening.outer_dst.bytes[15] = !(where & 1);
	reason = hk_tls_ops.plan(&opening, (const struct hk_keyring *)streams);
	demand(reason == HK_REASON_OK, "plan refuses");
	hk_tls_ops.cipher(&opening);
	reason = hk_tls_ops.rebuild(&opening);
	demand(reason == HK_REASON_OK || reason == HK_REASON_NO_KEY || reason == HK_REASON_BAD_ICV ||
			reason == HK_REASON_FLOW_DROP || (reason >= HK_REASON_TLS_TCP && reason < 176),
		"a reason of somebody else");
	if (reason == HK_REASON_OK) {
		demand(opening.auth == HK_AUTH_VERIFIED && opening.not_ip, "wrong mark");
		demand(opening.inner_length < 65536, "more than a record of the feeds holds");
		demand(opening.has_record, "a nonce that nobody watches");
	}
	check_name(&opening, where);
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *plain;
	static uint64_t evicted;
	uint32_t next[4] = {1000, 2000, 0xfffffff0u, 4000};
	struct hk_streams *streams;
	size_t length;
	unsigned side;

	if (!plain)
		plain = malloc(PLAIN);
	streams = hk_streams_new(POOL, plain, PLAIN, &evicted);
	for (; size >= 4; data += 4 + length, size -= 4 + length) {
		length = data[3] < size - 4 ? data[3] : size - 4;
		side = (data[0] & 1) | (data[0] >> 7) << 1;
		hk_streams_begin(streams);
		run(streams, data + 4, length, data[0],
			next[side] + (uint32_t)(int16_t)(data[1] << 8 | data[2]));
		if (!data[1] && !data[2])
			next[side] += (uint32_t)length + (data[0] & 2 ? 1 : 0);
	}
	hk_streams_free(streams);
	return 0;
}
#else
static void put(FILE *file, int where, int place, const uint8_t *bytes, size_t size)
{
	fputc(where, file);
	fputc(place >> 8 & 0xff, file);
	fputc(place & 0xff, file);
	fputc((int)size, file);
	fwrite(bytes, 1, size, file);
}

int main(int argc, char **argv)
{
	static const uint8_t client[100] = {22, 3, 1, 0, 95, 1, 0, 0, 91, 3, 3, 1, [44] = 0, 2, 0xc0, 0x2f, 1,
		0, 0, 14, 0, 0, 0, 10, 0, 8, 0, 0, 5, 'w', '.', 'x', '.', 'y'};
	static const uint8_t server[100] = {22, 3, 3, 0, 95, 2, 0, 0, 91, 3, 3, 7, [43] = 0, 0xc0, 0x2f};
	static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1};
	static const uint8_t record[45] = {23, 3, 3, 0, 40};
	unsigned kind;
	char path[512];
	FILE *file;

	for (kind = 0; argc > 1 && kind < 8; kind++) {
		snprintf(path, sizeof(path), "%s/talk-%u", argv[1], kind);
		file = fopen(path, "wb");
		if (!file)
			return 1;
		put(file, 2, 0, NULL, 0);
		put(file, 3, 0, NULL, 0);
		put(file, 0, 0, client, sizeof(client));
		put(file, 1, 0, server, sizeof(server));
		put(file, 0, 0, ccs, sizeof(ccs));
		put(file, 0, kind & 1 ? 45 : 0, record, kind & 2 ? 20 : 45);
		put(file, 0, 0, record, sizeof(record));
		put(file, kind & 4 ? 0x80 : 1, 0, record, sizeof(record));
		if (fclose(file))
			return 1;
	}
	return 0;
}
#endif
