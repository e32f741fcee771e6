/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real TLS connections for tests: OpenSSL talks to itself through memory, and
 * what went over the wire is cut into TCP segments, whose order the test has in hand.
 */
#ifndef TESTS_UNIT_TLS_HELP_H
#define TESTS_UNIT_TLS_HELP_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tests/unit/box_help.h"

#define TALK_PORT     8443
#define TALK_SEGMENTS 4096
#define TALK_DATA     (1u << 20)

struct segment_of {
	bool server; /* the server sends */
	__u32 sequence, length;
	__u16 port; /* the client's; 0: 40000 */
	__u8 flags;
	__u8 bytes[1400];
};

struct talk {
	SSL_CTX *client_context, *server_context;
	SSL *client, *server;
	char log[1024];
	struct segment_of segments[TALK_SEGMENTS];
	unsigned count;
	__u32 next[2];
	__u8 data[2][TALK_DATA]; /* what was said, by who said it: client, server */
	__u32 data_length[2];
	__u64 seed;
};

static inline void talk_keylog(const SSL *ssl, const char *line)
{
	struct talk *talk = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	strcat(talk->log, line);
	strcat(talk->log, "\n");
}

static inline void talk_segment(struct talk *talk, bool server, const __u8 *bytes, __u32 length, __u8 flags)
{
	struct segment_of *segment = &talk->segments[talk->count++];

	CU_ASSERT_FATAL(talk->count < TALK_SEGMENTS);
	*segment = (struct segment_of){.server = server, .sequence = talk->next[server], .length = length};
	segment->flags = flags;
	if (length)
		memcpy(segment->bytes, bytes, length);
	talk->next[server] += length + (flags & 2 ? 1 : 0);
}

/* What one side has to say, cut at seeded places. */
static inline bool talk_flush(struct talk *talk, bool server)
{
	BIO *out = SSL_get_wbio(server ? talk->server : talk->client);
	BIO *in = SSL_get_rbio(server ? talk->client : talk->server);
	__u8 bytes[1400];
	bool any = false;
	int size;

	while ((size = BIO_read(out, bytes, (int)(1 + random_next(&talk->seed) % 1400))) > 0) {
		BIO_write(in, bytes, size);
		talk_segment(talk, server, bytes, (__u32)size, 0x18);
		any = true;
	}
	return any;
}

static inline void talk_certificate(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_sign(certificate, key, EVP_sha256());
	CU_ASSERT_FATAL(SSL_CTX_use_certificate(context, certificate) == 1);
	CU_ASSERT_FATAL(SSL_CTX_use_PrivateKey(context, key) == 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* SYNs and handshake. `suite` NULL: TLS 1.3. */
static inline void talk_start(struct talk *talk, const char *suite, __u64 seed)
{
	int version = suite ? TLS1_2_VERSION : TLS1_3_VERSION, tries;

	memset(talk, 0, sizeof(*talk));
	talk->seed = seed;
	talk->next[0] = 0xfffff000u; /* sequence numbers wrap on the way */
	talk->next[1] = 0x7ffff000u;
	talk->client_context = SSL_CTX_new(TLS_client_method());
	talk->server_context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_app_data(talk->client_context, talk);
	SSL_CTX_set_keylog_callback(talk->client_context, talk_keylog);
	talk_certificate(talk->server_context);
	SSL_CTX_set_min_proto_version(talk->client_context, version);
	SSL_CTX_set_max_proto_version(talk->client_context, version);
	if (suite)
		CU_ASSERT_FATAL(SSL_CTX_set_cipher_list(talk->client_context, suite) == 1);
	talk->client = SSL_new(talk->client_context);
	talk->server = SSL_new(talk->server_context);
	SSL_set_bio(talk->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(talk->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(talk->client);
	SSL_set_accept_state(talk->server);
	talk_segment(talk, false, NULL, 0, 0x02);
	talk_segment(talk, true, NULL, 0, 0x12);
	for (tries = 0; tries < 20; tries++) {
		SSL_do_handshake(talk->client);
		talk_flush(talk, false);
		SSL_do_handshake(talk->server);
		talk_flush(talk, true);
	}
	CU_ASSERT_FATAL(SSL_is_init_finished(talk->client) && SSL_is_init_finished(talk->server));
}

static inline void talk_say(struct talk *talk, bool server, __u32 size)
{
	SSL *from = server ? talk->server : talk->client, *to = server ? talk->client : talk->server;
	__u8 *data = talk->data[server] + talk->data_length[server];
	static __u8 heard[65536];

	random_fill(&talk->seed, data, size);
	CU_ASSERT_FATAL(SSL_write(from, data, (int)size) == (int)size);
	talk->data_length[server] += size;
	talk_flush(talk, server);
	while (SSL_read(to, heard, sizeof(heard)) > 0)
		;
}

static inline void talk_end(struct talk *talk)
{
	SSL_free(talk->client);
	SSL_free(talk->server);
	SSL_CTX_free(talk->client_context);
	SSL_CTX_free(talk->server_context);
}

/* The frame of a segment; its length. */
static inline __u32 talk_frame(const struct segment_of *segment, __u8 frame[BOX_FRAME])
{
	struct hk_address client = address("192.0.2.1"), server = address("192.0.2.9");
	__u8 tcp[20 + 1400] = {0};
	__u16 ports[2] = {segment->port ? segment->port : 40000, TALK_PORT};
	int size;

	tcp[0] = (__u8)(ports[segment->server] >> 8), tcp[1] = (__u8)ports[segment->server];
	tcp[2] = (__u8)(ports[!segment->server] >> 8), tcp[3] = (__u8)ports[!segment->server];
	tcp[4] = (__u8)(segment->sequence >> 24), tcp[5] = (__u8)(segment->sequence >> 16);
	tcp[6] = (__u8)(segment->sequence >> 8), tcp[7] = (__u8)segment->sequence;
	tcp[12] = 0x50;
	tcp[13] = segment->flags;
	memcpy(tcp + 20, segment->bytes, segment->length);
	size = hk_outer_build(segment->server ? &server : &client, segment->server ? &client : &server,
		IPPROTO_TCP, 0, 0, tcp, 20 + segment->length, frame + 14, BOX_FRAME - 14);
	CU_ASSERT_FATAL(size > 0);
	return frame_around(frame, (__u32)size);
}

#endif
