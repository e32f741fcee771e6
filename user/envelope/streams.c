// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP streams in fixed memory: see streams.h. */
#include "user/envelope/streams.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <halfkey/crypto.h>

#include "user/base/hash.h"
#include "user/envelope/envelope.h"

#define NOBODY 0xffffffffu

struct range {
	__u32 from, to; /* counted from the stream's `next` */
};

struct hk_window {
	struct hk_stream *owner; /* NULL: free */
	__u32 older, newer;	 /* by when bytes came; of a free one `newer` is the next free one */
	__u32 count;
	struct range ranges[HK_WINDOW_RANGES]; /* in order, apart from each other */
	__u8 bytes[HK_WINDOW];
};

struct note {
	__u8 frame;
	struct hk_stream *stream;
	__u64 born;
};

struct hk_streams {
	size_t map_size;
	struct hk_stream *streams;
	struct hk_window *windows;
	__u32 *heads; /* hash chains */
	__u32 streams_count, windows_count, heads_mask;
	__u32 oldest, newest, free;
	__u32 oldest_window, newest_window, free_window;
	__u64 clock;
	__u64 *evicted;
	__u8 *plain;
	size_t plain_size, plain_used;
	unsigned notes_count;
	struct note notes[HK_STREAMS_BATCH];
};

static size_t aligned(size_t size)
{
	return (size + 63) / 64 * 64;
}

/* An eighth of the memory for streams, the rest for windows. */
struct hk_streams *hk_streams_new(size_t bytes, __u8 *plain, size_t plain_size, __u64 *evicted)
{
	size_t streams = bytes / 8 / sizeof(struct hk_stream),
	       windows = bytes / 8 * 7 / sizeof(struct hk_window);
	size_t heads = 64, size;
	struct hk_streams *pool;
	__u8 *at;
	__u32 i;

	while (heads < streams)
		heads *= 2;
	size = aligned(sizeof(*pool)) + aligned(streams * sizeof(struct hk_stream)) + aligned(heads * 4) +
	       windows * sizeof(struct hk_window);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	(void)madvise(at, size, MADV_DONTDUMP); /* keys of connections lie in it */
	(void)mlock(at, size);
	pool = (struct hk_streams *)at;
	pool->map_size = size;
	pool->streams_count = (__u32)streams;
	pool->windows_count = (__u32)windows;
	pool->heads_mask = (__u32)heads - 1;
	pool->streams = (struct hk_stream *)(at + aligned(sizeof(*pool)));
	pool->heads = (__u32 *)((__u8 *)pool->streams + aligned(streams * sizeof(struct hk_stream)));
	pool->windows = (struct hk_window *)((__u8 *)pool->heads + aligned(heads * 4));
	pool->plain = plain;
	pool->plain_size = plain_size;
	pool->evicted = evicted;
	memset(pool->heads, 0xff, heads * 4);
	pool->oldest = pool->newest = NOBODY;
	pool->oldest_window = pool->newest_window = NOBODY;
	pool->free_window = windows ? 0 : NOBODY;
	for (i = 0; i < pool->streams_count; i++)
		pool->streams[i].chain = i + 1 < pool->streams_count ? i + 1 : NOBODY;
	for (i = 0; i < pool->windows_count; i++)
		pool->windows[i].newer = i + 1 < pool->windows_count ? i + 1 : NOBODY;
	return pool;
}

void hk_streams_free(struct hk_streams *streams)
{
	size_t size;

	if (!streams)
		return;
	size = streams->map_size;
	hk_wipe(streams, size);
	munmap(streams, size);
}

void hk_streams_begin(struct hk_streams *streams)
{
	streams->plain_used = 0;
	streams->notes_count = 0;
}

__u8 *hk_streams_room(struct hk_streams *streams, __u32 size)
{
	size_t wanted = aligned(HK_OPEN_HEADROOM + (size_t)size + 64);
	__u8 *room = streams->plain + streams->plain_used;

	if (wanted > streams->plain_size - streams->plain_used)
		return NULL;
	streams->plain_used += wanted;
	return room + HK_OPEN_HEADROOM;
}

void hk_streams_note(struct hk_streams *streams, unsigned frame, struct hk_stream *stream)
{
	if (streams->notes_count < HK_STREAMS_BATCH)
		streams->notes[streams->notes_count++] = (struct note){(__u8)frame, stream, stream->born};
}

unsigned hk_streams_noted(const struct hk_streams *streams, unsigned place, unsigned *frame)
{
	if (place >= streams->notes_count)
		return 0;
	*frame = streams->notes[place].frame;
	return 1;
}

void hk_streams_block(struct hk_streams *streams, unsigned place, __u64 now_ns)
{
	const struct note *note = &streams->notes[place];

	if (note->stream->born != note->born)
		return; /* it ended within the batch */
	note->stream->blocked = true;
	note->stream->dropped_ns = now_ns;
}

