// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Between keyring and children: a parent that is no key any more, whether by a
 * reload, by the end of its time or because it was taken away, takes its children along.
 */
#include "user/keys/children.h"
#include "user/keys/tables.h"

struct hk_children *hk_keyring_children(const struct hk_keyring *keyring)
{
	return keyring->children;
}

static void keep_families(const struct hk_keyring *keyring)
{
	const struct hk_key_entry *entry;
	unsigned i;

	for (i = 0; i < keyring->top; i++) {
		entry = &keyring->entries[i];
		if (entry->id && entry->cell && entry->linked && entry->state == HK_ENTRY_LIVE &&
			entry->row.is_root)
			hk_children_retain_keep(
				keyring->children, &((const struct hk_key_root_cell *)entry->cell)->hmac);
	}
}

void hk_keyring_expire_children(const struct hk_keyring *keyring, __u64 now_ns)
{
	if (!keyring->children || !hk_children_used(keyring->children))
		return;
	hk_children_retain_begin(keyring->children);
	keep_families(keyring);
	hk_children_retain_end(keyring->children);
	hk_children_expire(keyring->children, now_ns);
}
