// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys (fingerprints only) and kernel verdicts as JSON, a page at a time: see answer.h. */
#include "user/control/answer.h"

#include <time.h>

#include "user/base/text.h"
#include "user/crypto/kdf.h"
#include "user/keys/keylog.h"

struct page {
	const struct hk_config *config;
	json_t *rows;
	unsigned from, total;
	__u64 now_ns;
};

static const char *domain_name(const struct hk_config *config, unsigned id)
{
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		if (config->domains[i].id == id)
			return config->domains[i].name;
	return "?";
}

/* Counts all rows, takes those of the page. */
static bool in_page(struct page *page)
{
	unsigned place = page->total++;

	return place >= page->from && place - page->from < HK_CONTROL_ROWS_MAX;
}

static json_t *finish(struct page *page, const char *name)
{
	return json_pack(
		"{s:i, s:i, s:o}", "total", (int)page->total, "from", (int)page->from, name, page->rows);
}

static const char *side_name(unsigned side)
{
	switch (side) {
	case HK_SIDE_ENC: return "enc";
	case HK_SIDE_AUTH: return "auth";
	case HK_SIDE_READER: return "reader";
	case HK_SIDE_SINGLE: return "single";
	default: return "?";
	}
}

static const char *state_name(unsigned state)
{
	static const char *const names[] = {[HK_KEY_CURRENT] = "current",
		[HK_KEY_NEXT] = "next",
		[HK_KEY_PREVIOUS] = "previous",
		[HK_KEY_EARLY] = "not-yet",
		[HK_KEY_EXPIRED] = "expired",
		[HK_KEY_RETIRED] = "retired"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* Seconds since 1970; absent: no such time. */
static void set_time(json_t *row, const char *key, __u64 seconds)
{
	if (seconds)
		json_object_set_new(row, key, json_integer((json_int_t)seconds));
}

static void set_address(json_t *row, const char *key, const struct hk_address *address)
{
	char text[HK_ADDRESS_TEXT];

	json_object_set_new(row, key, json_string(hk_address_format(address, text)));
}

/* Of a TLS connection: the client's random is public, it went by in the clear. */
static int add_connection(struct page *page, const struct hk_key_row *key)
{
	char fingerprint[17], client_random[65];
	json_t *row;

	hk_hex_format(key->fingerprint, sizeof(key->fingerprint), fingerprint);
	row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "domain", domain_name(page->config, key->domain),
		"kind", "connection", "side", side_name(key->side), "fingerprint", fingerprint, "state",
		state_name(key->state), "source", hk_control_text(key->source ? key->source : "?"));
	if (key->tls_random) {
		hk_hex_format(key->tls_random, 32, client_random);
		json_object_set_new(row, "client_random", json_string(client_random));
	} else {
		set_address(row, "client", &key->tls_tuple->client);
		json_object_set_new(row, "client_port", json_integer(key->tls_tuple->client_port));
		set_address(row, "server", &key->tls_tuple->server);
		json_object_set_new(row, "server_port", json_integer(key->tls_tuple->server_port));
	}
	set_time(row, "used", key->used);
	json_array_append_new(page->rows, row);
	return 0;
}

static int add_key(void *context, const struct hk_key_row *key)
{
	struct page *page = context;
	char fingerprint[17], receiver[HK_PREFIX_TEXT];
	json_t *row;

	if (!in_page(page))
		return 0;
	if (key->tls_tuple || key->tls_random)
		return add_connection(page, key);
	hk_hex_format(key->fingerprint, sizeof(key->fingerprint), fingerprint);
	row = json_pack("{s:s, s:s, s:s, s:s}", "domain", domain_name(page->config, key->domain), "kind",
		key->is_explicit ? "explicit"
		: key->is_level	 ? "level"
				 : "master",
		"side", side_name(key->side), "fingerprint", fingerprint);
	if (key->has_receiver)
		json_object_set_new(row, "receiver", json_string(hk_prefix_format(&key->receiver, receiver)));
	if (key->is_explicit)
		json_object_set_new(row, "spi", json_integer(key->spi));
	if (!key->is_explicit && key->has_id)
		json_object_set_new(row, "id", json_integer(key->id));
	if (key->is_root)
		json_object_set_new(row, "root", json_true());
	else if (key->is_explicit && key->suite)
		json_object_set_new(row, "suite", json_string(hk_suite_name(key->suite)));
	else if (key->is_explicit)
		json_object_set_new(row, "version", json_integer(key->version));
	if (key->is_level)
		json_object_set_new(row, "level", json_string(key->level));
	if (!key->is_explicit && !key->is_level)
		json_object_set_new(row, "slot", json_integer(key->slot));
	if (!key->is_explicit)
		json_object_set_new(row, "generation", json_integer(key->generation));
	if (key->has_id)
		json_object_set_new(row, "id", json_integer(key->id));
	json_object_set_new(row, "state", json_string(state_name(key->state)));
	json_object_set_new(row, "source", hk_control_text(key->source ? key->source : "?"));
	if (key->overrides)
		json_object_set_new(row, "overrides_file", json_true());
	set_time(row, "not_before", key->not_before);
	set_time(row, "not_after", key->not_after);
	set_time(row, "used", key->used);
	json_array_append_new(page->rows, row);
	return 0;
}

json_t *hk_control_list_keys(const struct hk_view *view, unsigned from)
{
	struct page page = {.config = view->config(view->context), .rows = json_array(), .from = from};
	const struct hk_inspection *inspection = view->inspection(view->context);

	if (inspection && inspection->keyring)
		hk_keyring_list(inspection->keyring, add_key, &page);
	return finish(&page, "keys");
}

/* Whose flow it is: of the envelope's domains the one with the longest prefix around the destination. */
static const char *verdict_domain(const struct hk_config *config, const struct hk_verdict_key *key)
{
	const struct hk_domain_config *domain;
	const char *name = "?";
	unsigned i, j;
	int longest = -1;

	for (i = 0; i < config->domains_count; i++) {
		domain = &config->domains[i];
		for (j = 0; domain->envelope == key->envelope && j < domain->receivers_count; j++)
			if (domain->receivers[j].length > longest &&
				hk_prefix_holds(&domain->receivers[j], &key->dst)) {
				longest = domain->receivers[j].length;
				name = domain->name;
			}
	}
	return name;
}

static int add_verdict(void *context, const struct hk_verdict_key *key, const struct hk_verdict_value *value)
{
	struct page *page = context;
	char src[HK_ADDRESS_TEXT], dst[HK_ADDRESS_TEXT];
	__u64 left = value->expires_ns > page->now_ns ? value->expires_ns - page->now_ns : 0;

	if (!left || !in_page(page)) /* an expired one is none: XDP ignores it */
		return 0;
	json_array_append_new(page->rows,
		json_pack("{s:s, s:s, s:s, s:I, s:s, s:I}", "domain", verdict_domain(page->config, key),
			"src", hk_address_format(&key->src, src), "dst", hk_address_format(&key->dst, dst),
			"spi", (json_int_t)key->spi, "verdict",
			value->verdict == HK_VERDICT_DROP ? "drop" : "accept", "seconds_left",
			(json_int_t)((left + 999999999) / 1000000000)));
	return 0;
}

json_t *hk_control_list_verdicts(const struct hk_view *view, unsigned from)
{
	struct page page = {.config = view->config(view->context), .rows = json_array(), .from = from};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	page.now_ns = (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
	view->verdict_each(view->context, add_verdict, &page);
	return finish(&page, "verdicts");
}
