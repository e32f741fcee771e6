// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration, written into maps: see tables.h. */
#include "user/dataplane/tables.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/policy.h"
#include "user/envelope/outer.h"

static int map_failed(const char *map, struct hk_error *error)
{
	return hk_error_set(error, errno, "map %s: cannot be written: %s", map, strerror(errno));
}

static bool wanted(const struct hk_receiver_entry *entries, int count, const struct hk_receiver_key *key)
{
	int i;

	for (i = 0; i < count; i++)
		if (memcmp(&entries[i].key, key, sizeof(*key)) == 0)
			return true;
	return false;
}

/* The keys now in the map; a copy, so that deleting does not disturb the walk. */
static int keys_read(int fd, struct hk_receiver_key **out)
{
	struct hk_receiver_key *keys = calloc(HK_MAP_RECEIVERS_MAX, sizeof(*keys));
	int count = 0;

	if (!keys)
		return -ENOMEM;
	while (count < HK_MAP_RECEIVERS_MAX &&
		bpf_map_get_next_key(fd, count ? &keys[count - 1] : NULL, &keys[count]) == 0)
		count++;
	*out = keys;
	return count;
}

static int receivers_remove(
	int fd, const struct hk_receiver_entry *entries, int count, struct hk_error *error)
{
	struct hk_receiver_key *keys = NULL;
	int present = keys_read(fd, &keys), i, err = 0;

	if (present < 0)
		return hk_error_set(error, -present, "map receivers: out of memory");
	for (i = 0; !err && i < present; i++)
		if (!wanted(entries, count, &keys[i]) && bpf_map_delete_elem(fd, &keys[i]) && errno != ENOENT)
			err = map_failed("receivers", error);
	free(keys);
	return err;
}

static int receivers_put(int fd, const struct hk_receiver_entry *entries, int count, struct hk_error *error)
{
	int i;

	/* longest prefixes first: a shorter one never shadows what is still to come */
	for (i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, &entries[i].key, &entries[i].value, BPF_ANY))
			return map_failed("receivers", error);
	return 0;
}

int hk_tables_receivers(
	int receivers_fd, const struct hk_config *config, unsigned steps, struct hk_error *error)
{
	struct hk_receiver_entry *entries = NULL;
	int count = hk_receivers_build(config, &entries), err = 0;

	if (count < 0)
		return hk_error_set(error, -count, "receivers: %s", strerror(-count));
	if (count > HK_MAP_RECEIVERS_MAX)
		err = hk_error_set(error, E2BIG, "receivers: %d prefixes, the map takes %d", count,
			HK_MAP_RECEIVERS_MAX);
	if (!err && (steps & HK_TABLES_REMOVE))
		err = receivers_remove(receivers_fd, entries, count, error);
	if (!err && (steps & HK_TABLES_PUT))
		err = receivers_put(receivers_fd, entries, count, error);
	free(entries);
	return err;
}

int hk_tables_policy(int policy_fd, const struct hk_config *config, struct hk_error *error)
{
	struct hk_policy_value value;
	__u32 reason;

	for (reason = 0; reason < HK_REASON_COUNT; reason++) {
		value.action = config->policy[reason];
		if (bpf_map_update_elem(policy_fd, &reason, &value, BPF_ANY))
			return map_failed("policy", error);
	}
	return 0;
}

int hk_tables_settings(int settings_fd, const struct hk_settings *settings, struct hk_error *error)
{
	__u32 zero = 0;

	return bpf_map_update_elem(settings_fd, &zero, settings, BPF_ANY) ? map_failed("settings", error) : 0;
}

int hk_tables_tx_ports(int tx_ports_fd, const __u32 *ifindex, unsigned ports, struct hk_error *error)
{
	__u32 port;

	for (port = 0; port < HK_PORTS_MAX; port++) {
		if (ports < 2)
			bpf_map_delete_elem(tx_ports_fd, &port);
		else if (bpf_map_update_elem(tx_ports_fd, &port, &ifindex[port ^ 1], BPF_ANY))
			return map_failed("tx_ports", error);
	}
	return 0;
}