/* --- names and ages --- */

static __u32 *head_of(struct hk_streams *streams, const struct hk_stream_name *name)
{
	const __u64 *seed = hk_hash_seed();
	__u64 hash = hk_hash_address(
		seed, &name->src, (__u64)name->domain << 32 | (__u32)name->src_port << 16 | name->dst_port);

	hash = hk_hash_address(seed, &name->dst, hash);
	return &streams->heads[(__u32)hash & streams->heads_mask];
}

static __u32 index_of(const struct hk_streams *streams, const struct hk_stream *stream)
{
	return (__u32)(stream - streams->streams);
}

static void unlink_age(struct hk_streams *streams, struct hk_stream *stream)
{
	if (stream->older != NOBODY)
		streams->streams[stream->older].newer = stream->newer;
	else
		streams->oldest = stream->newer;
	if (stream->newer != NOBODY)
		streams->streams[stream->newer].older = stream->older;
	else
		streams->newest = stream->older;
}

static void link_newest(struct hk_streams *streams, struct hk_stream *stream)
{
	__u32 index = index_of(streams, stream);

	stream->older = streams->newest;
	stream->newer = NOBODY;
	if (streams->newest != NOBODY)
		streams->streams[streams->newest].newer = index;
	else
		streams->oldest = index;
	streams->newest = index;
}

struct hk_stream *hk_streams_find(struct hk_streams *streams, const struct hk_stream_name *name)
{
	__u32 index = *head_of(streams, name);
	struct hk_stream *stream;

	for (; index != NOBODY; index = stream->chain) {
		stream = &streams->streams[index];
		if (memcmp(&stream->name, name, sizeof(*name)) != 0)
			continue;
		unlink_age(streams, stream);
		link_newest(streams, stream);
		return stream;
	}
	return NULL;
}

/* --- windows: in use by age, so that none is looked for --- */

static void unlink_window(struct hk_streams *streams, struct hk_window *window)
{
	if (window->older != NOBODY)
		streams->windows[window->older].newer = window->newer;
	else
		streams->oldest_window = window->newer;
	if (window->newer != NOBODY)
		streams->windows[window->newer].older = window->older;
	else
		streams->newest_window = window->older;
}

static void link_newest_window(struct hk_streams *streams, struct hk_window *window)
{
	__u32 index = (__u32)(window - streams->windows);

	window->older = streams->newest_window;
	window->newer = NOBODY;
	if (streams->newest_window != NOBODY)
		streams->windows[streams->newest_window].newer = index;
	else
		streams->oldest_window = index;
	streams->newest_window = index;
}

static void free_window(struct hk_streams *streams, struct hk_stream *stream)
{
	struct hk_window *window = stream->window;

	if (!window)
		return;
	unlink_window(streams, window);
	window->owner = NULL;
	window->count = 0;
	window->newer = streams->free_window;
	streams->free_window = (__u32)(window - streams->windows);
	stream->window = NULL;
}

/* One that is in no list; the one that rested longest gives way. NULL: there is no window at all. */
static struct hk_window *take_window(struct hk_streams *streams)
{
	struct hk_window *window;

	if (streams->free_window == NOBODY) {
		if (streams->oldest_window == NOBODY)
			return NULL;
		__atomic_fetch_add(streams->evicted, 1, __ATOMIC_RELAXED);
		hk_stream_lose(streams, streams->windows[streams->oldest_window].owner);
	}
	window = &streams->windows[streams->free_window];
	streams->free_window = window->newer;
	return window;
}

static bool need_window(struct hk_streams *streams, struct hk_stream *stream)
{
	if (stream->window) {
		unlink_window(streams, stream->window);
	} else {
		stream->window = take_window(streams);
		if (!stream->window)
			return false;
		stream->window->owner = stream;
		stream->window->count = 0;
	}
	link_newest_window(streams, stream->window);
	return true;
}

/* --- streams --- */

void hk_streams_end(struct hk_streams *streams, struct hk_stream *stream)
{
	__u32 *at = head_of(streams, &stream->name), index = index_of(streams, stream);

	free_window(streams, stream);
	while (*at != index)
		at = &streams->streams[*at].chain;
	*at = stream->chain;
	unlink_age(streams, stream);
	hk_wipe(stream, sizeof(*stream));
	stream->chain = streams->free;
	streams->free = index;
}

static struct hk_stream *take_stream(struct hk_streams *streams)
{
	struct hk_stream *stream;

	if (streams->free == NOBODY) {
		__atomic_fetch_add(streams->evicted, 1, __ATOMIC_RELAXED);
		hk_streams_end(streams, &streams->streams[streams->oldest]);
	}
	stream = &streams->streams[streams->free];
	streams->free = stream->chain;
	return stream;
}

