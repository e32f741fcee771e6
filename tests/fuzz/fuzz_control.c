// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: a request of the control socket. Whatever the line says, the
 * answer is one JSON object in one line, with a result or with a sentence that says
 * what is wrong. What the daemon would do is stood in for.
 *
 * SOURCES: user/control/answer.c user/base/error.c user/base/text.c user/base/nearest.c -ljansson
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/control/answer.h"

static struct hk_prefix receiver = {.length = 0};
static struct hk_domain_config domains[] = {
	{.name = (char *)"east", .envelope = HK_ENVELOPE_PSP, .receivers = &receiver, .receivers_count = 1},
	{.name = (char *)"west",
		.id = 1,
		.envelope = HK_ENVELOPE_ESP,
		.receivers = &receiver,
		.receivers_count = 1}};
static const struct hk_config config = {.domains = domains, .domains_count = 2};

json_t *hk_control_report_status(const struct hk_view *view)
{
	(void)view;
	return json_object();
}

json_t *hk_control_report_stats(const struct hk_view *view)
{
	(void)view;
	return json_object();
}

json_t *hk_control_list_keys(const struct hk_view *view, unsigned from)
{
	(void)view;
	return json_integer(from);
}

json_t *hk_control_list_verdicts(const struct hk_view *view, unsigned from)
{
	(void)view;
	return json_integer(from);
}

#ifdef WRITE_SEEDS

int main(int argc, char **argv)
{
	static const char *const seeds[] = {"{\"command\": \"status\"}",
		"{\"command\": \"keys\", \"from\": 1000}",
		"{\"command\": \"keys-change\", \"domain\": \"east\", \"rotate\": true, \"grace\": 60}",
		"{\"command\": \"verdict-add\", \"domain\": \"west\", \"src\": \"192.0.2.1\", \"dst\": "
		"\"192.0.2.9\", \"spi\": 9, \"verdict\": \"drop\", \"seconds\": 60}",
		"{\"command\": \"verdict-delete\", \"domain\": \"east\", \"src\": \"2001:db8::1\", \"dst\": "
		"\"2001:db8::9\", \"spi\": 4096}",
		"{\"command\": \"reload\"}", "{\"command\": \"statu\303\274\"}", "[]"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static const struct hk_config *view_config(void *context)
{
	(void)context;
	return &config;
}

static int is_ours(const struct hk_verdict_key *key)
{
	return key->envelope == HK_ENVELOPE_PSP || key->envelope == HK_ENVELOPE_ESP;
}

static int view_put(void *context, const struct hk_verdict_key *key, const struct hk_verdict_value *value)
{
	(void)context;
	demand(is_ours(key) && key->spi && value->expires_ns, "a verdict without a flow or an end");
	return 0;
}

static int view_delete(void *context, const struct hk_verdict_key *key)
{
	(void)context;
	demand(is_ours(key) && key->spi, "a verdict without a flow");
	return -ENOENT;
}

static int view_keys(void *context, const struct hk_view_keys *change, struct hk_key_result *result,
	struct hk_error *error)
{
	(void)context;
	demand(change->fd == 0 && change->domain && change->grace_s <= 366 * 86400, "a change of no keys");
	*result = (struct hk_key_result){.added = 1};
	return strcmp(change->domain, "east") == 0
		       ? 0
		       : hk_error_set(error, ENOENT, "there is no domain \"%.64s\"", change->domain);
}

static int view_reload(void *context, struct hk_error *error)
{
	(void)context;
	(void)error;
	return -EBUSY;
}

static const struct hk_view view = {.config = view_config,
	.verdict_put = view_put,
	.verdict_delete = view_delete,
	.keys_change = view_keys,
	.reload = view_reload};

static void look_at(char *text)
{
	json_t *answer = text && !strchr(text, '\n') ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *sentence = json_string_value(json_object_get(answer, "error"));

	demand(answer != NULL, "the answer is not one object in one line");
	demand(json_is_true(json_object_get(answer, "ok")) == (sentence == NULL),
		"an answer without a reason");
	demand(!sentence || (*sentence && strcmp(sentence, "the answer could not be written") != 0 &&
				    strcmp(sentence, "out of memory") != 0),
		"a refusal that does not say why");
	json_decref(answer);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	look_at(hk_control_answer(&view, (const char *)data, size, -1));
	look_at(hk_control_answer(&view, (const char *)data, size, 0));
	return 0;
}

#endif
