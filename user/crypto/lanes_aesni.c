// SPDX-License-Identifier: GPL-2.0-or-later
/* Lanes are two 128-bit registers, for CPUs that work on no wider ones: see lanes.h. */
#include <immintrin.h>

#define LANES	   static inline __attribute__((always_inline, target("sse4.1,aes,pclmul")))
#define LANES_CALL static __attribute__((noinline, target("sse4.1,aes,pclmul")))
#define LANES_NAME hk_lanes_aesni
#define LANES_WIDE 4

typedef struct {
	__m128i low, high;
} lanes;

LANES lanes lanes_pair(__m128i low, __m128i high)
{
	return (lanes){low, high};
}

LANES lanes lanes_both(__m128i block)
{
	return (lanes){block, block};
}

LANES __m128i lanes_low(lanes a)
{
	return a.low;
}

LANES __m128i lanes_high(lanes a)
{
	return a.high;
}

LANES lanes lanes_load(const void *from)
{
	return (lanes){_mm_loadu_si128(from), _mm_loadu_si128((const __m128i *)from + 1)};
}

LANES void lanes_store(void *to, lanes a)
{
	_mm_storeu_si128(to, a.low);
	_mm_storeu_si128((__m128i *)to + 1, a.high);
}

LANES lanes lanes_xor(lanes a, lanes b)
{
	return (lanes){_mm_xor_si128(a.low, b.low), _mm_xor_si128(a.high, b.high)};
}

LANES lanes lanes_add32(lanes a, lanes b)
{
	return (lanes){_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
}

LANES lanes lanes_bytes(lanes a, lanes order)
{
	return (lanes){_mm_shuffle_epi8(a.low, order.low), _mm_shuffle_epi8(a.high, order.high)};
}

LANES lanes lanes_round(lanes a, lanes key)
{
	return (lanes){_mm_aesenc_si128(a.low, key.low), _mm_aesenc_si128(a.high, key.high)};
}

LANES lanes lanes_last_round(lanes a, lanes key)
{
	return (lanes){_mm_aesenclast_si128(a.low, key.low), _mm_aesenclast_si128(a.high, key.high)};
}

LANES lanes lanes_inverse_round(lanes a, lanes key)
{
	return (lanes){_mm_aesdec_si128(a.low, key.low), _mm_aesdec_si128(a.high, key.high)};
}

LANES lanes lanes_last_inverse_round(lanes a, lanes key)
{
	return (lanes){_mm_aesdeclast_si128(a.low, key.low), _mm_aesdeclast_si128(a.high, key.high)};
}

LANES lanes lanes_inverse_key(lanes a)
{
	return (lanes){_mm_aesimc_si128(a.low), _mm_aesimc_si128(a.high)};
}

#define lanes_up(a, bytes)   ((lanes){_mm_slli_si128((a).low, bytes), _mm_slli_si128((a).high, bytes)})
#define lanes_down(a, bytes) ((lanes){_mm_srli_si128((a).low, bytes), _mm_srli_si128((a).high, bytes)})
#define lanes_swap(a)	     ((lanes){_mm_shuffle_epi32((a).low, 0x4e), _mm_shuffle_epi32((a).high, 0x4e)})
#define lanes_times(a, b, which)                                \
	((lanes){_mm_clmulepi64_si128((a).low, (b).low, which), \
		_mm_clmulepi64_si128((a).high, (b).high, which)})

#include "user/crypto/lanes_body.h"
