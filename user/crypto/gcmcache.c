// SPDX-License-Identifier: GPL-2.0-or-later
/* The cache of expanded GCM keys: see gcmcache.h. Its memory is wiped with the backend's state. */
#include "user/crypto/gcmcache.h"

#include <string.h>
#include <sys/random.h>

_Static_assert((HK_GCM_CACHE_SETS & (HK_GCM_CACHE_SETS - 1)) == 0, "the set comes from a mask");

void hk_gcm_cache_init(struct hk_gcm_cache *cache)
{
	/* Without randomness the cache still works; it is only easier to aim at. */
	if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK) != sizeof(cache->seed))
		cache->seed = 0x9e3779b97f4a7c15ull;
}

static unsigned set_of(const struct hk_gcm_cache *cache, __u64 id)
{
	return (unsigned)(((id ^ cache->seed) * 0x9e3779b97f4a7c15ull) >> 40) & (HK_GCM_CACHE_SETS - 1);
}

static size_t key_size(const struct hk_gcm_job *job)
{
	return job->key_size == 32 ? 32 : 16;
}

static bool holds(const struct hk_gcm_entry *entry, const struct hk_gcm_job *job)
{
	return entry->key_size == key_size(job) && hk_equal(entry->key, job->key, key_size(job));
}

static struct gcm_key_data *replace(struct hk_gcm_cache *cache, unsigned set, const struct hk_gcm_job *job)
{
	unsigned way = cache->sets[set].next++ % HK_GCM_CACHE_WAYS;
	struct hk_gcm_entry *entry = &cache->entries[set][way];

	cache->sets[set].ids[way] = job->cache_id;
	entry->key_size = (__u32)key_size(job);
	memset(entry->key, 0, sizeof(entry->key));
	memcpy(entry->key, job->key, key_size(job));
	return &entry->expanded;
}

bool hk_gcm_cache_find(struct hk_gcm_cache *cache, const struct hk_gcm_job *job, struct gcm_key_data **place)
{
	unsigned set;

	*place = &cache->scratch;
	if (!job->cache_id)
		return false;
	set = set_of(cache, job->cache_id);
	for (unsigned way = 0; way < HK_GCM_CACHE_WAYS; way++) {
		if (cache->sets[set].ids[way] == job->cache_id && holds(&cache->entries[set][way], job)) {
			*place = &cache->entries[set][way].expanded;
			return true;
		}
	}
	if (cache->sets[set].candidate == job->cache_id)
		*place = replace(cache, set, job);
	else
		cache->sets[set].candidate = job->cache_id;
	return false;
}
