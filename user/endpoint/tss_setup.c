// SPDX-License-Identifier: GPL-2.0-or-later
/* A TSS domain on the command line: the keys of the box's `tss:` mapping in one word. See tss.h. */
#include "user/endpoint/tss.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"

#define TEXT_MAX 1024

static int choose(const char *value, const char *const *names, __u8 *out)
{
	__u8 i;

	for (i = 0; names[i]; i++)
		if (strcmp(names[i], value) == 0) {
			*out = i;
			return 0;
		}
	return -EINVAL;
}

/* One of two words: whether it is the second. */
static int choose_second(const char *value, const char *first, const char *second, bool *out)
{
	const char *names[] = {first, second, NULL};
	__u8 choice = 0;
	int status = choose(value, names, &choice);

	*out = choice;
	return status;
}

static int parse_mode(struct hk_tss_setup *setup, const char *value)
{
	static const char *const modes[] = {"", "cluster", "server", "direct", NULL};

	return *value ? choose(value, modes, &setup->options.mode) : -EINVAL;
}

static int parse_ssi(struct hk_tss_setup *setup, const char *value)
{
	return choose_second(value, "no", "yes", &setup->options.ssi);
}

static int parse_kdf_length(struct hk_tss_setup *setup, const char *value)
{
	return choose_second(value, "16", "32", &setup->options.long_length);
}

static int parse_iv_word(struct hk_tss_setup *setup, const char *value)
{
	return choose_second(value, "source", "sdi", &setup->options.iv_sdi);
}

static int parse_context(struct hk_tss_setup *setup, const char *value)
{
	return choose_second(value, "large", "small", &setup->options.small_context);
}

static int parse_udp_aad(struct hk_tss_setup *setup, const char *value)
{
	return choose_second(value, "addresses", "header", &setup->options.header_aad);
}

static int parse_rekey_mask(struct hk_tss_setup *setup, const char *value)
{
	return hk_number_parse(value, (1ull << HK_TSS_COUNTER_BITS) - 1, &setup->options.rekey_mask);
}

static int parse_rekey_shift(struct hk_tss_setup *setup, const char *value)
{
	__u64 shift;
	int status = hk_number_parse(value, HK_TSS_COUNTER_BITS - 1, &shift);

	setup->options.rekey_shift = (__u8)shift;
	return status;
}

static int parse_protocol(struct hk_tss_setup *setup, const char *value)
{
	__u64 protocol;
	int status = hk_number_parse(value, 255, &protocol);

	setup->protocol = (__u8)protocol;
	return status;
}

static int parse_servers(struct hk_tss_setup *setup, const char *value)
{
	char text[TEXT_MAX], *rest = NULL, *word;
	struct hk_tss_options *options = &setup->options;

	snprintf(text, sizeof(text), "%s", value);
	for (word = strtok_r(text, "+", &rest); word; word = strtok_r(NULL, "+", &rest))
		if (options->servers_count == HK_TSS_SERVERS_MAX ||
			hk_prefix_parse(word, &options->servers[options->servers_count++]))
			return -EINVAL;
	return 0;
}

static const struct row {
	const char *key;
	int (*parse)(struct hk_tss_setup *setup, const char *value);
	const char *expected;
} rows[] = {
	{"mode", parse_mode, "cluster, server or direct"},
	{"ssi", parse_ssi, "yes or no"},
	{"kdf-length", parse_kdf_length, "16 or 32"},
	{"iv-word", parse_iv_word, "source or sdi"},
	{"context", parse_context, "large or small"},
	{"udp-aad", parse_udp_aad, "addresses or header"},
	{"rekey-mask", parse_rekey_mask, "a number of at most 48 bits"},
	{"rekey-shift", parse_rekey_shift, "a number from 0 to 47"},
	{"protocol", parse_protocol, "a number from 0 to 255"},
	{"servers", parse_servers, "up to 16 addresses and prefixes, joined by '+'"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int parse_word(struct hk_tss_setup *setup, char *word, struct hk_error *error)
{
	char *value = strchr(word, '=');
	unsigned i;

	if (!value)
		return hk_error_set(error, EINVAL, "tss '%s': must be KEY=VALUE,...", word);
	*value++ = '\0';
	for (i = 0; i < ROWS; i++)
		if (strcmp(rows[i].key, word) == 0)
			break;
	if (i == ROWS)
		return hk_error_set(error, EINVAL,
			"tss: unknown key '%s': mode, ssi, kdf-length, iv-word, "
			"context, udp-aad, rekey-mask, rekey-shift, protocol, servers",
			word);
	if (rows[i].parse(setup, value))
		return hk_error_set(
			error, EINVAL, "tss: %s=%s must be %s", rows[i].key, value, rows[i].expected);
	return 0;
}

int hk_tss_setup_parse(struct hk_tss_setup *out, const char *text, struct hk_error *error)
{
	char copy[TEXT_MAX], *rest = NULL, *word;
	int status = 0;

	*out = (struct hk_tss_setup){.protocol = HK_IP_PROTOCOL_TSS};
	if (strlen(text) >= sizeof(copy))
		return hk_error_set(error, EINVAL, "tss: longer than %d bytes", TEXT_MAX - 1);
	strcpy(copy, text);
	for (word = strtok_r(copy, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
		status = parse_word(out, word, error);
	if (!status && !out->options.mode)
		status = hk_error_set(error, EINVAL, "tss '%s': needs mode=cluster, server or direct", text);
	if (!status && (out->options.mode == HK_TSS_SERVER) != (out->options.servers_count > 0))
		status = hk_error_set(
			error, EINVAL, "tss '%s': mode=server and servers= need each other", text);
	if (!status && out->options.rekey_mask && out->options.mode != HK_TSS_CLUSTER)
		status = hk_error_set(
			error, EINVAL, "tss '%s': rekey-mask means something in mode cluster", text);
	if (!status && out->options.rekey_mask >> out->options.rekey_shift > 0xffffffff)
		status = hk_error_set(
			error, EINVAL, "tss '%s': rekey-mask, shifted, has more than 32 bits", text);
	return status;
}
