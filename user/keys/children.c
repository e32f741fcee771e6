// SPDX-License-Identifier: GPL-2.0-or-later
/* The children of inline keying: looking them up, settling them, and their table. See children.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "user/keys/children_table.h"

#define MISSES_MAX 255

struct hk_children *hk_children_new(void)
{
	struct hk_children *children =
		mmap(NULL, sizeof(*children), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (children == MAP_FAILED)
		return NULL;
	if (madvise(children, sizeof(*children), MADV_DONTDUMP) ||
		madvise(children, sizeof(*children), MADV_WIPEONFORK)) {
		munmap(children, sizeof(*children));
		return NULL;
	}
	memset(children, 0, sizeof(*children)); /* touches its pages */
	children->locked = mlock(children, sizeof(*children)) == 0;
	return children;
}

void hk_children_free(struct hk_children *children)
{
	if (!children)
		return;
	hk_wipe(children, sizeof(*children));
	munmap(children, sizeof(*children));
}

bool hk_children_locked(const struct hk_children *children)
{
	return children->locked;
}

size_t hk_children_size(void)
{
	return sizeof(struct hk_children);
}

/* Fewer misses first, then confirmed, then the older. */
static bool likelier(const struct hk_child_slot *a, const struct hk_child_slot *b)
{
	__u8 a_misses = __atomic_load_n(&a->misses, __ATOMIC_RELAXED);
	__u8 b_misses = __atomic_load_n(&b->misses, __ATOMIC_RELAXED);

	if (a_misses != b_misses)
		return a_misses < b_misses;
	if (a->confirmed != b->confirmed)
		return a->confirmed;
	return a->created_ns < b->created_ns;
}

bool hk_children_find(const struct hk_children *children, const struct hk_child_name *name, __u64 now_ns,
	__u8 key[36], struct hk_child_place *place)
{
	__u32 first = hk_child_bucket(name), best = HK_CHILD_NONE, generation = 0, seen, i,
	      words[HK_CHILD_KEY_WORDS];
	const struct hk_child_slot *slot;

	for (i = first; i < first + HK_CHILD_WAYS; i++) {
		slot = &children->slots[i];
		seen = __atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE);
		if (seen & 1 || !slot->used || slot->expires_ns <= now_ns ||
			!hk_child_same_name(&slot->name, name))
			continue;
		if (best != HK_CHILD_NONE && !likelier(slot, &children->slots[best]))
			continue;
		best = i;
		generation = seen;
	}
	if (best == HK_CHILD_NONE)
		return false;
	for (i = 0; i < HK_CHILD_KEY_WORDS; i++)
		words[i] = __atomic_load_n(&children->secrets[best].key[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(key, words, sizeof(words));
	hk_wipe(words, sizeof(words));
	*place = (struct hk_child_place){best, generation};
	return __atomic_load_n(&children->slots[best].generation, __ATOMIC_RELAXED) == generation;
}

/* A child that came to life counts for who created it. */
static void confirm(struct hk_children *children, struct hk_child_slot *slot, __u32 index)
{
	const struct hk_child_place creator = children->secrets[index].creator;

	if (__atomic_exchange_n(&slot->confirmed, 1, __ATOMIC_RELAXED))
		return;
	hk_child_count_up(&children->counts.confirmed);
	if (creator.index == HK_CHILD_NONE)
		__atomic_fetch_add(&children->families[slot->family].creations, 1, __ATOMIC_RELAXED);
	else if (__atomic_load_n(&children->slots[creator.index].generation, __ATOMIC_ACQUIRE) ==
		 creator.generation)
		__atomic_fetch_add(&children->slots[creator.index].creations, 1, __ATOMIC_RELAXED);
}

/*
 * The slot may change hands between the check and the store: then one packet's
 * outcome is put down to another entry, which the next packets put right.
 */
void hk_child_settle(struct hk_children *children, const struct hk_child_place *place, bool plausible)
{
	struct hk_child_slot *slot = &children->slots[place->index];
	__u8 misses = __atomic_load_n(&slot->misses, __ATOMIC_RELAXED);

	if (__atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE) != place->generation)
		return;
	if (!plausible) {
		if (misses < MISSES_MAX)
			__atomic_store_n(&slot->misses, misses + 1, __ATOMIC_RELAXED);
		return;
	}
	if (misses)
		__atomic_store_n(&slot->misses, 0, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&slot->confirmed, __ATOMIC_RELAXED))
		confirm(children, slot, place->index);
}

bool hk_children_try_lock(struct hk_children *children, unsigned spins)
{
	while (__atomic_exchange_n(&children->lock, 1, __ATOMIC_ACQUIRE))
		if (!spins--)
			return false;
	return true;
}

void hk_children_lock(struct hk_children *children)
{
	while (!hk_children_try_lock(children, HK_CHILD_LOCK_SPINS))
		;
}

void hk_children_unlock(struct hk_children *children)
{
	__atomic_store_n(&children->lock, 0, __ATOMIC_RELEASE);
}

/* --- with the lock --- */

void hk_child_drop(struct hk_children *children, __u32 index)
{
	struct hk_child_slot *slot = &children->slots[index];
	__u32 generation;

	if (slot->confirmed &&
		hk_child_past_put(&children->past, children->secrets[index].digest, slot->expires_ns))
		hk_child_count_up(&children->counts.forgotten);
	hk_child_line_leave(children, index);
	hk_child_begin_change(slot);
	children->families[slot->family].alive--;
	generation = slot->generation;
	memset(slot, 0, sizeof(*slot));
	slot->generation = generation;
	hk_wipe(&children->secrets[index], sizeof(children->secrets[index]));
	hk_child_end_change(slot);
	__atomic_fetch_sub(&children->counts.alive, 1, __ATOMIC_RELAXED);
}

void hk_child_drop_expired(struct hk_children *children, __u32 first, __u64 now_ns)
{
	__u32 i;

	for (i = first; i < first + HK_CHILD_WAYS; i++) {
		if (!children->slots[i].used || children->slots[i].expires_ns > now_ns)
			continue;
		hk_child_drop(children, i);
		hk_child_count_up(&children->counts.expired);
	}
}

__u64 hk_child_identity(const struct hk_hmac_key *root)
{
	const __u64 *seed = hk_hash_seed();
	__u64 words[4];

	memcpy(words, root->inner, sizeof(words));
	return hk_hash_fold(hk_hash_fold(words[0] ^ seed[0], words[1] ^ seed[1]) ^ words[2] ^ seed[2],
		       words[3] ^ seed[3]) |
	       1;
}

void hk_children_count(const struct hk_children *children, struct hk_children_counts *out)
{
	out->created = __atomic_load_n(&children->counts.created, __ATOMIC_RELAXED);
	out->known = __atomic_load_n(&children->counts.known, __ATOMIC_RELAXED);
	out->over = __atomic_load_n(&children->counts.over, __ATOMIC_RELAXED);
	out->forgotten = __atomic_load_n(&children->counts.forgotten, __ATOMIC_RELAXED);
	out->refused = __atomic_load_n(&children->counts.refused, __ATOMIC_RELAXED);
	out->evicted = __atomic_load_n(&children->counts.evicted, __ATOMIC_RELAXED);
	out->expired = __atomic_load_n(&children->counts.expired, __ATOMIC_RELAXED);
	out->confirmed = __atomic_load_n(&children->counts.confirmed, __ATOMIC_RELAXED);
	out->alive = __atomic_load_n(&children->counts.alive, __ATOMIC_RELAXED);
}
