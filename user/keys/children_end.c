// SPDX-License-Identifier: GPL-2.0-or-later
/* Children whose time is over, or whose parent is no key any more. See children.h. Control thread. */
#include "user/keys/children_table.h"

/* The lock is given back between buckets: workers never wait for a whole pass. */
void hk_children_expire(struct hk_children *children, __u64 now_ns)
{
	__u32 first;

	for (first = 0; first < HK_CHILDREN_MAX; first += HK_CHILD_WAYS) {
		hk_children_lock(children);
		hk_child_drop_expired(children, first, now_ns);
		hk_children_unlock(children);
	}
}

bool hk_children_used(const struct hk_children *children)
{
	return __atomic_load_n(&children->family_count, __ATOMIC_RELAXED);
}

/* A family that comes up between begin and end is kept: its mark is made with it. */
void hk_children_retain_begin(struct hk_children *children)
{
	__u32 i;

	hk_children_lock(children);
	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++)
		children->families[i].kept = false;
	hk_children_unlock(children);
}

void hk_children_retain_keep(struct hk_children *children, const struct hk_hmac_key *root)
{
	__u64 identity = hk_child_identity(root);
	__u32 i;

	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++)
		if (__atomic_load_n(&children->families[i].identity, __ATOMIC_RELAXED) == identity)
			children->families[i].kept = true;
}

void hk_children_retain_end(struct hk_children *children)
{
	struct hk_child_family *family;
	__u32 i;

	for (i = 0; i < HK_CHILDREN_MAX; i++) {
		if (!__atomic_load_n(&children->slots[i].used, __ATOMIC_RELAXED))
			continue;
		hk_children_lock(children);
		if (children->slots[i].used && !children->families[children->slots[i].family].kept) {
			hk_child_drop(children, i);
			hk_child_count_up(&children->counts.expired);
		}
		hk_children_unlock(children);
	}
	hk_children_lock(children);
	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++) {
		family = &children->families[i];
		if (!family->identity || family->kept || family->alive)
			continue;
		family->identity = 0;
		children->family_count--;
	}
	hk_children_unlock(children);
}
