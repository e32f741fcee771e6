/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector's seccomp filter: the system calls that packets, keys, hooks
 * and feeds need, some only with certain arguments, and no others. What is on
 * no list is answered EPERM, remembered and logged, so that a harmless call
 * of a library nobody thought of costs nothing; what only an intruder wants
 * (another program, another process's memory, a module) ends the process.
 *
 * Called before any thread exists, and for good. The filter stands beside the loss of all
 * rights (privileges.h), not in its place.
 */
#ifndef HK_CONTROL_SANDBOX_H
#define HK_CONTROL_SANDBOX_H

#include "user/base/error.h"

/*
 * Puts the filter (enum hk_seccomp) over this process, which must have given up
 * gaining rights before. HK_SECCOMP_LOG: nothing is refused, the kernel's audit
 * log has what would be. 0, or negative errno and a sentence.
 */
int hk_sandbox_enter(unsigned mode, struct hk_error *error);
/* Logs the calls refused since it was last asked, each of them once. */
void hk_sandbox_say_refused(void);
/* Refused calls in all. */
unsigned long long hk_sandbox_refused(void);

#endif
