/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chain's insides, shared by hooks.c (making) and hooks_run.c (running). Private to hooks*.c. */
#ifndef HK_PIPELINE_HOOKS_CHAIN_H
#define HK_PIPELINE_HOOKS_CHAIN_H

#include "user/pipeline/hooks.h"
#include "user/pipeline/hooks_load.h"

struct hk_hook_place {
	struct hk_hook_code code;
	void *state;
	char *use; /* as the configuration writes it */
	__u32 class_base;
	__u32 class_count;
	__u32 delayed_max;
};

struct hk_hook_chain {
	unsigned length;
	bool flow_verdicts; /* a hook may give some */
	__u32 classes;
	__u32 delayed_max;
	struct hk_hook_place places[HK_HOOKS_MAX];
};

#endif
