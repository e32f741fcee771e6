// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The children of inline keying: see children.h.
 *
 *   slots     what lookups compare, 64 bytes each; 8 to a bucket by name
 *   secrets   beside them: header, keys
 *   families  parent SAs, by a keyed hash of their secret, so that they outlive a reload
 *   past      what was confirmed and is gone
 *
 * A slot's generation is odd while it changes; a reader that sees it change
 * takes nothing. It never goes back, so a place names one entry for ever.
 */
#include "user/keys/children.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "user/base/hash.h"
#include "user/keys/children_past.h"

#define WAYS	   8
#define BUCKETS	   (HK_CHILDREN_MAX / WAYS)
#define KEY_WORDS  9 /* key and salt, 4 bytes each */
#define LOCK_SPINS 2000
#define MISSES_MAX 255
#define NONE	   0xffffffffu

struct slot {
	__u32 generation; /* odd: being written */
	__u32 used;
	struct hk_child_name name;
	__u16 depth;
	__u32 family;
	__u32 creations; /* under this child's own secret, confirmed */
	__u8 confirmed;
	__u8 misses; /* packets in a row that were not plausible under it */
	__u16 size;  /* of the header */
	__u64 created_ns, expires_ns;
};

struct secret {
	__u32 key[KEY_WORDS];
	struct hk_hmac_key parent;
	__u8 header[HK_CREATION_MAX];
	__u64 digest;		       /* of the creation, under its creator's secret */
	struct hk_child_place creator; /* index NONE: the family's root */
};

struct family {
	__u64 identity; /* 0: free */
	__u32 alive;
	__u32 creations; /* under the root, confirmed */
	bool kept;	 /* its root is a key still */
};

struct hk_children {
	struct slot slots[HK_CHILDREN_MAX];
	struct secret secrets[HK_CHILDREN_MAX];
	struct family families[HK_CHILD_FAMILIES_MAX];
	struct hk_child_past past;
	__u32 lock;
	__u32 family_count;
	bool locked; /* its memory */
	struct hk_children_counts counts;
};

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

static __u32 bucket_of(const struct hk_child_name *name)
{
	__u64 hash = hk_hash_address(hk_hash_seed(), &name->receiver, (__u64)name->domain << 32 | name->spi);

	return (__u32)(hash % BUCKETS) * WAYS;
}

static bool same_name(const struct hk_child_name *a, const struct hk_child_name *b)
{
	return a->spi == b->spi && a->domain == b->domain &&
	       memcmp(&a->receiver, &b->receiver, sizeof(a->receiver)) == 0;
}

