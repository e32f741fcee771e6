// SPDX-License-Identifier: GPL-2.0-or-later
/* A client's conversation with a key server: see session.h. */
#include "user/push/session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "user/base/log.h"

#define SLICE_MS      200
#define RETRY_MIN_MS  250
#define RETRY_MAX_MS  4000 /* the server gives us twice as long after its start (HK_KS_SETTLE_S) */
#define RETRY_BARE_MS 1000 /* without any keys nothing works here: at most so long */

const char *hk_push_text(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));

	return text ? text : "";
}

static int take_keys(struct hk_push_session *session, struct hk_push_link *link, const json_t *message,
	struct hk_error *error)
{
	json_int_t serial = json_integer_value(json_object_get(message, "serial"));
	int status = session->keys(session->context, serial, hk_push_text(message, "lines"), error);

	if (status)
		return status;
	if (session->said.text[0])
		hk_log_info(
			"server %s: connected%s", session->target->server, session->served ? " again" : "");
	session->said.text[0] = '\0';
	session->served = true;
	return hk_push_send(link, json_pack("{s:s,s:I}", "op", "ack", "serial", serial), error);
}

static int take(struct hk_push_session *session, struct hk_push_link *link, const json_t *message,
	struct hk_error *error)
{
	const char *type = hk_push_text(message, "type");

	if (strcmp(type, "keys") == 0)
		return take_keys(session, link, message, error);
	if (strcmp(type, "ping") == 0)
		return hk_push_send(link, json_pack("{s:s}", "op", "pong"), error);
	if (strcmp(type, "refused") == 0)
		return hk_error_set(error, EACCES, "the key server refuses %.20s: %.200s",
			hk_push_text(message, "op"), hk_push_text(message, "reason"));
	return session->other ? session->other(session->context, type, message, error) : 0;
}

static json_t *subscription(const struct hk_push_session *session)
{
	json_t *message = json_pack("{s:s,s:s}", "op", "subscribe", "domain", session->target->domain);

	if (message && session->inbound)
		json_object_set_new(message, "inbound", json_true());
	return message;
}

/* One slice of time: our requests, then at most one message. */
static int turn(struct hk_push_session *session, struct hk_push_link *link, unsigned *silent_ms,
	struct hk_error *error)
{
	json_t *message;
	int status = session->idle ? session->idle(session->context, link, error) : 0;

	if (!status)
		status = hk_push_receive(link, SLICE_MS, &message, error);
	if (status == -ETIME) {
		*silent_ms += SLICE_MS;
		return *silent_ms < HK_PUSH_IDLE_S * 1000
			       ? 0
			       : hk_error_set(error, ETIME, "the key server has gone silent");
	}
	if (status)
		return status;
	*silent_ms = 0;
	status = take(session, link, message, error);
	json_decref(message);
	return status;
}

int hk_push_session(struct hk_push_session *session, struct hk_error *error)
{
	struct hk_push_link *link;
	unsigned silent_ms = 0;
	int status = hk_push_connect(&link, session->tls, session->target->server, session->role, error);

	if (status)
		return status;
	status = hk_push_send(link, subscription(session), error);
	if (session->started)
		session->started(session->context);
	while (!status && !session->over(session->context))
		status = turn(session, link, &silent_ms, error);
	hk_push_close(link);
	return status;
}

static void rest(const struct hk_push_session *session, unsigned ms)
{
	unsigned i;

	for (i = 0; i < ms / 50 && !session->over(session->context); i++)
		usleep(50000);
}

/* Once for each thing that is wrong: it may stay so for days. */
static void say_lost(struct hk_push_session *session, const struct hk_error *error)
{
	if (session->lost)
		session->lost(session->context, error);
	if (strcmp(session->said.text, error->text) == 0)
		return;
	session->said = *error;
	hk_log_warn("%s; %s: trying again until it answers", error->text,
		session->served ? "the keys at hand stay in use" : "no keys came from it yet");
}

void hk_push_stay(struct hk_push_session *session)
{
	unsigned ms = RETRY_MIN_MS, most;
	time_t began;

	while (!session->over(session->context)) {
		struct hk_error error = {{0}};

		began = time(NULL);
		if (!hk_push_session(session, &error))
			return;
		most = session->served ? RETRY_MAX_MS : RETRY_BARE_MS;
		ms = time(NULL) - began > RETRY_MAX_MS / 1000 ? RETRY_MIN_MS : ms < most ? ms : most;
		say_lost(session, &error);
		rest(session, ms);
		ms *= 2;
	}
}
