// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what a key server sends a host, bytes to JSON to keys as a
 * stock stack is given them. What is no SPI or no key is refused with one
 * sentence; nothing but what was asked for leaves us.
 *
 * SOURCES: user/push/session.c user/push/tls.c user/endpoint/keyclient.c user/endpoint/keynews.c
 * SOURCES: user/endpoint/keyformat.c user/keys/keyfile.c user/keys/keyfile_fields.c user/crypto/kdf.c
 * SOURCES: user/base/files.c user/base/log.c user/base/text.c user/base/names.c user/base/error.c
 * SOURCES: -ljansson -lssl -lcrypto
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wipe.h"
#include "user/base/text.h"
#include "user/endpoint/keyclient.h"
#include "user/endpoint/keynews.h"

/* --- a connection whose other end is the input: one message a line ---------------------------- */

static const char *next, *end;

int hk_push_connect(
	struct hk_push_link **out, SSL_CTX *tls, const char *server, unsigned role, struct hk_error *error)
{
	(void)tls, (void)server, (void)error;
	demand(role == HK_PUSH_HOST, "another role than ours");
	*out = NULL;
	return 0;
}

void hk_push_close(struct hk_push_link *link)
{
	(void)link;
}

int hk_push_send(struct hk_push_link *link, json_t *message, struct hk_error *error)
{
	(void)link, (void)error;
	demand(json_is_string(json_object_get(message, "op")), "a request without its name");
	json_decref(message);
	return 0;
}

int hk_push_receive(struct hk_push_link *link, int timeout_ms, json_t **out, struct hk_error *error)
{
	const char *stop = memchr(next, '\n', (size_t)(end - next)), *from = next;

	(void)link, (void)timeout_ms;
	stop = stop ? stop : end;
	next = stop < end ? stop + 1 : end;
	*out = hk_push_parse(from, (size_t)(stop - from));
	return *out ? 0 : hk_error_set(error, EPROTO, "not a message");
}

#ifdef WRITE_SEEDS

#define KEY	   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ROW(side)  "receiver=192.0.2.1 spi=0x00000100 suite=ctr-hmac side=" side " key=" KEY
#define PAIR(side) "receiver=192.0.2.1 slot=1 id=1026 generation=1 side=" side " key=" KEY
#define PAIRS	   "# context=1099511627777\\n" PAIR("enc") "\\n" PAIR("auth") "\\n" PAIR("reader") "\\n"
#define LINES	   "# from=192.0.2.2\\n" ROW("enc") " salt=01020304\\n" ROW("auth") "\\n"
#define TEXT(text) "\"lines\":\"" text "\"}\n"

int main(int argc, char **argv)
{
	static const char *const seeds[] = {
		"{\"type\":\"keys\",\"serial\":7," TEXT("slot=0 generation=1 side=both key=" KEY "\\n"),
		"{\"type\":\"inbound\"," TEXT(LINES) "{\"type\":\"inbound\"," TEXT("# from=::1\\n"),
		"{\"type\":\"spi\",\"to\":\"192.0.2.1\",\"spi\":256,\"generation\":1," TEXT(
			LINES) "{\"type\":\"spi\",\"to\":\"192.0.2.1\",\"spi\":4294967296,\"generation\":"
			       "1," TEXT(""),
		"{\"type\":\"spi\",\"to\":\"192.0.2.1\",\"spi\":256,\"generation\":1,\"context\":"
		"1099511627777," TEXT(PAIRS) "{\"type\":\"spi\",\"to\":\"192.0.2.1\",\"spi\":256,"
					     "\"generation\":1,\"context\":-1," TEXT(PAIRS),
		"{\"type\":\"ping\"}\n{\"type\":\"refused\",\"op\":\"spi\",\"reason\":\"no\"}\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static struct hk_key_news news;
static struct hk_key_formatting formatting = {.format = HK_FORMAT_XFRM};

static int keys_came(void *context, const char *lines, struct hk_error *error)
{
	(void)context;
	return hk_key_format(&formatting, "fuzz", lines, error) < 0 ? -EINVAL : 0;
}

static int spi_came(void *context, const struct hk_key_spi *spi, const char *lines, struct hk_error *error)
{
	demand(spi->spi && spi->generation, "an SPI that is none");
	return keys_came(context, lines, error);
}

static int inbound_came(void *context, const char *lines, struct hk_error *error)
{
	(void)context;
	return hk_key_news(&news, &formatting, lines, error);
}

static bool want_nothing(void *context, struct hk_address *to, __u32 *have)
{
	(void)context, (void)to, (void)have;
	return false;
}

static bool is_over(void *context)
{
	(void)context;
	return next == end;
}

static void check_sentence(const char *text)
{
	demand(*text, "a session that ends without a sentence");
	for (; *text; text++)
		demand((unsigned char)*text >= 0x20 && *text != 0x7f,
			"a sentence that could steer a terminal");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_key_client client = {.target = {.server = "fuzz", .domain = "d"},
		.inbound = true,
		.keys = keys_came,
		.spi = spi_came,
		.arrived = inbound_came,
		.want = want_nothing,
		.over = is_over};
	struct hk_push_session session = hk_key_session(&client);
	struct hk_error error = {""};

	if (!formatting.out)
		formatting.out = fopen("/dev/null", "w");
	next = (const char *)data;
	end = next + size;
	if (hk_push_session(&session, &error))
		check_sentence(error.text);
	hk_key_news_free(&news);
	return 0;
}

#endif
