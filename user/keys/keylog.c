// SPDX-License-Identifier: GPL-2.0-or-later
/* Key logs, line by line: see keylog.h. */
#include "user/keys/keylog.h"

#include <errno.h>
#include <string.h>

#include <halfkey/crypto.h>

#include "user/base/text.h"

#define LINE_MAX_BYTES 512
#define WORDS_MAX      10

struct words {
	char *word[WORDS_MAX];
	unsigned count;
};

static void split(char *line, struct words *words)
{
	char *rest = NULL, *word;

	words->count = 0;
	for (word = strtok_r(line, " \t\r", &rest); word && words->count < WORDS_MAX;
		word = strtok_r(NULL, " \t\r", &rest)) {
		if (word[0] == '#')
			break;
		words->word[words->count++] = word;
	}
}

static const char *read_master(const struct words *words, struct hk_tls_secret *out)
{
	if (words->count != 3)
		return "CLIENT_RANDOM takes two words: the client random and the master secret";
	if (hk_hex_parse(words->word[1], strlen(words->word[1]), out->client_random, 32))
		return "a client random has 64 hexadecimal digits";
	if (hk_hex_parse(words->word[2], strlen(words->word[2]), out->master, HK_TLS_MASTER_SIZE))
		return "a master secret has 96 hexadecimal digits";
	return NULL;
}

static bool read_port(const char *text, __u16 *out)
{
	__u64 port;

	if (hk_number_parse(text, 65535, &port))
		return false;
	*out = (__u16)port;
	return true;
}

static const char *read_tuple(const struct words *words, struct hk_tls_secret *out)
{
	size_t digits = words->count == 9 ? strlen(words->word[5]) : 0;
	unsigned i;

	if (words->count != 9)
		return "TLS_KEYS takes eight words: client, port, server, port, client key, client IV, "
		       "server "
		       "key, server IV";
	if (hk_address_parse(words->word[1], &out->tuple.client) ||
		hk_address_parse(words->word[3], &out->tuple.server) ||
		hk_address_is_v4(&out->tuple.client) != hk_address_is_v4(&out->tuple.server))
		return "client and server must be addresses of one IP version";
	if (!read_port(words->word[2], &out->tuple.client_port) ||
		!read_port(words->word[4], &out->tuple.server_port))
		return "ports are numbers from 0 to 65535";
	if (digits != 32 && digits != 64)
		return "a key has 32 or 64 hexadecimal digits";
	out->is_tuple = true;
	out->key_size = (__u8)(digits / 2);
	for (i = 0; i < 2; i++)
		if (strlen(words->word[5 + 2 * i]) != digits ||
			hk_hex_parse(words->word[5 + 2 * i], digits, out->keys[i], digits / 2) ||
			hk_hex_parse(words->word[6 + 2 * i], strlen(words->word[6 + 2 * i]), out->ivs[i], 4))
			return "both keys have 32 or both 64 hexadecimal digits, both IVs 8";
	return NULL;
}

static const char *const retire_help =
	"retire takes client-random=, or client=, client-port=, server= and server-port=";

/* One `field=value` of a retire line; which field, or 0. */
static unsigned read_field(char *word, struct hk_tls_secret *out)
{
	static const char *const names[] = {
		"client-random", "client", "client-port", "server", "server-port"};
	char *value = strchr(word, '=');
	unsigned i;
	bool right;

	if (!value)
		return 0;
	*value++ = '\0';
	for (i = 0; i < 5 && strcmp(word, names[i]) != 0; i++)
		;
	switch (i) {
	case 0: right = !hk_hex_parse(value, strlen(value), out->client_random, 32); break;
	case 1: right = !hk_address_parse(value, &out->tuple.client); break;
	case 2: right = read_port(value, &out->tuple.client_port); break;
	case 3: right = !hk_address_parse(value, &out->tuple.server); break;
	case 4: right = read_port(value, &out->tuple.server_port); break;
	default: right = false;
	}
	return right ? 1u << i : 0;
}

static const char *read_retire(const struct words *words, struct hk_tls_secret *out)
{
	unsigned i, field, fields = 0;

	for (i = 1; i < words->count; i++) {
		field = read_field(words->word[i], out);
		if (!field || (fields & field))
			return retire_help;
		fields |= field;
	}
	out->retire = true;
	out->is_tuple = fields == 0x1e;
	return fields == 0x01 || fields == 0x1e ? NULL : retire_help;
}

/* What NSS and others write for TLS 1.3, whose connections are not opened. */
static bool is_label(const char *word)
{
	return word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0' && strlen(word) < 40;
}

/* 1: a key; 0: nothing for us; else the refusal. */
static int read_line(const struct hk_keylog_reading *reading, unsigned number, char *line,
	struct hk_tls_secret *secret, struct hk_error *error)
{
	const char *wrong = NULL;
	struct words words;

	split(line, &words);
	if (!words.count)
		return 0;
	if (strcmp(words.word[0], "CLIENT_RANDOM") == 0)
		wrong = read_master(&words, secret);
	else if (strcmp(words.word[0], "TLS_KEYS") == 0)
		wrong = read_tuple(&words, secret);
	else if (reading->kind == HK_KEYLOG_UPDATE && strcmp(words.word[0], "retire") == 0)
		wrong = read_retire(&words, secret);
	else if (is_label(words.word[0]))
		return 0;
	else
		wrong = "a line of a key log begins with a label: CLIENT_RANDOM or TLS_KEYS";
	return wrong ? hk_error_set(error, EINVAL, "%s:%u: %s", reading->name, number, wrong) : 1;
}

/* Copies a line, since reading it takes it apart. */
static int take_line(const struct hk_keylog_reading *reading, unsigned number, const char *text, size_t size,
	struct hk_error *error)
{
	bool growing = reading->kind == HK_KEYLOG_FILE && text[size] == '\0';
	struct hk_tls_secret secret = {0};
	char line[LINE_MAX_BYTES];
	int result;

	if (size >= sizeof(line))
		return hk_error_set(
			error, EINVAL, "%s:%u: the line is longer than 511 bytes", reading->name, number);
	memcpy(line, text, size);
	line[size] = '\0';
	result = read_line(reading, number, line, &secret, growing ? NULL : error);
	if (result < 0 && growing)
		result = 0;
	if (result > 0)
		result = reading->take(reading->context, &secret, number, error);
	hk_wipe(line, sizeof(line));
	hk_wipe(&secret, sizeof(secret));
	return result;
}

int hk_keylog_read(const struct hk_keylog_reading *reading, struct hk_error *error)
{
	const char *text = reading->text;
	unsigned number = 0;
	size_t size;
	int result = 0;

	while (*text && result >= 0) {
		size = strcspn(text, "\n");
		if (++number >= reading->first)
			result = take_line(reading, number, text, size, error);
		text += size + (text[size] == '\n');
	}
	return result < 0 ? result : 0;
}

bool hk_keylog_is(const char *text)
{
	char word[40];
	size_t size;

	for (;;) {
		text += strspn(text, " \t\r\n");
		if (*text != '#')
			break;
		text += strcspn(text, "\n");
	}
	size = strcspn(text, " \t\r\n");
	if (!size || size >= sizeof(word))
		return false;
	memcpy(word, text, size);
	word[size] = '\0';
	return is_label(word);
}
