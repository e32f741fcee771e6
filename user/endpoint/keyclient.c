// SPDX-License-Identifier: GPL-2.0-or-later
/* A host's session with a key server: see keyclient.h. */
#include "user/endpoint/keyclient.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

static int take_keys(void *context, long long serial, const char *lines, struct hk_error *error)
{
	const struct hk_key_client *client = context;

	(void)serial;
	return client->keys(client->context, lines, error);
}

static int take_spi(const struct hk_key_client *client, const json_t *message, struct hk_error *error)
{
	json_int_t number = json_integer_value(json_object_get(message, "spi"));
	json_int_t generation = json_integer_value(json_object_get(message, "generation"));
	const json_t *context = json_object_get(message, "context");
	struct hk_key_spi spi = {.spi = (__u32)number, .generation = (__u32)generation};

	if (hk_address_parse(hk_push_text(message, "to"), &spi.to) || number < 1 || number > 0xffffffffll ||
		generation < 1 || generation > 0xffffffffll)
		return hk_error_set(error, EPROTO, "the key server sent an SPI without receiver or number");
	if (context && json_integer_value(context) < 1)
		return hk_error_set(error, EPROTO, "the key server sent a context without a number");
	spi.context = (__u64)json_integer_value(context);
	return client->spi(client->context, &spi, hk_push_text(message, "lines"), error);
}

static int take_other(void *context, const char *type, const json_t *message, struct hk_error *error)
{
	const struct hk_key_client *client = context;

	if (strcmp(type, "spi") == 0)
		return take_spi(client, message, error);
	if (strcmp(type, "inbound") == 0 && client->arrived)
		return client->arrived(client->context, hk_push_text(message, "lines"), error);
	return 0;
}

static int ask(void *context, struct hk_push_link *link, struct hk_error *error)
{
	const struct hk_key_client *client = context;
	char text[HK_ADDRESS_TEXT];
	struct hk_address to;
	__u32 have;
	int status = 0;

	while (!status && client->want(client->context, &to, &have))
		status = hk_push_send(link,
			json_pack("{s:s,s:s,s:I}", "op", "spi", "to", hk_address_format(&to, text), "have",
				(json_int_t)have),
			error);
	return status;
}

static bool is_over(void *context)
{
	const struct hk_key_client *client = context;

	return client->over(client->context);
}

static void has_started(void *context)
{
	const struct hk_key_client *client = context;

	if (client->started)
		client->started(client->context);
}

static void was_lost(void *context, const struct hk_error *error)
{
	const struct hk_key_client *client = context;

	if (client->lost)
		client->lost(client->context, error);
}

struct hk_push_session hk_key_session(struct hk_key_client *client)
{
	return (struct hk_push_session){
		.target = &client->target,
		.tls = client->tls,
		.role = HK_PUSH_HOST,
		.inbound = client->inbound,
		.context = client,
		.keys = take_keys,
		.other = take_other,
		.idle = ask,
		.over = is_over,
		.started = has_started,
		.lost = was_lost,
	};
}
