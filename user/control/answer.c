// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket's commands: see answer.h. One row of the table each; what
 * is not in the table does not exist.
 */
#include "user/control/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/base/nearest.h"
#include "user/base/text.h"
#include "user/control/server.h"

#define LIFETIME_MAX_S (7 * 86400)

struct asking {
	const struct hk_view *view;
	json_t *request;
	struct hk_error *error;
	int fd;
};

/* --- fields of a request --- */

static const char *get_text(const struct asking *asking, const char *key)
{
	const json_t *value = json_object_get(asking->request, key);

	if (!json_is_string(value))
		hk_error_set(asking->error, EINVAL, "\"%s\" is missing or not a text", key);
	return json_string_value(value);
}

static int get_number(
	const struct asking *asking, const char *key, json_int_t min, json_int_t max, json_int_t *out)
{
	const json_t *value = json_object_get(asking->request, key);

	if (!value)
		return hk_error_set(asking->error, EINVAL, "\"%s\" is missing", key);
	if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
		return hk_error_set(asking->error, EINVAL, "\"%s\" is not a whole number from %lld to %lld",
			key, min, max);
	*out = json_integer_value(value);
	return 0;
}

static int get_address(const struct asking *asking, const char *key, struct hk_address *out)
{
	const char *text = get_text(asking, key);

	if (!text)
		return -EINVAL;
	if (hk_address_parse(text, out))
		return hk_error_set(asking->error, EINVAL, "%s: \"%.60s\" is not an IP address", key, text);
	return 0;
}

static const struct hk_domain_config *get_domain(const struct asking *asking)
{
	const struct hk_config *config = asking->view->config(asking->view->context);
	const char *name = get_text(asking, "domain");
	unsigned i;

	if (!name)
		return NULL;
	for (i = 0; i < config->domains_count; i++)
		if (strcmp(config->domains[i].name, name) == 0)
			return &config->domains[i];
	hk_error_set(asking->error, ENOENT, "there is no domain \"%.64s\"", name);
	return NULL;
}

static int get_flow(
	const struct asking *asking, const struct hk_domain_config *domain, struct hk_verdict_key *key)
{
	json_int_t spi = 0;
	int code;

	memset(key, 0, sizeof(*key));
	if (!domain)
		return -EINVAL;
	key->envelope = domain->envelope;
	code = get_address(asking, "src", &key->src);
	if (!code)
		code = get_address(asking, "dst", &key->dst);
	if (!code)
		code = get_number(asking, "spi", 1, 0xffffffffll, &spi);
	if (!code)
		key->spi = (__u32)spi;
	if (!code && hk_address_is_v4(&key->src) != hk_address_is_v4(&key->dst))
		return hk_error_set(asking->error, EINVAL, "src and dst are of different IP versions");
	return code;
}

/* --- the commands: the answer's body under `result`, or NULL and a sentence --- */

static json_t *give_status(const struct asking *asking)
{
	return hk_control_report_status(asking->view);
}

static json_t *give_stats(const struct asking *asking)
{
	return hk_control_report_stats(asking->view);
}

static json_t *give_list(const struct asking *asking, json_t *(*list)(const struct hk_view *, unsigned))
{
	json_int_t from = 0;

	if (json_object_get(asking->request, "from") && get_number(asking, "from", 0, 0xffffffffll, &from))
		return NULL;
	return list(asking->view, (unsigned)from);
}

static json_t *give_keys(const struct asking *asking)
{
	return give_list(asking, hk_control_list_keys);
}

static json_t *give_verdicts(const struct asking *asking)
{
	return give_list(asking, hk_control_list_verdicts);
}

static int get_verdict(const struct asking *asking, struct hk_verdict_value *value)
{
	const char *verdict = get_text(asking, "verdict");
	struct timespec now;
	json_int_t seconds = 0;

	memset(value, 0, sizeof(*value));
	if (!verdict || get_number(asking, "seconds", 1, LIFETIME_MAX_S, &seconds))
		return -EINVAL;
	if (strcmp(verdict, "accept") != 0 && strcmp(verdict, "drop") != 0)
		return hk_error_set(
			asking->error, EINVAL, "verdict: \"%.20s\" is neither accept nor drop", verdict);
	clock_gettime(CLOCK_MONOTONIC, &now);
	value->verdict = *verdict == 'a' ? HK_VERDICT_ACCEPT : HK_VERDICT_DROP;
	value->expires_ns = ((__u64)now.tv_sec + (__u64)seconds) * 1000000000ull + (__u64)now.tv_nsec;
	return 0;
}

/* A verdict on a flow to somebody else would never be met: source and destination the wrong way round. */
static int check_receiver(
	const struct asking *asking, const struct hk_domain_config *domain, const struct hk_verdict_key *key)
{
	char text[HK_ADDRESS_TEXT];
	unsigned i;

	for (i = 0; i < domain->receivers_count; i++)
		if (hk_prefix_holds(&domain->receivers[i], &key->dst))
			return 0;
	return hk_error_set(asking->error, EINVAL,
		"dst: %s is not among the domain's receivers: its packets never meet this verdict",
		hk_address_format(&key->dst, text));
}

static json_t *add_verdict(const struct asking *asking)
{
	const struct hk_domain_config *domain = get_domain(asking);
	struct hk_verdict_value value;
	struct hk_verdict_key key;
	int code;

	if (get_flow(asking, domain, &key) || check_receiver(asking, domain, &key) ||
		get_verdict(asking, &value))
		return NULL;
	code = asking->view->verdict_put(asking->view->context, &key, &value);
	if (!code)
		return json_object();
	if (code == -ENOSPC || code == -E2BIG)
		hk_error_set(
			asking->error, ENOSPC, "the verdict cache is full: delete some, or let them expire");
	hk_error_set(asking->error, EIO, "the verdict could not be written: %s", strerror(-code));
	return NULL;
}