/* Fewer misses first, then confirmed, then the older. */
static bool likelier(const struct slot *a, const struct slot *b)
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
	__u32 first = bucket_of(name), best = NONE, generation = 0, seen, i, words[KEY_WORDS];
	const struct slot *slot;

	for (i = first; i < first + WAYS; i++) {
		slot = &children->slots[i];
		seen = __atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE);
		if (seen & 1 || !slot->used || slot->expires_ns <= now_ns || !same_name(&slot->name, name))
			continue;
		if (best != NONE && !likelier(slot, &children->slots[best]))
			continue;
		best = i;
		generation = seen;
	}
	if (best == NONE)
		return false;
	for (i = 0; i < KEY_WORDS; i++)
		words[i] = __atomic_load_n(&children->secrets[best].key[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(key, words, sizeof(words));
	hk_wipe(words, sizeof(words));
	*place = (struct hk_child_place){best, generation};
	return __atomic_load_n(&children->slots[best].generation, __ATOMIC_RELAXED) == generation;
}

static void raise_count(__u64 *count)
{
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

/* A child that came to life counts for who created it. */
static void confirm(struct hk_children *children, struct slot *slot, __u32 index)
{
	const struct hk_child_place creator = children->secrets[index].creator;

	if (__atomic_exchange_n(&slot->confirmed, 1, __ATOMIC_RELAXED))
		return;
	raise_count(&children->counts.confirmed);
	if (creator.index == NONE)
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
	struct slot *slot = &children->slots[place->index];
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

static bool try_lock(struct hk_children *children, unsigned spins)
{
	while (__atomic_exchange_n(&children->lock, 1, __ATOMIC_ACQUIRE))
		if (!spins--)
			return false;
	return true;
}

/* Control thread: it may wait. */
static void take_lock(struct hk_children *children)
{
	while (!try_lock(children, LOCK_SPINS))
		;
}

static void give_lock(struct hk_children *children)
{
	__atomic_store_n(&children->lock, 0, __ATOMIC_RELEASE);
}

/* --- with the lock ---------------------------------------------------------------------------- */

static void begin_change(struct slot *slot)
{
	__atomic_store_n(&slot->generation, slot->generation + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void end_change(struct slot *slot)
{
	__atomic_store_n(&slot->generation, slot->generation + 1, __ATOMIC_RELEASE);
}

static void drop(struct hk_children *children, __u32 index)
{
	struct slot *slot = &children->slots[index];
	__u32 generation;

	if (slot->confirmed &&
		hk_child_past_put(&children->past, children->secrets[index].digest, slot->expires_ns))
		raise_count(&children->counts.forgotten);
	begin_change(slot);
	children->families[slot->family].alive--;
	generation = slot->generation;
	memset(slot, 0, sizeof(*slot));
	slot->generation = generation;
	hk_wipe(&children->secrets[index], sizeof(children->secrets[index]));
	end_change(slot);
	__atomic_fetch_sub(&children->counts.alive, 1, __ATOMIC_RELAXED);
}

/* Of two, the one to go first: tentative before confirmed, then the older. */
static bool goes_first(const struct slot *a, const struct slot *b)
{
	bool a_confirmed = __atomic_load_n(&a->confirmed, __ATOMIC_RELAXED);
	bool b_confirmed = __atomic_load_n(&b->confirmed, __ATOMIC_RELAXED);

	return a_confirmed != b_confirmed ? b_confirmed : a->created_ns < b->created_ns;
}

/* Makes room among slots [first, end) of one family (NONE: of any). `spared` stays: it is creating. */
static bool evict(struct hk_children *children, __u32 first, __u32 end, __u32 family, __u32 spared)
{
	__u32 i, worst = NONE;

	for (i = first; i < end; i++) {
		if (!children->slots[i].used || i == spared ||
			(family != NONE && children->slots[i].family != family))
			continue;
		if (worst == NONE || goes_first(&children->slots[i], &children->slots[worst]))
			worst = i;
	}
	if (worst == NONE)
		return false;
	drop(children, worst);
	raise_count(&children->counts.evicted);
	return true;
}

static __u64 identity_of(const struct hk_hmac_key *root)
{
	const __u64 *seed = hk_hash_seed();
	__u64 words[4];

	memcpy(words, root->inner, sizeof(words));
	return hk_hash_fold(hk_hash_fold(words[0] ^ seed[0], words[1] ^ seed[1]) ^ words[2] ^ seed[2],
		       words[3] ^ seed[3]) |
	       1;
}

/* The family of a root, new if it has none; NONE when there are too many. */
static __u32 need_family(struct hk_children *children, __u64 identity)
{
	__u32 i, empty = NONE;

	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++) {
		if (children->families[i].identity == identity)
			return i;
		if (!children->families[i].identity && empty == NONE)
			empty = i;
	}
	if (empty == NONE)
		return NONE;
	children->families[empty] = (struct family){.identity = identity, .kept = true};
	children->family_count++;
	return empty;
}

/* Who creates, as the table knows it. */
struct creator {
	const struct hk_hmac_key *secret;
	__u32 family;
	__u32 creations;
	struct hk_child_place place; /* index NONE: a root */
	__u16 depth;
};

static bool find_creator(
	struct hk_children *children, const struct hk_child_creator *given, struct creator *out)
{
	struct slot *slot;

	if (given->root) {
		out->family = need_family(children, identity_of(given->root));
		if (out->family == NONE)
			return false;
		out->secret = given->root;
		out->creations =
			__atomic_load_n(&children->families[out->family].creations, __ATOMIC_RELAXED);
		out->place = (struct hk_child_place){.index = NONE};
		out->depth = 0;
		return true;
	}
	slot = &children->slots[given->place.index];
	if (slot->generation != given->place.generation || !slot->used || slot->depth >= HK_CHILD_DEPTH_MAX)
		return false;
	out->secret = &children->secrets[given->place.index].parent;
	out->family = slot->family;
	out->creations = __atomic_load_n(&slot->creations, __ATOMIC_RELAXED);
	out->place = given->place;
	out->depth = slot->depth;
	return true;
}

/* The same header under the same family: its nonces and F name the child. */
static bool is_known(const struct hk_children *children, const struct hk_child_name *name,
	const struct creator *creator, const __u8 *header, __u32 size)
{
	__u32 first = bucket_of(name), i;
	const struct slot *slot;

	for (i = first; i < first + WAYS; i++) {
		slot = &children->slots[i];
		if (slot->used && slot->family == creator->family && slot->depth == creator->depth + 1 &&
			slot->size == size && same_name(&slot->name, name) &&
			memcmp(children->secrets[i].header + 1, header + 1, size - 1) == 0)
			return true; /* the next header (byte 0) is the packet's, not the child's */
	}
	return false;
}

/* The creation under its secret, in 8 bytes that nobody can aim at. */
static __u64 digest_of(
	const struct creator *creator, const struct hk_child_name *name, const __u8 *header, __u32 size)
{
	const __u64 *seed = hk_hash_seed();
	__u64 digest = hk_hash_address(seed, &name->receiver, identity_of(creator->secret)), word;
	__u32 at;

	for (at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, header + at, sizeof(word));
		if (!at)
			*(__u8 *)&word = 0; /* the next header is the packet's, not the child's */
		digest = hk_hash_fold(digest ^ seed[0], word ^ seed[3]);
	}
	return digest | 1;
}

/* What is over in the bucket goes now, so that it is remembered before anything else is asked. */
static void drop_expired(struct hk_children *children, __u32 first, __u64 now_ns)
{
	__u32 i;

	for (i = first; i < first + WAYS; i++) {
		if (!children->slots[i].used || children->slots[i].expires_ns > now_ns)
			continue;
		drop(children, i);
		raise_count(&children->counts.expired);
	}
}

static __u32 find_free(const struct hk_children *children, __u32 first)
{
	__u32 i;

	for (i = first; i < first + WAYS; i++)
		if (!children->slots[i].used)
			return i;
	return NONE;
}

static __u32 find_room(struct hk_children *children, __u32 first, __u32 spared)
{
	__u32 index = find_free(children, first);

	if (index != NONE)
		return index;
	evict(children, first, first + WAYS, NONE, spared);
	return find_free(children, first);
}

/* What becomes an entry. */
struct entry {
	const struct hk_child_name *name;
	const __u8 *header;
	__u32 size;
	__u64 digest, now_ns, expires_ns;
};

static void fill(struct hk_children *children, __u32 index, const struct creator *creator,
	const struct entry *entry, const struct hk_child_secrets *secrets)
{
	struct slot *slot = &children->slots[index];
	struct secret *secret = &children->secrets[index];

	begin_change(slot);
	memcpy(secret->key, secrets->key, 32);
	memcpy(&secret->key[8], secrets->salt, 4);
	hk_hmac_key_init(&secret->parent, secrets->parent, sizeof(secrets->parent));
	memcpy(secret->header, entry->header, entry->size);
	secret->digest = entry->digest;
	secret->creator = creator->place;
	slot->name = *entry->name;
	slot->family = creator->family;
	slot->depth = creator->depth + 1;
	slot->creations = 0;
	slot->confirmed = slot->misses = 0;
	slot->size = (__u16)entry->size;
	slot->created_ns = entry->now_ns;
	slot->expires_ns = entry->expires_ns;
	slot->used = 1;
	end_change(slot);
	children->families[creator->family].alive++;
	__atomic_fetch_add(&children->counts.alive, 1, __ATOMIC_RELAXED);
}

static enum hk_child_added add(struct hk_children *children, struct hk_crypto *crypto,
	const struct hk_child_creator *given, const struct hk_child_name *name, const __u8 *header,
	__u32 size, const struct hk_child_limits *limits, __u64 now_ns)
{
	struct entry entry = {.name = name, .header = header, .size = size, .now_ns = now_ns};
	struct hk_child_secrets secrets;
	struct hk_creation creation;
	struct creator creator;
	__u32 index;

	drop_expired(children, bucket_of(name), now_ns);
	if (!find_creator(children, given, &creator))
		return HK_CHILD_REFUSED;
	if (is_known(children, name, &creator, header, size))
		return HK_CHILD_KNOWN;
	hk_creation_parse(header, size, &creation);
	entry.expires_ns = now_ns + hk_child_honoured(creation.lifetime) * 1000000000ull;
	entry.digest = digest_of(&creator, name, header, size);
	if (hk_child_past_find(&children->past, entry.digest, &entry.expires_ns) &&
		entry.expires_ns <= now_ns)
		return HK_CHILD_OVER;
	if (creator.creations >= limits->creations || !limits->children)
		return HK_CHILD_REFUSED;
	if (children->families[creator.family].alive >= limits->children &&
		!evict(children, 0, HK_CHILDREN_MAX, creator.family, creator.place.index))
		return HK_CHILD_REFUSED;
	index = find_room(children, bucket_of(name), creator.place.index);
	if (index == NONE)
		return HK_CHILD_REFUSED;
	hk_inline_child(crypto, creator.secret, HK_SIDE_ENC, header, size, &secrets);
	fill(children, index, &creator, &entry, &secrets);
	hk_wipe(&secrets, sizeof(secrets));
	return HK_CHILD_ADDED;
}

enum hk_child_added hk_children_add(struct hk_children *children, struct hk_crypto *crypto,
	const struct hk_child_creator *creator, const struct hk_child_name *name, const __u8 *header,
	__u32 size, const struct hk_child_limits *limits, __u64 now_ns)
{
	enum hk_child_added added = HK_CHILD_BUSY;

	if (try_lock(children, LOCK_SPINS)) {
		added = add(children, crypto, creator, name, header, size, limits, now_ns);
		give_lock(children);
	}
	switch (added) {
	case HK_CHILD_ADDED: raise_count(&children->counts.created); break;
	case HK_CHILD_KNOWN: raise_count(&children->counts.known); break;
	case HK_CHILD_OVER: raise_count(&children->counts.over); break;
	default: raise_count(&children->counts.refused); break;
	}
	return added;
}

/* The lock is given back between buckets: workers never wait for a whole pass. */
void hk_children_expire(struct hk_children *children, __u64 now_ns)
{
	__u32 first;

	for (first = 0; first < HK_CHILDREN_MAX; first += WAYS) {
		take_lock(children);
		drop_expired(children, first, now_ns);
		give_lock(children);
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

	take_lock(children);
	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++)
		children->families[i].kept = false;
	give_lock(children);
}

void hk_children_retain_keep(struct hk_children *children, const struct hk_hmac_key *root)
{
	__u64 identity = identity_of(root);
	__u32 i;

	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++)
		if (__atomic_load_n(&children->families[i].identity, __ATOMIC_RELAXED) == identity)
			children->families[i].kept = true;
}

void hk_children_retain_end(struct hk_children *children)
{
	struct family *family;
	__u32 i;

	for (i = 0; i < HK_CHILDREN_MAX; i++) {
		if (!__atomic_load_n(&children->slots[i].used, __ATOMIC_RELAXED))
			continue;
		take_lock(children);
		if (children->slots[i].used && !children->families[children->slots[i].family].kept) {
			drop(children, i);
			raise_count(&children->counts.expired);
		}
		give_lock(children);
	}
	take_lock(children);
	for (i = 0; i < HK_CHILD_FAMILIES_MAX; i++) {
		family = &children->families[i];
		if (!family->identity || family->kept || family->alive)
			continue;
		family->identity = 0;
		children->family_count--;
	}
	give_lock(children);
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
