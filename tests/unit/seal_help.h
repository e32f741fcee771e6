/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys and packets for the seal side's tests: master keys of one receiver, an
 * SA of any version or suite, and inner packets. Everything is seeded.
 */
#ifndef TESTS_UNIT_SEAL_HELP_H
#define TESTS_UNIT_SEAL_HELP_H

#include <arpa/inet.h>
#include <string.h>

#include <halfkey/crypto.h>

#include "tests/unit/harness.h"
#include "user/base/text.h"
#include "user/endpoint/seal.h"

struct master {
	__u8 enc[32], auth[32]; /* single: enc alone */
	struct hk_kdf_key enc_key, auth_key;
};

static inline void random_fill(__u64 *seed, __u8 *out, __u32 size)
{
	while (size--)
		*out++ = (__u8)(random_next(seed) >> 24);
}

static inline void master_expand(struct master *master)
{
	CU_ASSERT_FATAL(!hk_kdf_key_init(&master->enc_key, master->enc));
	CU_ASSERT_FATAL(!hk_kdf_key_init(&master->auth_key, master->auth));
}

static inline void master_random(struct master *master, __u64 *seed)
{
	random_fill(seed, master->enc, 32);
	random_fill(seed, master->auth, 32);
	master_expand(master);
}

static inline struct hk_address address(const char *text)
{
	struct hk_address out = {{0}};

	CU_ASSERT_FATAL(!hk_address_parse(text, &out));
	return out;
}

/* Whether this machine's CPU runs the crypto backend. */
static inline bool backend_runs(const char *backend)
{
	struct hk_crypto *crypto = hk_crypto_new(backend);

	hk_crypto_free(crypto);
	return crypto != NULL;
}

/* For a test of that backend alone: skipped where it does not run. */
static inline bool backend_or_skip(const char *backend)
{
	bool runs = backend_runs(backend);

	if (!runs)
		skip_test("this CPU does not run the backend");
	return runs;
}

/* run_tests() with a backend that all of them share: made before and freed behind them. */
static inline int run_tests_with(
	struct hk_crypto **crypto, const char *backend, const char *suite, const struct test *tests)
{
	int status;

	*crypto = hk_crypto_new(backend);
	if (!*crypto)
		return 2;
	status = run_tests(suite, tests);
	hk_crypto_free(*crypto);
	return status;
}

/* The SA of `name` under `master`, as its profile demands; NULL when refused. */
static inline struct hk_sa *sa_of(
	struct hk_crypto *crypto, const struct hk_sa_name *name, const struct master *master)
{
	bool split = hk_sa_profile(name->envelope, name->variant) == HK_PROFILE_SPLIT;
	struct hk_error error = {{0}};
	struct hk_sa *sa = NULL;

	hk_sa_derive(&sa, crypto, name, &master->enc_key, split ? &master->auth_key : NULL, &error);
	return sa;
}

static inline __u16 ip_checksum(const __u8 *header)
{
	__u32 sum = 0, i;

	for (i = 0; i < 20; i += 2)
		sum += (__u32)(header[i] << 8 | header[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16) ~(sum + (sum >> 16));
}

/* An inner UDP packet with `size` bytes of seeded payload; its length. */
static inline __u32 inner_udp(
	const struct hk_address *from, const struct hk_address *to, __u64 *seed, __u32 size, __u8 *out)
{
	bool v4 = hk_address_is_v4(from);
	__u32 header = v4 ? 20 : 40, udp = 8 + size, total = header + udp;
	__u16 sum;

	memset(out, 0, header + 8);
	if (v4) {
		out[0] = 0x45;
		out[2] = (__u8)(total >> 8), out[3] = (__u8)total;
		out[8] = 64, out[9] = IPPROTO_UDP;
		memcpy(out + 12, from->bytes + 12, 4);
		memcpy(out + 16, to->bytes + 12, 4);
		sum = ip_checksum(out);
		out[10] = (__u8)(sum >> 8), out[11] = (__u8)sum;
	} else {
		out[0] = 0x60;
		out[4] = (__u8)(udp >> 8), out[5] = (__u8)udp;
		out[6] = IPPROTO_UDP, out[7] = 64;
		memcpy(out + 8, from->bytes, 16);
		memcpy(out + 24, to->bytes, 16);
	}
	out[header] = 0x12, out[header + 1] = 0x34, out[header + 3] = 53;
	out[header + 4] = (__u8)(udp >> 8), out[header + 5] = (__u8)udp;
	random_fill(seed, out + header + 8, size);
	return total;
}

#endif
