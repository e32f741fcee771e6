// SPDX-License-Identifier: GPL-2.0-or-later
/* Hellos of TLS connections (RFC 5246 7.4.1, RFC 6066 3, RFC 8446 4.2.1): see hello.h. */
#include "user/envelope/hello.h"

#include <pthread.h>
#include <string.h>

#include "user/base/hash.h"
#include "user/base/bytes.h"

#define ENTRIES		   8192 /* a power of two */
#define PROBES		   8
#define CLIENT_HELLO	   1
#define SERVER_HELLO	   2
#define SUPPORTED_VERSIONS 43
#define SERVER_NAME	   0 /* the extension, and in it: */
#define HOST_NAME	   0
#define TRIES		   64 /* writing takes less than reading */

struct said {
	struct hk_tls_tuple tuple;
	__u64 age; /* 0: free */
	struct hk_hello hello;
} __attribute__((aligned(8)));

#define WORDS	    (sizeof(struct said) / 8)
#define TUPLE_WORDS (sizeof(struct hk_tls_tuple) / 8)
_Static_assert(sizeof(struct hk_tls_tuple) % 8 == 0, "compared in words");

/* `version` is odd while somebody writes: readers take only what stood still. */
struct entry {
	__u64 version;
	__u64 words[WORDS]; /* a struct said */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of writers */
static struct entry entries[ENTRIES];
static __u64 age;

/* False: it was being written, all the time. */
static bool read_entry(const struct entry *entry, struct said *out)
{
	__u64 version, words[WORDS];
	unsigned tries, i;

	for (tries = 0; tries < TRIES; tries++) {
		version = __atomic_load_n(&entry->version, __ATOMIC_ACQUIRE);
		for (i = 0; i < WORDS; i++)
			words[i] = __atomic_load_n(&entry->words[i], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(version & 1) && version == __atomic_load_n(&entry->version, __ATOMIC_RELAXED)) {
			memcpy(out, words, sizeof(*out));
			return true;
		}
	}
	return false;
}

static void write_entry(struct entry *entry, const struct said *said)
{
	__u64 words[WORDS];
	unsigned i;

	memcpy(words, said, sizeof(words));
	__atomic_store_n(&entry->version, entry->version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (i = 0; i < WORDS; i++)
		__atomic_store_n(&entry->words[i], words[i], __ATOMIC_RELAXED);
	__atomic_store_n(&entry->version, entry->version + 1, __ATOMIC_RELEASE);
}

static __u32 hash_of(const struct hk_tls_tuple *tuple)
{
	__u64 hash = hk_hash_address(hk_hash_seed(), &tuple->client,
		(__u64)tuple->domain << 32 | (__u32)tuple->client_port << 16 | tuple->server_port);

	return (__u32)hk_hash_address(hk_hash_seed(), &tuple->server, hash);
}

/* A first look, without a copy: most places are somebody else's. */
static bool may_be(const struct entry *entry, const __u64 tuple[TUPLE_WORDS])
{
	unsigned i;

	for (i = 0; i < TUPLE_WORDS; i++)
		if (__atomic_load_n(&entry->words[i], __ATOMIC_RELAXED) != tuple[i])
			return false;
	return true;
}

static struct entry *find(const struct hk_tls_tuple *tuple, struct said *out)
{
	__u32 hash = hash_of(tuple), i;
	__u64 words[TUPLE_WORDS];
	struct entry *entry;

	memcpy(words, tuple, sizeof(words));
	for (i = 0; i < PROBES; i++) {
		entry = &entries[(hash + i) & (ENTRIES - 1)];
		if (may_be(entry, words) && read_entry(entry, out) && out->age &&
			memcmp(&out->tuple, tuple, sizeof(*tuple)) == 0)
			return entry;
	}
	return NULL;
}

/* With the lock held: the tuple's entry, or the oldest place it may have. */
static struct entry *make(const struct hk_tls_tuple *tuple, struct said *out)
{
	struct entry *oldest, *entry = find(tuple, out);
	__u32 hash = hash_of(tuple), i;
	__u64 lowest = ~0ull;

	if (entry)
		return entry;
	oldest = &entries[hash & (ENTRIES - 1)];
	for (i = 0; i < PROBES; i++) {
		entry = &entries[(hash + i) & (ENTRIES - 1)];
		if (read_entry(entry, out) && out->age < lowest) {
			oldest = entry;
			lowest = out->age;
		}
	}
	memset(out, 0, sizeof(*out));
	out->tuple = *tuple;
	return oldest;
}

/* TLS 1.3 says its version in an extension alone. `at` is behind the cipher suite. */
static __u16 chosen_version(const __u8 *body, __u32 length, __u32 at)
{
	__u32 end, type, size;

	if (at + 3 > length)
		return hk_get16(body);
	end = at + 3 + hk_get16(body + at + 1);
	if (end > length)
		end = length;
	for (at += 3; at + 4 <= end; at += 4 + size) {
		type = hk_get16(body + at);
		size = hk_get16(body + at + 2);
		if (type == SUPPORTED_VERSIONS && size == 2 && at + 6 <= end)
			return hk_get16(body + at + 4);
	}
	return hk_get16(body);
}

static void read_server(struct hk_hello *hello, const __u8 *body, __u32 length)
{
	__u32 at = 35 + body[34];

	if (at + 2 > length)
		return;
	memcpy(hello->server_random, body + 2, 32);
	hello->suite = hk_get16(body + at);
	hello->version = chosen_version(body, length, at + 2);
	hello->has_server = true;
}

/* Bytes behind the vector at `at`, whose length takes `size` bytes; `length` past the end. */
static __u32 skip_vector(const __u8 *body, __u32 length, __u32 at, __u32 size)
{
	__u32 inside;

	if (at + size > length)
		return length;
	inside = size == 1 ? body[at] : hk_get16(body + at);
	return inside > length - at - size ? length : at + size + inside;
}

static bool is_name(const __u8 *name, __u32 length)
{
	__u32 i;

	for (i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return length;
}

/* ServerNameList: its first host name. */
static void read_names(struct hk_hello *hello, const __u8 *list, __u32 length)
{
	__u32 at, size;

	for (at = 2; at + 3 <= length; at += 3 + size) {
		size = hk_get16(list + at + 1);
		if (size > length - at - 3)
			return;
		if (list[at] != HOST_NAME)
			continue;
		if (size > HK_SERVER_NAME_MAX || !is_name(list + at + 3, size))
			return;
		memcpy(hello->server_name, list + at + 3, size);
		hello->server_name_length = (__u8)size;
		return;
	}
}

static void read_client(struct hk_hello *hello, const __u8 *body, __u32 length)
{
	__u32 at, type, size;

	*hello = (struct hk_hello){.has_client = true};
	memcpy(hello->client_random, body + 2, 32);
	at = skip_vector(body, length, 34, 1); /* session */
	at = skip_vector(body, length, at, 2); /* cipher suites */
	at = skip_vector(body, length, at, 1); /* compression */
	for (at += 2; at + 4 <= length; at += 4 + size) {
		type = hk_get16(body + at);
		size = hk_get16(body + at + 2);
		if (size > length - at - 4)
			return;
		if (type != SERVER_NAME)
			continue;
		read_names(hello, body + at + 4, size);
		return;
	}
}

void hk_hello_read(const struct hk_tls_tuple *tuple, bool from_server, const __u8 *handshake, __u32 length)
{
	const __u8 *body = handshake + 4;
	struct entry *entry;
	struct said said;
	__u32 size;

	if (length < 4 + 35 || handshake[0] != (from_server ? SERVER_HELLO : CLIENT_HELLO))
		return;
	size = (__u32)handshake[1] << 16 | hk_get16(handshake + 2);
	if (size > length - 4)
		size = length - 4; /* the rest is in another record: what is needed comes first */
	if (size < 35)
		return;
	pthread_mutex_lock(&lock);
	entry = make(tuple, &said);
	said.age = ++age;
	if (from_server)
		read_server(&said.hello, body, size);
	else
		read_client(&said.hello, body, size);
	write_entry(entry, &said);
	pthread_mutex_unlock(&lock);
}

bool hk_hello_get(const struct hk_tls_tuple *tuple, struct hk_hello *out)
{
	struct said said;

	if (!find(tuple, &said))
		return false;
	*out = said.hello;
	return true;
}

void hk_hello_forget(const struct hk_tls_tuple *tuple)
{
	struct entry *entry;
	struct said said;

	pthread_mutex_lock(&lock);
	entry = find(tuple, &said);
	memset(&said, 0, sizeof(said));
	if (entry)
		write_entry(entry, &said);
	pthread_mutex_unlock(&lock);
}
