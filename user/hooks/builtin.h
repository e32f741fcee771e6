/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hooks that come with Halfkey. Each is one row here and its own file(s)
 * beside; it knows include/halfkey/hook.h and libraries, nothing of the core.
 */
#ifndef HK_HOOKS_BUILTIN_H
#define HK_HOOKS_BUILTIN_H

#include <halfkey/hook.h>

/* H(name in the configuration, descriptor) */
#define HK_BUILTIN_HOOKS(H)                 \
	H("firewall", hk_firewall_hook)     \
	H("signatures", hk_signatures_hook) \
	H("shaper", hk_shaper_hook)

#define HK_H(name, descriptor) extern const struct hk_hook descriptor;
HK_BUILTIN_HOOKS(HK_H)
#undef HK_H

#endif
