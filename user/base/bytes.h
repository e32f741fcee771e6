/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields at any alignment: numbers in network byte order, and words as they lie. */
#ifndef HK_BASE_BYTES_H
#define HK_BASE_BYTES_H

#include <string.h>
#include <linux/types.h>

static inline __u16 hk_get16(const __u8 *bytes)
{
	return (__u16)(bytes[0] << 8 | bytes[1]);
}

static inline __u32 hk_get32(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | (__u32)bytes[1] << 16 | (__u32)bytes[2] << 8 | bytes[3];
}

static inline __u64 hk_get64(const __u8 *bytes)
{
	return (__u64)hk_get32(bytes) << 32 | hk_get32(bytes + 4);
}

static inline void hk_put16(__u8 *bytes, __u32 value)
{
	bytes[0] = (__u8)(value >> 8);
	bytes[1] = (__u8)value;
}

static inline void hk_put32(__u8 *bytes, __u32 value)
{
	hk_put16(bytes, value >> 16);
	hk_put16(bytes + 2, value);
}

static inline void hk_put64(__u8 *bytes, __u64 value)
{
	hk_put32(bytes, (__u32)(value >> 32));
	hk_put32(bytes + 4, (__u32)value);
}

/* Eight bytes as they lie in memory: for comparing, copying and hashing. */
static inline __u64 hk_word(const void *bytes)
{
	__u64 word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static inline void hk_put_word(void *bytes, __u64 word)
{
	memcpy(bytes, &word, sizeof(word));
}

#endif
