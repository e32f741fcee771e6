// SPDX-License-Identifier: GPL-2.0-or-later
/* A tunnel's counters, as lines for people and as JSON for programs. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/tunnel.h"

static const char *const unsent_names[] = {
#define HK_U(id, name, text) name,
	HK_UNSENT(HK_U)
#undef HK_U
};

static const char *const unsent_texts[] = {
#define HK_U(id, name, text) text,
	HK_UNSENT(HK_U)
#undef HK_U
};

void hk_tunnel_announce(const struct hk_tunnel *tunnel)
{
	char remote[HK_ADDRESS_TEXT];
	unsigned i, j;

	for (i = 0; i < tunnel->peers.count; i++)
		for (j = 0; j < tunnel->peers.rows[i].senders_count; j++)
			hk_log_info("%s: to %s with SPI 0x%08x", tunnel->device,
				hk_address_format(&tunnel->peers.rows[i].remote, remote),
				tunnel->peers.rows[i].senders[j]->spi);
}

static void print_count(void *context, const char *name, __u64 count)
{
	const struct hk_tunnel *tunnel = context;

	if (count)
		hk_log_info("%s: %s %llu", tunnel->device, name, (unsigned long long)count);
}

void hk_tunnel_stats_print(const struct hk_tunnel *tunnel)
{
	unsigned i;

	hk_log_info("%s: sealed %llu, opened %llu packets", tunnel->device,
		(unsigned long long)tunnel->sealed,
		(unsigned long long)tunnel->receiver->counts[HK_REFUSAL_NONE]);
	for (i = 1; i < HK_REFUSAL_COUNT; i++)
		if (tunnel->receiver->counts[i])
			hk_log_info("%s: refused %llu: %s: %s", tunnel->device,
				(unsigned long long)tunnel->receiver->counts[i], hk_refusal_name(i),
				hk_refusal_text(i));
	for (i = 0; i < HK_UNSENT_COUNT; i++)
		if (tunnel->unsent[i])
			hk_log_info("%s: not sent %llu: %s: %s", tunnel->device,
				(unsigned long long)tunnel->unsent[i], unsent_names[i], unsent_texts[i]);
	if (tunnel->speech->speaker->counts)
		tunnel->speech->speaker->counts(tunnel->speech, print_count, (void *)tunnel);
}

static json_t *refused(const struct hk_tunnel *tunnel)
{
	json_t *out = json_object();
	unsigned i;

	for (i = 1; i < HK_REFUSAL_COUNT; i++)
		json_object_set_new(
			out, hk_refusal_name(i), json_integer((json_int_t)tunnel->receiver->counts[i]));
	return out;
}

static json_t *unsent(const struct hk_tunnel *tunnel)
{
	json_t *out = json_object();
	unsigned i;

	for (i = 0; i < HK_UNSENT_COUNT; i++)
		json_object_set_new(out, unsent_names[i], json_integer((json_int_t)tunnel->unsent[i]));
	return out;
}

static json_t *peers(const struct hk_tunnel *tunnel)
{
	json_t *out = json_array();
	char text[HK_ADDRESS_TEXT], spi[16];
	unsigned i, j;

	for (i = 0; i < tunnel->peers.count; i++) {
		const struct hk_tunnel_peer *peer = &tunnel->peers.rows[i];
		json_t *spis = json_object();

		for (j = 0; j < peer->senders_count; j++) {
			snprintf(spi, sizeof(spi), "0x%08x", peer->senders[j]->spi);
			json_object_set_new(spis, spi, json_integer((json_int_t)peer->senders[j]->sealed));
		}
		json_array_append_new(
			out, json_pack("{s:s, s:o}", "remote", hk_address_format(&peer->remote, text),
				     "sealed-by-spi", spis));
	}
	return out;
}

static void add_count(void *context, const char *name, __u64 count)
{
	json_object_set_new(context, name, json_integer((json_int_t)count));
}

/* The envelope's own counters, under its name. */
static json_t *with_envelope(const struct hk_tunnel *tunnel, json_t *root)
{
	const struct hk_speaker *speaker = tunnel->speech->speaker;
	json_t *counts = speaker->counts ? json_object() : NULL;

	if (!counts)
		return root;
	speaker->counts(tunnel->speech, add_count, counts);
	json_object_set_new(root, hk_envelope_name(speaker->envelope), counts);
	return root;
}

static json_t *everything(const struct hk_tunnel *tunnel)
{
	return json_pack("{s:s, s:i, s:{s:I, s:I}, s:{s:I, s:I, s:I}, s:{s:I, s:I}, s:o, s:o, s:o}", "device",
		tunnel->device, "mtu", (int)tunnel->mtu, "sealed", "packets", (json_int_t)tunnel->sealed,
		"bytes", (json_int_t)tunnel->sealed_bytes, "opened", "packets",
		(json_int_t)tunnel->receiver->counts[HK_REFUSAL_NONE], "bytes",
		(json_int_t)tunnel->opened_bytes, "device-full", (json_int_t)tunnel->tun_failed, "reloads",
		"done", (json_int_t)tunnel->reloads, "refused", (json_int_t)tunnel->reloads_failed, "refused",
		refused(tunnel), "unsent", unsent(tunnel), "peers", peers(tunnel));
}

void hk_tunnel_stats_write(const struct hk_tunnel *tunnel)
{
	json_t *root;
	char *text;
	size_t size;

	if (tunnel->stats_fd < 0)
		return;
	root = with_envelope(tunnel, everything(tunnel));
	if (root && tunnel->server)
		json_object_set_new(root, "server", hk_tunnel_server_stats(tunnel));
	text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	size = text ? strlen(text) : 0;
	/* It is never empty, whoever reads it meanwhile. */
	if (!text || pwrite(tunnel->stats_fd, text, size, 0) != (ssize_t)size ||
		ftruncate(tunnel->stats_fd, (off_t)size))
		hk_log_warn("%s: the statistics file cannot be written", tunnel->device);
	free(text);
	json_decref(root);
}
