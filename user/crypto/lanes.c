// SPDX-License-Identifier: GPL-2.0-or-later
/* Which lanes this CPU has: see lanes.h. */
#include "user/crypto/lanes.h"

#include <cpuid.h>
#include <stddef.h>

/* Not every compiler knows these two by name. AVX2 says that the system keeps wide registers. */
static bool has_wide_aes(void)
{
	unsigned a, b, c = 0, d;

	return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & bit_VAES &&
	       c & bit_VPCLMULQDQ;
}

const struct hk_lanes *hk_lanes_choose(void)
{
	__builtin_cpu_init();
	if (has_wide_aes())
		return &hk_lanes_vaes;
	if (__builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
		__builtin_cpu_supports("sse4.1"))
		return &hk_lanes_aesni;
	return NULL;
}
