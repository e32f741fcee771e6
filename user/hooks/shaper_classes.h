/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shaper's classes file as C. Private to shaper*.c and its tests. */
#ifndef HK_HOOKS_SHAPER_CLASSES_H
#define HK_HOOKS_SHAPER_CLASSES_H

#include "user/hooks/selector.h"

#define HK_SHAPER_CLASSES_MAX 256

struct hk_shaper_class {
	char name[32];
	__u64 rate;  /* bits a second */
	__u64 burst; /* bytes */
	__u32 queue; /* packets */
};

struct hk_shaper_classes {
	struct hk_shaper_class *classes;
	struct hk_selector *selectors; /* of the same number */
	unsigned count;
};

/* Reads and checks the file of `setup`. 0, or -1 and a sentence. */
int hk_shaper_classes_load(
	struct hk_shaper_classes *out, const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal);
void hk_shaper_classes_free(struct hk_shaper_classes *classes);

#endif
