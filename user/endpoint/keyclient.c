// SPDX-License-Identifier: GPL-2.0-or-later
/* A host's session with a key server: see keyclient.h. */
#include "user/endpoint/keyclient.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

#define SLICE_MS 200

static const char *text_of(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));

	return text ? text : "";
}

static int take_keys(const struct hk_key_client *client, struct hk_push_link *link, const json_t *message,
	struct hk_error *error)
{
	json_int_t serial = json_integer_value(json_object_get(message, "serial"));
	int status = client->keys(client->context, text_of(message, "lines"), error);

	return status ? status
		      : hk_push_send(link, json_pack("{s:s,s:I}", "op", "ack", "serial", serial), error);
}

static int take_spi(const struct hk_key_client *client, const json_t *message, struct hk_error *error)
{
	json_int_t spi = json_integer_value(json_object_get(message, "spi"));
	struct hk_address to;

	if (hk_address_parse(text_of(message, "to"), &to) || spi < 1 || spi > 0xffffffffll)
		return hk_error_set(error, EPROTO, "the key server sent an SPI without receiver or number");
	return client->spi(client->context, &to, (__u32)spi, text_of(message, "lines"), error);
}

static int take(const struct hk_key_client *client, struct hk_push_link *link, const json_t *message,
	struct hk_error *error)
{
	const char *type = text_of(message, "type");

	if (strcmp(type, "keys") == 0)
		return take_keys(client, link, message, error);
	if (strcmp(type, "spi") == 0)
		return take_spi(client, message, error);
	if (strcmp(type, "inbound") == 0 && client->arrived)
		return client->arrived(client->context, text_of(message, "lines"), error);
	if (strcmp(type, "ping") == 0)
		return hk_push_send(link, json_pack("{s:s}", "op", "pong"), error);
	if (strcmp(type, "refused") == 0)
		return hk_error_set(error, EACCES, "the key server refuses %.20s: %.200s",
			text_of(message, "op"), text_of(message, "reason"));
	return 0;
}

static int ask(const struct hk_key_client *client, struct hk_push_link *link, struct hk_error *error)
{
	char text[HK_ADDRESS_TEXT];
	struct hk_address to;
	int status = 0;

	while (!status && client->want(client->context, &to))
		status = hk_push_send(
			link, json_pack("{s:s,s:s}", "op", "spi", "to", hk_address_format(&to, text)), error);
	return status;
}

static json_t *subscription(const struct hk_key_client *client)
{
	json_t *message = json_pack("{s:s,s:s}", "op", "subscribe", "domain", client->domain);

	if (message && client->inbound)
		json_object_set_new(message, "inbound", json_true());
	return message;
}

int hk_key_session(const struct hk_key_client *client, struct hk_error *error)
{
	struct hk_push_link *link;
	json_t *message;
	unsigned silent = 0;
	int status = hk_push_connect(&link, client->tls, client->server, HK_PUSH_HOST, error);

	if (status)
		return status;
	status = hk_push_send(link, subscription(client), error);
	client->started(client->context);
	while (!status && !client->over(client->context)) {
		status = ask(client, link, error);
		if (!status)
			status = hk_push_receive(link, SLICE_MS, &message, error);
		if (status == -ETIME) {
			silent += SLICE_MS;
			status = silent < HK_PUSH_IDLE_S * 1000
					 ? 0
					 : hk_error_set(error, ETIME, "the key server has gone silent");
			continue;
		}
		silent = 0;
		if (status)
			break;
		status = take(client, link, message, error);
		json_decref(message);
	}
	hk_push_close(link);
	return status;
}
