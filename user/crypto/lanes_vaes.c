// SPDX-License-Identifier: GPL-2.0-or-later
/* Lanes are the halves of a 256-bit register: see lanes.h. */
#include <immintrin.h>

#define LANES	   static inline __attribute__((always_inline, target("avx2,aes,vaes,vpclmulqdq")))
#define LANES_CALL static __attribute__((noinline, target("avx2,aes,vaes,vpclmulqdq")))
#define LANES_NAME hk_lanes_vaes
#define LANES_WIDE 8 /* pairs at once */

typedef __m256i lanes;

LANES lanes lanes_pair(__m128i low, __m128i high)
{
	return _mm256_set_m128i(high, low);
}

LANES lanes lanes_both(__m128i block)
{
	return _mm256_broadcastsi128_si256(block);
}

LANES __m128i lanes_low(lanes a)
{
	return _mm256_castsi256_si128(a);
}

LANES __m128i lanes_high(lanes a)
{
	return _mm256_extracti128_si256(a, 1);
}

LANES lanes lanes_load(const void *from)
{
	return _mm256_loadu_si256(from);
}

LANES void lanes_store(void *to, lanes a)
{
	_mm256_storeu_si256(to, a);
}

LANES lanes lanes_xor(lanes a, lanes b)
{
	return _mm256_xor_si256(a, b);
}

LANES lanes lanes_add32(lanes a, lanes b)
{
	return _mm256_add_epi32(a, b);
}

LANES lanes lanes_bytes(lanes a, lanes order)
{
	return _mm256_shuffle_epi8(a, order);
}

LANES lanes lanes_round(lanes a, lanes key)
{
	return _mm256_aesenc_epi128(a, key);
}

LANES lanes lanes_last_round(lanes a, lanes key)
{
	return _mm256_aesenclast_epi128(a, key);
}

LANES lanes lanes_inverse_round(lanes a, lanes key)
{
	return _mm256_aesdec_epi128(a, key);
}

LANES lanes lanes_last_inverse_round(lanes a, lanes key)
{
	return _mm256_aesdeclast_epi128(a, key);
}

LANES lanes lanes_inverse_key(lanes a)
{
	return lanes_pair(_mm_aesimc_si128(lanes_low(a)), _mm_aesimc_si128(lanes_high(a)));
}

#define lanes_up(a, bytes)	 _mm256_bslli_epi128(a, bytes)
#define lanes_down(a, bytes)	 _mm256_bsrli_epi128(a, bytes)
#define lanes_swap(a)		 _mm256_shuffle_epi32(a, 0x4e)
#define lanes_times(a, b, which) _mm256_clmulepi64_epi128(a, b, which)

#include "user/crypto/lanes_body.h"
