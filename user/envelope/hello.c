// SPDX-License-Identifier: GPL-2.0-or-later
/* Hellos of TLS connections (RFC 5246 7.4.1, RFC 8446 4.2.1): see hello.h. */
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

struct entry {
	struct hk_tls_tuple tuple;
	__u64 age; /* 0: free */
	struct hk_hello hello;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry entries[ENTRIES];
static __u64 age;

static __u32 hash_of(const struct hk_tls_tuple *tuple)
{
	__u64 hash = hk_hash_address(hk_hash_seed(), &tuple->client,
		(__u64)tuple->domain << 32 | (__u32)tuple->client_port << 16 | tuple->server_port);

	return (__u32)hk_hash_address(hk_hash_seed(), &tuple->server, hash);
}

static struct entry *find(const struct hk_tls_tuple *tuple)
{
	__u32 hash = hash_of(tuple), i;
	struct entry *entry;

	for (i = 0; i < PROBES; i++) {
		entry = &entries[(hash + i) & (ENTRIES - 1)];
		if (entry->age && memcmp(&entry->tuple, tuple, sizeof(*tuple)) == 0)
			return entry;
	}
	return NULL;
}

static struct entry *make(const struct hk_tls_tuple *tuple)
{
	__u32 hash = hash_of(tuple), i;
	struct entry *entry, *oldest = &entries[hash & (ENTRIES - 1)];

	for (i = 1; i < PROBES; i++) {
		entry = &entries[(hash + i) & (ENTRIES - 1)];
		if (entry->age < oldest->age)
			oldest = entry;
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->tuple = *tuple;
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

void hk_hello_read(const struct hk_tls_tuple *tuple, const __u8 *handshake, __u32 length)
{
	const __u8 *body = handshake + 4;
	struct entry *entry;
	__u32 size;

	if (length < 4 + 35 || (handshake[0] != CLIENT_HELLO && handshake[0] != SERVER_HELLO))
		return;
	size = (__u32)handshake[1] << 16 | hk_get16(handshake + 2);
	if (size > length - 4)
		size = length - 4; /* the rest is in another record: what is needed comes first */
	if (size < 35)
		return;
	pthread_mutex_lock(&lock);
	entry = find(tuple);
	if (!entry)
		entry = make(tuple);
	entry->age = ++age;
	if (handshake[0] == CLIENT_HELLO) {
		entry->hello = (struct hk_hello){.has_client = true};
		memcpy(entry->hello.client_random, body + 2, 32);
	} else {
		read_server(&entry->hello, body, size);
	}
	pthread_mutex_unlock(&lock);
}

bool hk_hello_get(const struct hk_tls_tuple *tuple, struct hk_hello *out)
{
	struct entry *entry;

	pthread_mutex_lock(&lock);
	entry = find(tuple);
	if (entry)
		*out = entry->hello;
	pthread_mutex_unlock(&lock);
	return entry;
}

void hk_hello_forget(const struct hk_tls_tuple *tuple)
{
	struct entry *entry;

	pthread_mutex_lock(&lock);
	entry = find(tuple);
	if (entry)
		memset(entry, 0, sizeof(*entry));
	pthread_mutex_unlock(&lock);
}