struct hk_stream *hk_streams_make(struct hk_streams *streams, const struct hk_stream_name *name)
{
	struct hk_stream *stream = hk_streams_find(streams, name);
	__u32 *head;

	if (stream)
		hk_streams_end(streams, stream);
	stream = take_stream(streams);
	memset(stream, 0, sizeof(*stream));
	stream->name = *name;
	stream->born = ++streams->clock;
	head = head_of(streams, name);
	stream->chain = *head;
	*head = index_of(streams, stream);
	link_newest(streams, stream);
	return stream;
}

/* --- bytes --- */

/* False: some byte that is here already is another one. */
static bool agrees(const struct hk_window *window, __u32 from, __u32 to, const __u8 *data)
{
	__u32 i, start, end;

	for (i = 0; i < window->count; i++) {
		start = window->ranges[i].from > from ? window->ranges[i].from : from;
		end = window->ranges[i].to < to ? window->ranges[i].to : to;
		if (start < end && memcmp(window->bytes + start, data + (start - from), end - start) != 0)
			return false;
	}
	return true;
}

/* Adds a range and joins those it touches. False: too many gaps. */
static bool add_range(struct hk_window *window, __u32 from, __u32 to)
{
	__u32 first = 0, last;

	while (first < window->count && window->ranges[first].to < from)
		first++;
	for (last = first; last < window->count && window->ranges[last].from <= to; last++) {
		from = window->ranges[last].from < from ? window->ranges[last].from : from;
		to = window->ranges[last].to > to ? window->ranges[last].to : to;
	}
	if (last == first && window->count == HK_WINDOW_RANGES)
		return false;
	memmove(&window->ranges[first + 1], &window->ranges[last],
		(window->count - last) * sizeof(window->ranges[0]));
	window->count = window->count - (last - first) + 1;
	window->ranges[first] = (struct range){from, to};
	return true;
}

unsigned hk_stream_put(
	struct hk_streams *streams, struct hk_stream *stream, __u32 sequence, const __u8 *data, __u32 length)
{
	__u32 ahead = sequence - stream->next, behind = stream->next - sequence;

	if (ahead >> 31) { /* begins before `next` */
		if (behind >= length)
			return HK_STREAM_REPEATED;
		data += behind;
		length -= behind;
		ahead = 0;
	}
	if (ahead > HK_WINDOW || length > HK_WINDOW - ahead)
		return HK_STREAM_GAP;
	if (!need_window(streams, stream))
		return HK_STREAM_NO_ROOM;
	if (!agrees(stream->window, ahead, ahead + length, data))
		return HK_STREAM_OVERLAP;
	if (!add_range(stream->window, ahead, ahead + length))
		return HK_STREAM_GAP;
	memcpy(stream->window->bytes + ahead, data, length);
	return stream->window->ranges[0].from == 0 ? HK_STREAM_READY : HK_STREAM_WAITING;
}

void hk_stream_unkey(struct hk_stream *stream)
{
	hk_wipe(stream->key, sizeof(stream->key));
	hk_wipe(stream->iv, sizeof(stream->iv));
	stream->keyed = stream->proven = false;
	stream->serial = 0;
}

void hk_streams_forget(struct hk_streams *streams,
	bool (*holds)(const void *context, const struct hk_stream *stream), const void *context)
{
	struct hk_stream *stream;
	__u32 index;

	for (index = streams->newest; index != NOBODY; index = stream->older) {
		stream = &streams->streams[index];
		if (!stream->keyed || holds(context, stream))
			continue;
		hk_stream_unkey(stream);
		stream->stale = true;
	}
}

const __u8 *hk_stream_ready(const struct hk_stream *stream, __u32 *length)
{
	const struct hk_window *window = stream->window;

	*length = window && window->count && window->ranges[0].from == 0 ? window->ranges[0].to : 0;
	return *length ? window->bytes : NULL;
}

void hk_stream_take(struct hk_streams *streams, struct hk_stream *stream, __u32 length)
{
	struct hk_window *window = stream->window;
	__u32 i, end;

	stream->next += length;
	if (!window || !length)
		return;
	end = window->ranges[window->count - 1].to;
	window->ranges[0].from = length;
	if (window->ranges[0].from >= window->ranges[0].to)
		memmove(&window->ranges[0], &window->ranges[1], --window->count * sizeof(window->ranges[0]));
	if (!window->count) {
		free_window(streams, stream);
		return;
	}
	memmove(window->bytes, window->bytes + length, end - length);
	for (i = 0; i < window->count; i++) {
		window->ranges[i].from -= length;
		window->ranges[i].to -= length;
	}
}

void hk_stream_lose(struct hk_streams *streams, struct hk_stream *stream)
{
	free_window(streams, stream);
	stream->lost = true;
	stream->sure = false;
}