static json_t *delete_verdict(const struct asking *asking)
{
	struct hk_verdict_key key;
	int code;

	if (get_flow(asking, get_domain(asking), &key))
		return NULL;
	code = asking->view->verdict_delete(asking->view->context, &key);
	if (!code)
		return json_object();
	if (code == -ENOENT)
		hk_error_set(asking->error, ENOENT, "there is no verdict for this flow");
	hk_error_set(asking->error, EIO, "the verdict could not be deleted: %s", strerror(-code));
	return NULL;
}

static json_t *ask_reload(const struct asking *asking)
{
	int code = asking->view->reload(asking->view->context, asking->error);

	if (!code)
		return json_object();
	hk_error_set(asking->error, -code, "the reload was refused: %s", strerror(-code));
	return NULL;
}

#define GRACE_MAX_S (366 * 86400)

/* The key lines come in a descriptor: no key is ever part of a request, or of an answer. */
static int get_keys(const struct asking *asking, struct hk_view_keys *change)
{
	json_int_t grace = 0;

	if (asking->fd < 0)
		return hk_error_set(asking->error, EINVAL,
			"key lines come in a descriptor with the request (halfkey keys add does that)");
	change->fd = asking->fd;
	change->domain = get_text(asking, "domain");
	if (!change->domain)
		return -EINVAL;
	change->rotate = json_is_true(json_object_get(asking->request, "rotate"));
	if (json_object_get(asking->request, "grace") && get_number(asking, "grace", 0, GRACE_MAX_S, &grace))
		return -EINVAL;
	change->grace_s = (__u32)grace;
	return 0;
}

static json_t *change_keys(const struct asking *asking)
{
	struct hk_view_keys change;
	struct hk_key_result done = {0};
	int code;

	if (get_keys(asking, &change))
		return NULL;
	code = asking->view->keys_change(asking->view->context, &change, &done, asking->error);
	if (!code)
		return json_pack("{s:i, s:i, s:i, s:i, s:i, s:o}", "added", (int)done.added, "known",
			(int)done.known, "retired", (int)done.retired, "graced", (int)done.graced,
			"still_in_files", (int)done.filed, "file",
			done.filed ? hk_control_text(done.file) : json_null());
	hk_error_set(asking->error, -code, "the keys could not be changed: %s", strerror(-code));
	return NULL;
}

struct command {
	const char *name;
	json_t *(*run)(const struct asking *asking);
};

static const struct command commands[] = {
	{"status", give_status},
	{"stats", give_stats},
	{"keys", give_keys},
	{"keys-change", change_keys},
	{"verdicts", give_verdicts},
	{"verdict-add", add_verdict},
	{"verdict-delete", delete_verdict},
	{"reload", ask_reload},
};

static const struct command *find_command(const char *name, struct hk_error *error)
{
	struct hk_nearest nearest = {0};
	unsigned i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		hk_nearest_offer(&nearest, name, commands[i].name);
	}
	hk_error_set(error, EINVAL, "unknown command \"%.40s\"%s%s%s", name,
		nearest.name ? ": did you mean \"" : "", nearest.name ? nearest.name : "",
		nearest.name ? "\"?" : "");
	return NULL;
}

/* --- request in, answer out --- */

static json_t *run(const struct hk_view *view, json_t *request, int fd, struct hk_error *error)
{
	struct asking asking = {view, request, error, fd};
	const struct command *command;
	const char *name;

	if (!json_is_object(request)) {
		hk_error_set(
			error, EINVAL, "a request is a JSON object, {\"command\": \"status\"} for example");
		return NULL;
	}
	name = get_text(&asking, "command");
	command = name ? find_command(name, error) : NULL;
	return command ? command->run(&asking) : NULL;
}

json_t *hk_control_text(const char *text)
{
	json_t *value = json_string(text);
	char *plain = value ? NULL : strdup(text);
	size_t i;

	for (i = 0; plain && plain[i]; i++)
		if (plain[i] & 0x80)
			plain[i] = '?';
	if (plain)
		value = json_string(plain);
	free(plain);
	return value;
}

static char *wrap(json_t *result, const char *sentence)
{
	json_t *answer = result ? json_pack("{s:b, s:o}", "ok", 1, "result", result)
				: json_pack("{s:b, s:o}", "ok", 0, "error", hk_control_text(sentence));
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	return text;
}

char *hk_control_refusal(const char *sentence)
{
	return wrap(NULL, sentence);
}

char *hk_control_answer(const struct hk_view *view, const char *request, size_t size, int fd)
{
	struct hk_error error = {""};
	json_error_t where;
	json_t *parsed, *result;
	char *text;

	parsed = json_loadb(request, size, JSON_REJECT_DUPLICATES, &where);
	if (!parsed)
		return hk_control_refusal("the request is not JSON: one object in one line is");
	result = run(view, parsed, fd, &error);
	text = wrap(result, error.text[0] ? error.text : "out of memory");
	json_decref(parsed);
	return text ? text : hk_control_refusal("the answer could not be written");
}

char *hk_control_stats_json(const struct hk_view *view)
{
	json_t *stats = hk_control_report_stats(view);
	char *text = stats ? json_dumps(stats, JSON_COMPACT) : NULL;

	json_decref(stats);
	return text;
}
