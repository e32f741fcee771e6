// SPDX-License-Identifier: GPL-2.0-or-later
/* The process's hash secret: see hash.h. */
#include "user/base/hash.h"

#include <stdlib.h>
#include <sys/random.h>

__u64 hk_hash_secret[4];

/* Before main(), so that no lookup has to ask whether it is there. */
__attribute__((constructor)) static void make_seed(void)
{
	if (getrandom(hk_hash_secret, sizeof(hk_hash_secret), 0) != (ssize_t)sizeof(hk_hash_secret))
		abort(); /* 32 bytes never come short once the kernel's generator runs */
}
