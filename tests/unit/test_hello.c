// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What hellos say: the server's name in a client's hello, wherever it stands, and nothing of one that is
 * cut, lies about its lengths or holds what no name can; and readers beside a writer, who never see half.
 */
#include "tests/unit/harness.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "user/envelope/hello.h"

#define NAME "www.example"

/* A hello as it is built up: the handshake header is set when it is whole. */
struct hello_bytes {
	__u8 bytes[1024];
	__u32 length;
};

static void add(struct hello_bytes *hello, const void *bytes, __u32 length)
{
	if (length)
		memcpy(hello->bytes + hello->length, bytes, length);
	hello->length += length;
}

static void add16(struct hello_bytes *hello, unsigned value)
{
	const __u8 bytes[2] = {(__u8)(value >> 8), (__u8)value};

	add(hello, bytes, sizeof(bytes));
}

static void add_extension(struct hello_bytes *hello, unsigned type, const void *bytes, __u32 length)
{
	add16(hello, type);
	add16(hello, length);
	add(hello, bytes, length);
}

static void add_name(struct hello_bytes *hello, unsigned type, const char *name, __u32 length)
{
	struct hello_bytes list = {.length = 0};
	const __u8 name_type = (__u8)type;

	add16(&list, length + 3);
	add(&list, &name_type, 1);
	add16(&list, length);
	add(&list, name, length);
	add_extension(hello, 0, list.bytes, list.length);
}

/* Up to the extensions' length. */
static struct hello_bytes begin_hello(void)
{
	static const __u8 session[] = {4, 1, 2, 3, 4}, suites[] = {0, 4, 0xc0, 0x2f, 0, 0xff},
			  none[] = {1, 0};
	struct hello_bytes hello = {.bytes = {1}, .length = 4};

	add16(&hello, 0x0303);
	memset(hello.bytes + hello.length, 0x77, 32);
	hello.length += 32;
	add(&hello, session, sizeof(session));
	add(&hello, suites, sizeof(suites));
	add(&hello, none, sizeof(none));
	add16(&hello, 0);
	return hello;
}

#define EXTENSIONS (4 + 2 + 32 + 5 + 6 + 2) /* where their length stands */

static void finish_hello(struct hello_bytes *hello)
{
	__u32 body = hello->length - 4, extensions = hello->length - EXTENSIONS - 2;

	hello->bytes[2] = (__u8)(body >> 8);
	hello->bytes[3] = (__u8)body;
	hello->bytes[EXTENSIONS] = (__u8)(extensions >> 8);
	hello->bytes[EXTENSIONS + 1] = (__u8)extensions;
}

static struct hello_bytes with_name(const char *name, __u32 length)
{
	struct hello_bytes hello = begin_hello();

	add_extension(&hello, 23, NULL, 0);
	add_extension(&hello, 10, "\0\2\0\27", 4);
	add_name(&hello, 0, name, length);
	add_extension(&hello, 35, NULL, 0);
	finish_hello(&hello);
	return hello;
}

static struct hk_tls_tuple tuple_of(unsigned port)
{
	return (struct hk_tls_tuple){.client_port = (__u16)port, .server_port = 443};
}

/* What is known of a connection whose client said this; the name as a string. */
static const char *name_in(const __u8 *bytes, __u32 length)
{
	struct hk_tls_tuple tuple = tuple_of(1);
	static char name[HK_SERVER_NAME_MAX + 1];
	struct hk_hello hello;

	hk_hello_forget(&tuple);
	hk_hello_read(&tuple, false, bytes, length);
	if (!hk_hello_get(&tuple, &hello))
		return NULL;
	CU_ASSERT_TRUE(hello.has_client);
	memcpy(name, hello.server_name, hello.server_name_length);
	name[hello.server_name_length] = '\0';
	return name;
}

static bool is_name(const char *expected, struct hello_bytes *hello)
{
	const char *name = name_in(hello->bytes, hello->length);

	return name && strcmp(name, expected) == 0;
}

static void finds_the_name(void)
{
	struct hello_bytes hello = with_name(NAME, sizeof(NAME) - 1);
	char longest[256];

	CU_ASSERT_TRUE(is_name(NAME, &hello));
	memset(longest, 'a', sizeof(longest));
	hello = with_name(longest, 255);
	longest[255] = '\0';
	CU_ASSERT_TRUE(is_name(longest, &hello));
	hello = begin_hello();
	add_extension(&hello, 23, NULL, 0);
	finish_hello(&hello);
	CU_ASSERT_TRUE(is_name("", &hello)); /* it names none */
	hello.length = EXTENSIONS;
	hello.bytes[3] = EXTENSIONS - 4;
	CU_ASSERT_TRUE(is_name("", &hello)); /* without any extension */
}

