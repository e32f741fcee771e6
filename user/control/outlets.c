// SPDX-License-Identifier: GPL-2.0-or-later
/* A configuration's `hooks` and `feeds`: who looks at packets, and who is told. */
#include "user/control/reading.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/names.h"
#include "user/base/text.h"

/* --- hooks --- */

static int read_hook(struct hk_reading *reading, unsigned place)
{
	const struct hk_raw_hook *raw = &reading->raw->hooks[place];
	struct hk_hook_config *hook = &reading->config->hooks[place];
	const char *own = raw->settings ? raw->settings : raw->rules ? raw->rules : raw->classes;
	char where[24];

	snprintf(where, sizeof(where), "hooks[%u]", place);
	if (!raw->use)
		return hk_reading_refuse(reading, where,
			"hook %u of the list has no `use`: a built-in name or a path", place + 1);
	if ((raw->settings != NULL) + (raw->rules != NULL) + (raw->classes != NULL) > 1)
		return hk_reading_refuse(reading, where,
			"hook %.64s: settings, rules and classes are three words for its one file: give one "
			"of them",
			raw->use);
	if (hk_read_text(reading, where, "use", raw->use, &hook->use))
		return -EINVAL;
	return hk_read_text(reading, where, raw->use, own, &hook->settings);
}

int hk_read_hooks(struct hk_reading *reading)
{
	unsigned i, count = reading->raw->hooks_count;
	int code = 0;

	reading->config->hooks = calloc(count ? count : 1, sizeof(*reading->config->hooks));
	if (!reading->config->hooks)
		return hk_reading_refuse(reading, "hooks", "out of memory");
	reading->config->hooks_count = count;
	for (i = 0; i < count && !code; i++)
		code = read_hook(reading, i);
	return code;
}

/* --- feeds --- */

static int read_eve(struct hk_reading *reading, const struct hk_raw_eve *eve)
{
	__u64 interval = reading->config->feeds.stats_interval_s;
	int code;

	if (!eve->path)
		return hk_reading_refuse(reading, "feeds.eve", "feeds: eve has no `path`");
	code = hk_read_text(
		reading, "feeds.eve.path", "feeds: eve: path", eve->path, &reading->config->feeds.eve_path);
	if (!code)
		code = hk_read_number(reading, "feeds.eve.stats-interval", "feeds: eve: stats-interval",
			eve->stats_interval, 0, 86400, &interval);
	reading->config->feeds.stats_interval_s = (unsigned)interval;
	return code;
}

static int read_mirror(struct hk_reading *reading, const struct hk_raw_mirror *mirror)
{
	const struct hk_config *config = reading->config;
	unsigned i;

	if (!mirror->tap)
		return hk_reading_refuse(
			reading, "feeds.mirror", "feeds: mirror has no `tap`: the interface to create");
	if (strlen(mirror->tap) >= IFNAMSIZ || !hk_is_plain_name(mirror->tap, "-_.", IFNAMSIZ - 1))
		return hk_reading_refuse(reading, "feeds.mirror.tap",
			"feeds: mirror: tap: \"%.40s\" is no interface name: up to 15 letters, digits, '-', "
			"'_' and '.'",
			mirror->tap);
	for (i = 0; i < config->ports_count; i++)
		if (strcmp(config->ports[i], mirror->tap) == 0)
			return hk_reading_refuse(reading, "feeds.mirror.tap",
				"feeds: mirror: tap: \"%s\" is one of the ports", mirror->tap);
	return hk_read_text(
		reading, "feeds.mirror.tap", "tap", mirror->tap, &reading->config->feeds.mirror_tap);
}

static int read_pcapng(struct hk_reading *reading, const struct hk_raw_pcapng *pcapng)
{
	int code;

	if (!pcapng->path)
		return hk_reading_refuse(reading, "feeds.pcapng", "feeds: pcapng has no `path`");
	code = hk_read_text(reading, "feeds.pcapng.path", "feeds: pcapng: path", pcapng->path,
		&reading->config->feeds.pcapng_path);
	return code ? code
		    : hk_read_bytes(reading, "feeds.pcapng.max-bytes", "feeds: pcapng: max-bytes",
			      pcapng->max_bytes, &reading->config->feeds.pcapng_max_bytes);
}

int hk_read_feeds(struct hk_reading *reading)
{
	const struct hk_raw_feeds *feeds = &reading->raw->feeds;
	int code = 0;

	if (feeds->eve)
		code = read_eve(reading, feeds->eve);
	if (!code && feeds->mirror)
		code = read_mirror(reading, feeds->mirror);
	if (!code && feeds->pcapng)
		code = read_pcapng(reading, feeds->pcapng);
	if (!code && feeds->eve && feeds->pcapng && strcmp(feeds->eve->path, feeds->pcapng->path) == 0)
		return hk_reading_refuse(reading, "feeds.pcapng.path",
			"feeds: eve and pcapng write the same file \"%.80s\"", feeds->eve->path);
	return code;
}
