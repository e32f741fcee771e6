/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of user/crypto/'s, which would bring its libraries along. */
#ifndef TESTS_FUZZ_WIPE_H
#define TESTS_FUZZ_WIPE_H

#include <string.h>

#include <halfkey/crypto.h>

void hk_wipe(void *memory, size_t size)
{
	memset(memory, 0, size);
}

#endif
