// SPDX-License-Identifier: GPL-2.0-or-later
/* The process's hash secret: see hash.h. */
#include "user/base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

static __u64 hash_seed[4];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
	if (getrandom(hash_seed, sizeof(hash_seed), 0) != (ssize_t)sizeof(hash_seed))
		abort(); /* 32 bytes never come short once the kernel's generator runs */
}

const __u64 *hk_hash_seed(void)
{
	pthread_once(&hash_once, make_seed);
	return hash_seed;
}
