// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a running daemon can change by a reload: domains, policy, hooks and the
 * contents of the files they name. What was made once, when it had the right
 * to make it (ports, sockets, UMEM, locked memory, feeds), stays.
 */
#include "user/control/config.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

static bool equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int refuse(const struct hk_config *next, const char *key, struct hk_error *error)
{
	return hk_error_set(error, EBUSY,
		"%s: `%s` cannot change while the daemon runs: put the old value back, or restart halfkeyd",
		next->path, key);
}

static bool same_ports(const struct hk_config *now, const struct hk_config *next)
{
	unsigned i;

	if (now->ports_count != next->ports_count)
		return false;
	for (i = 0; i < now->ports_count; i++)
		if (!equal(now->ports[i], next->ports[i]))
			return false;
	return true;
}

static const char *changed_feed(const struct hk_config *now, const struct hk_config *next)
{
	if (!equal(now->feeds.eve_path, next->feeds.eve_path) ||
		now->feeds.stats_interval_s != next->feeds.stats_interval_s)
		return "feeds: eve";
	if (!equal(now->feeds.mirror_tap, next->feeds.mirror_tap))
		return "feeds: mirror";
	if (!equal(now->feeds.pcapng_path, next->feeds.pcapng_path) ||
		now->feeds.pcapng_max_bytes != next->feeds.pcapng_max_bytes)
		return "feeds: pcapng";
	return NULL;
}

static const char *changed_name(const struct hk_config *now, const struct hk_config *next)
{
	if (!equal(now->instance, next->instance))
		return "instance";
	if (!equal(now->user, next->user))
		return "user";
	if (!equal(now->control, next->control))
		return "control";
	if (!equal(now->crypto, next->crypto))
		return "crypto";
	return changed_feed(now, next);
}

int hk_config_can_replace(const struct hk_config *now, const struct hk_config *next, struct hk_error *error)
{
	const struct {
		const char *key;
		unsigned now, next;
	} numbers[] = {
		{"mode", now->mode, next->mode},
		{"attach", now->attach, next->attach},
		{"seccomp", now->seccomp, next->seccomp},
		{"queues", now->queues, next->queues},
		{"heartbeat-ms", now->heartbeat_ms, next->heartbeat_ms},
		{"frames", now->frames, next->frames},
		{"keys-max", now->keys_max, next->keys_max},
		{"flows-max", now->flows_max, next->flows_max},
	};
	const char *name;
	unsigned i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].now != numbers[i].next)
			return refuse(next, numbers[i].key, error);
	if (!same_ports(now, next))
		return refuse(next, "ports", error);
	name = changed_name(now, next);
	return name ? refuse(next, name, error) : 0;
}