static void only_what_can_be_a_name(void)
{
	static const struct {
		const char *name;
		__u32 length;
	} bad[] = {{"", 0}, {"a b", 3}, {"a\0b", 3}, {"a\nb", 3}, {"\x7f", 1}, {"\xc3\xa4", 2}};
	struct hello_bytes hello;
	char longest[256];
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		hello = with_name(bad[i].name, bad[i].length);
		CU_ASSERT_TRUE(is_name("", &hello));
	}
	memset(longest, 'a', sizeof(longest));
	hello = with_name(longest, 256);
	CU_ASSERT_TRUE(is_name("", &hello));
	hello = begin_hello();
	add_name(&hello, 1, NAME, sizeof(NAME) - 1); /* of another kind than a host's */
	finish_hello(&hello);
	CU_ASSERT_TRUE(is_name("", &hello));
}

/* Cut anywhere: the whole name or none. Each byte any value: nothing breaks, and what comes out can be one.
 */
static void hostile_hellos(void)
{
	struct hello_bytes good = with_name(NAME, sizeof(NAME) - 1), bad;
	unsigned at, value, i;
	const char *name;
	__u8 *exact;

	for (at = 0; at < good.length; at++) {
		exact = malloc(at + 1u); /* of this size, so that a byte too far shows */
		memcpy(exact, good.bytes, at);
		name = name_in(exact, at);
		CU_ASSERT(!name || !*name || strcmp(name, NAME) == 0);
		free(exact);
	}
	for (at = 0; at < good.length; at++)
		for (value = 0; value < 256; value++) {
			bad = good;
			bad.bytes[at] = (__u8)value;
			name = name_in(bad.bytes, bad.length);
			for (i = 0; name && name[i]; i++)
				CU_ASSERT(name[i] > ' ' && name[i] <= '~');
		}
}

/* A server cannot say what the client asked for. */
static void only_from_the_client(void)
{
	struct hello_bytes hello = with_name(NAME, sizeof(NAME) - 1);
	struct hk_tls_tuple tuple = tuple_of(2);
	struct hk_hello out;

	hk_hello_read(&tuple, true, hello.bytes, hello.length);
	CU_ASSERT_FALSE(hk_hello_get(&tuple, &out));
	hello.bytes[0] = 2;
	hk_hello_read(&tuple, false, hello.bytes, hello.length);
	CU_ASSERT_FALSE(hk_hello_get(&tuple, &out));
}

#define ROUNDS 20000

static void *write_names(void *stop)
{
	const struct hello_bytes names[2] = {with_name("aaaaaaaaaaaaaaaa", 16), with_name("bbbb", 4)};
	struct hk_tls_tuple tuple = tuple_of(3);
	unsigned i;

	for (i = 0; !__atomic_load_n((bool *)stop, __ATOMIC_RELAXED); i++)
		hk_hello_read(&tuple, false, names[i % 2].bytes, names[i % 2].length);
	return NULL;
}

static void readers_see_no_half(void)
{
	struct hello_bytes hello = with_name("bbbb", 4);
	struct hk_tls_tuple tuple = tuple_of(3);
	struct hk_hello out;
	bool stop = false;
	pthread_t thread;
	unsigned i, half = 0;

	hk_hello_read(&tuple, false, hello.bytes, hello.length);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_names, &stop), 0);
	for (i = 0; i < ROUNDS; i++)
		if (hk_hello_get(&tuple, &out))
			half += out.server_name_length == 16
					? memcmp(out.server_name, "aaaaaaaaaaaaaaaa", 16) != 0
					: memcmp(out.server_name, "bbbb\0\0\0\0", 8) != 0;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(half, 0);
}

int main(void)
{
	static const struct test tests[] = {
		{"the server's name", finds_the_name},
		{"only what can be a name", only_what_can_be_a_name},
		{"hostile hellos", hostile_hellos},
		{"only from the client", only_from_the_client},
		{"readers beside a writer", readers_see_no_half},
		{0},
	};

	return run_tests("hello", tests);
}
