// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The outer parser in userspace: see outer.h. All parsing is bpf/parse/'s; here
 * is only the longest-prefix lookup that the kernel's LPM map does for XDP.
 */
#include "user/envelope/outer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/parse/outer.h"

/* Entries of one prefix length, sorted by address. */
struct prefix_group {
	__u32 length;
	size_t count;
	const struct hk_receiver_entry *entries;
};

struct hk_outer {
	struct hk_receiver_entry *entries;
	unsigned group_count;
	struct prefix_group groups[129]; /* longest first */
};

static int compare_address(const void *address, const void *entry)
{
	return memcmp(
		address, &((const struct hk_receiver_entry *)entry)->key.address, sizeof(struct hk_address));
}

static struct hk_address first_bits(const struct hk_address *address, __u32 length)
{
	struct hk_address masked = {0};

	memcpy(masked.bytes, address->bytes, length / 8);
	if (length % 8)
		masked.bytes[length / 8] = address->bytes[length / 8] & (__u8)(0xff00 >> length % 8);
	return masked;
}

static const struct hk_receiver_value *hk_receiver_find(const void *table, const struct hk_address *address)
{
	const struct hk_outer *outer = table;
	const struct hk_receiver_entry *entry;
	const struct prefix_group *group;
	struct hk_address masked;
	unsigned i;

	for (i = 0; i < outer->group_count; i++) {
		group = &outer->groups[i];
		masked = first_bits(address, group->length);
		entry = bsearch(&masked, group->entries, group->count, sizeof(*entry), compare_address);
		if (entry)
			return &entry->value;
	}
	return NULL;
}

struct hk_outer *hk_outer_new(const struct hk_config *config)
{
	struct hk_outer *outer = calloc(1, sizeof(*outer));
	struct prefix_group *group = NULL;
	int count, i;

	if (!outer)
		return NULL;
	count = hk_receivers_build(config, &outer->entries);
	if (count < 0) {
		free(outer);
		errno = -count;
		return NULL;
	}
	for (i = 0; i < count; i++) {
		if (!group || group->length != outer->entries[i].key.prefixlen) {
			group = &outer->groups[outer->group_count++];
			group->length = outer->entries[i].key.prefixlen;
			group->entries = &outer->entries[i];
		}
		group->count++;
	}
	return outer;
}

void hk_outer_free(struct hk_outer *outer)
{
	if (!outer)
		return;
	free(outer->entries);
	free(outer);
}

unsigned hk_outer_parse(
	const struct hk_outer *outer, const __u8 *frame, __u32 length, unsigned port, struct hk_meta *meta)
{
	hk_frame_source source = {.data = frame, .data_end = frame + length};
	struct hk_packet packet = {0};
	unsigned reason;

	memset(meta, 0, sizeof(*meta));
	reason = hk_outer_run(&source, outer, &packet, meta);
	meta->port = (__u8)port;
	return reason;
}
