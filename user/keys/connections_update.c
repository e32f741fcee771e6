// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes to the TLS connections of a keyring in use: the calls of update.h,
 * where the domain is one of TLS.
 *
 *   prepare   reads the text, what is new is staged in memory of its own
 *   commit    (workers pause) what goes is wiped, what is new takes rows; where
 *             none is free the one asked for longest ago gives way
 *
 * Of two lines for one connection the later one counts, as in a log. A log that
 * has grown is read from where it ended before, so that what was retired or
 * gave way since does not come back with each line.
 */
#include "user/keys/connections_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "user/keys/load.h"

struct staged {
	struct hk_tls_secret secret;
	__u32 line;
};

struct hk_tls_change {
	struct hk_keyring *keyring;
	const struct hk_key_update *update; /* while preparing */
	const struct hk_domain_config *domain;
	__u32 source;
	struct staged *staged; /* a mapping of its own: keys */
	__u32 staged_count, staged_room;
	__u32 *gone;
	__u32 gone_count, gone_room;
	__u32 lines; /* whole ones in the text */
	__u64 digest;
	struct hk_tls_log *log; /* NULL: not a log */
	struct hk_key_result result;
};

/* --- what is staged --- */

static struct staged *map_staged(__u32 room)
{
	struct staged *staged = mmap(
		NULL, room * sizeof(*staged), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (staged == MAP_FAILED)
		return NULL;
	(void)mlock(staged, room * sizeof(*staged)); /* not everywhere allowed; said once, at the start */
	(void)madvise(staged, room * sizeof(*staged), MADV_DONTDUMP);
	return staged;
}

static void unmap_staged(struct staged *staged, __u32 count, __u32 room)
{
	if (!staged)
		return;
	hk_wipe(staged, count * sizeof(*staged));
	munmap(staged, room * sizeof(*staged));
}

static int stage(struct hk_tls_change *change, const struct hk_tls_secret *secret, __u32 line)
{
	__u32 room = change->staged_room ? 2 * change->staged_room : 64;
	struct staged *more;

	if (change->staged_count == change->staged_room) {
		more = map_staged(room);
		if (!more)
			return -ENOMEM;
		if (change->staged)
			memcpy(more, change->staged, change->staged_count * sizeof(*more));
		unmap_staged(change->staged, change->staged_count, change->staged_room);
		change->staged = more;
		change->staged_room = room;
	}
	change->staged[change->staged_count++] = (struct staged){.secret = *secret, .line = line};
	return 0;
}

static int goes(struct hk_tls_change *change, __u32 index)
{
	__u32 room = change->gone_room ? 2 * change->gone_room : 64, *more;

	if (change->gone_count == change->gone_room) {
		more = realloc(change->gone, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		change->gone = more;
		change->gone_room = room;
	}
	change->gone[change->gone_count++] = index;
	change->keyring->tls->rows[index].going = true;
	return 0;
}

/* --- preparing --- */

static int retire(struct hk_tls_change *change, __u32 index, __u32 line, struct hk_error *error)
{
	if (index == HK_KEY_NONE || change->keyring->tls->rows[index].going)
		return hk_error_set(error, ENOENT,
			"%s:%u: retire: there is no such connection in domain '%s'", change->update->name,
			line, change->domain->name);
	change->result.retired++;
	return goes(change, index);
}

static bool same_secret(const struct hk_tls_secret *a, const struct hk_tls_secret *b)
{
	return a->key_size == b->key_size && hk_equal(a->master, b->master, sizeof(a->master)) &&
	       hk_equal(a->keys[0], b->keys[0], sizeof(a->keys)) &&
	       hk_equal(a->ivs[0], b->ivs[0], sizeof(a->ivs));
}

static int take(void *context, const struct hk_tls_secret *given, unsigned line, struct hk_error *error)
{
	struct hk_tls_change *change = context;
	struct hk_tls_connections *table = change->keyring->tls;
	struct hk_tls_secret secret = *given;
	int result = 0;
	__u32 index;

	secret.tuple.domain = change->domain->id;
	index = hk_tls_find(table, change->domain->id, &secret);
	if (secret.retire) {
		result = retire(change, index, line, error);
	} else if (index != HK_KEY_NONE && same_secret(table->rows[index].secret, &secret)) {
		table->rows[index].going = false;
		change->result.known++;
	} else if (stage(change, &secret, line)) {
		result = hk_error_set(error, ENOMEM, "%s:%u: out of memory", change->update->name, line);
	}
	hk_wipe(&secret, sizeof(secret));
	return result;
}

static __u64 digest_line(__u64 digest, const char *text, size_t size)
{
	const __u64 *seed = hk_hash_seed();
	__u64 word;
	size_t at;

	for (at = 0; at < size; at += sizeof(word)) {
		word = 0;
		memcpy(&word, text + at, size - at < sizeof(word) ? size - at : sizeof(word));
		digest = hk_hash_fold(digest ^ word ^ seed[0], seed[1] | 1);
	}
	return hk_hash_fold(digest ^ size, seed[2] | 1);
}

/* Counts whole lines. True: the log was read before, and says what it said, and perhaps more. */
static bool read_before(struct hk_tls_change *change)
{
	const struct hk_tls_log *log = change->log;
	const char *text = change->update->text;
	bool same = false;
	size_t size;

	for (; text[size = strcspn(text, "\n")]; text += size + 1) {
		change->digest = digest_line(change->digest, text, size);
		if (++change->lines == log->lines)
			same = change->digest == log->digest;
	}
	return same;
}

/* What a log does not say any more goes. */
static int mark_source(struct hk_tls_change *change)
{
	struct hk_tls_connections *table = change->keyring->tls;
	const struct hk_tls_row *row;
	__u32 index;
	int result = 0;

	for (index = table->oldest; index != HK_KEY_NONE && !result; index = row->newer) {
		row = &table->rows[index];
		if (row->source == change->source && row->domain == change->domain->id)
			result = goes(change, index);
	}
	return result;
}

static struct hk_tls_log *log_of(struct hk_tls_change *change)
{
	struct hk_tls_connections *table = change->keyring->tls;
	struct hk_tls_log *logs;
	unsigned i;

	for (i = 0; i < table->logs_count; i++)
		if (table->logs[i].source == change->source && table->logs[i].domain == change->domain->id)
			return &table->logs[i];
	logs = realloc(table->logs, (table->logs_count + 1) * sizeof(*logs));
	if (!logs)
		return NULL;
	table->logs = logs;
	logs[i] = (struct hk_tls_log){.domain = change->domain->id, .source = change->source};
	table->logs_count++;
	return &logs[i];
}

static int read_log(struct hk_tls_change *change, struct hk_keylog_reading *reading, struct hk_error *error)
{
	const char *name = change->update->name, *keys = change->domain->keys;
	bool own = keys && strcmp(name, keys) == 0; /* its `keys`, not a file of keys-dir */
	__u32 i;
	int result = 0;

	change->source = own ? HK_SOURCE_KEYS : hk_key_source(change->keyring, name);
	change->log = log_of(change);
	if (!change->log || (!change->source && !own))
		return hk_error_set(error, ENOMEM, "%s: out of memory", name);
	if (read_before(change))
		reading->first = change->log->lines + 1;
	else
		result = mark_source(change);
	if (!result)
		result = hk_keylog_read(reading, error);
	for (i = 0; i < change->gone_count; i++)
		change->result.retired += change->keyring->tls->rows[change->gone[i]].going;
	return result;
}

static int read_text(struct hk_tls_change *change, struct hk_error *error)
{
	const struct hk_key_update *update = change->update;
	struct hk_keylog_reading reading = {.name = update->name,
		.text = update->text,
		.kind = update->whole ? HK_KEYLOG_FILE : HK_KEYLOG_UPDATE,
		.first = 1,
		.take = take,
		.context = change};

	if (update->rotate)
		return hk_error_set(error, EINVAL,
			"domain '%s': keys of TLS connections have no generations: use `keys add`",
			update->domain->name);
	if (update->whole)
		return read_log(change, &reading, error);
	change->source = HK_SOURCE_CONTROL;
	return hk_keylog_read(&reading, error);
}

int hk_tls_change_prepare(struct hk_tls_change **out, struct hk_keyring *keyring,
	const struct hk_key_update *update, struct hk_error *error)
{
	struct hk_tls_change *change = hk_tls_table(keyring) ? calloc(1, sizeof(*change)) : NULL;
	int result;

	if (!change) {
		hk_error_set(error, ENOMEM, "%s: no memory for its connections", update->name);
		return -ENOMEM;
	}
	change->keyring = keyring;
	change->update = update;
	change->domain = update->domain;
	result = read_text(change, error);
	if (result) {
		hk_tls_change_free(change);
		hk_error_set(error, -result, "%s: %s", update->name, strerror(-result));
		return result;
	}
	*out = change;
	return 0;
}

/* --- committing --- */

static void drop_gone(struct hk_tls_change *change)
{
	__u32 i;

	for (i = 0; i < change->gone_count; i++)
		if (change->keyring->tls->rows[change->gone[i]].going)
			hk_tls_drop(change->keyring, change->gone[i]);
	change->gone_count = 0;
}

static int put(struct hk_tls_change *change, const struct staged *staged, struct hk_error *error)
{
	struct hk_keyring *keyring = change->keyring;
	struct hk_tls_row *row;
	__u32 index = hk_tls_find(keyring->tls, change->domain->id, &staged->secret);

	if (index != HK_KEY_NONE) { /* the later line counts */
		hk_tls_drop(keyring, index);
		change->result.retired++;
	}
	index = hk_tls_add(keyring, change->domain->id, &staged->secret);
	while (index == HK_KEY_NONE && hk_tls_evict(keyring)) {
		change->result.evicted++;
		index = hk_tls_add(keyring, change->domain->id, &staged->secret);
	}
	if (index == HK_KEY_NONE)
		return hk_error_set(error, ENOSPC,
			"domain '%s': other keys take all room of keys-max %u: raise it and restart",
			change->domain->name, keyring->capacity);
	row = &keyring->tls->rows[index];
	row->source = change->source;
	row->line = staged->line;
	row->config = change->domain;
	return 0;
}

/*
 * What was put before a refusal stays: there is one only where no connection at
 * all finds room, and then nothing was put.
 */
int hk_tls_change_commit(struct hk_tls_change *change, struct hk_key_result *result, struct hk_error *error)
{
	__u32 i;
	int code = 0;

	drop_gone(change);
	for (i = 0; i < change->staged_count && !code; i++)
		code = put(change, &change->staged[i], error);
	hk_key_serial(change->keyring);
	if (code)
		return code;
	change->result.added = change->staged_count;
	if (change->log) {
		change->log->lines = change->lines;
		change->log->digest = change->digest;
	}
	if (result)
		*result = change->result;
	return 0;
}

void hk_tls_change_free(struct hk_tls_change *change)
{
	__u32 i;

	if (!change)
		return;
	for (i = 0; i < change->gone_count; i++)
		change->keyring->tls->rows[change->gone[i]].going = false;
	unmap_staged(change->staged, change->staged_count, change->staged_room);
	free(change->gone);
	free(change);
}

/* --- keyrings that nobody uses yet --- */

int hk_keyring_load_tls(struct hk_keyring *keyring, const struct hk_domain_config *domain, const char *name,
	const char *text, struct hk_error *error)
{
	struct hk_key_update update = {.domain = domain, .name = name, .text = text, .whole = true};
	struct hk_tls_change *change = NULL;
	int result = hk_tls_change_prepare(&change, keyring, &update, error);

	if (!result)
		result = hk_tls_change_commit(change, NULL, error);
	hk_tls_change_free(change);
	return result;
}

static const struct hk_domain_config *tls_domain(const struct hk_config *config, unsigned id)
{
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		if (config->domains[i].id == id && config->domains[i].envelope == HK_ENVELOPE_TLS)
			return &config->domains[i];
	return NULL;
}

unsigned hk_keyring_carry_tls(
	struct hk_keyring *now, const struct hk_keyring *previous, const struct hk_config *config)
{
	const struct hk_tls_connections *table = previous->tls;
	struct hk_tls_change change = {.keyring = now, .source = HK_SOURCE_CONTROL};
	struct staged staged = {.line = 0};
	struct hk_error error = {""};
	const struct hk_tls_row *row;
	unsigned left = 0;
	__u32 index;

	for (index = table ? table->oldest : HK_KEY_NONE; index != HK_KEY_NONE; index = row->newer) {
		row = &table->rows[index];
		if (row->source != HK_SOURCE_CONTROL)
			continue;
		change.domain = tls_domain(config, row->domain);
		staged.secret = *row->secret;
		staged.line = row->line;
		if (!change.domain || !hk_tls_table(now))
			left++;
		else if (hk_tls_find(now->tls, row->domain, row->secret) == HK_KEY_NONE)
			left += put(&change, &staged, &error) != 0;
	}
	hk_wipe(&staged, sizeof(staged));
	if (table && now->tls)
		now->tls->evicted += table->evicted;
	return left;
}
