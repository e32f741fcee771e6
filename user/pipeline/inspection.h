/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An inspection: everything that says what to do with a packet, as one
 * immutable snapshot — domains, keyring, hooks, policy. A reload builds the
 * next one off the path and workers swap to it between batches.
 */
#ifndef HK_PIPELINE_INSPECTION_H
#define HK_PIPELINE_INSPECTION_H

#include <halfkey/config.h>

#include "user/base/error.h"
#include "user/base/files.h"
#include "user/keys/keyring.h"
#include "user/pipeline/hooks.h"

struct hk_inspection {
	const struct hk_config *config; /* owned by the caller, outlives the inspection */
	const struct hk_domain_config *domains[HK_DOMAINS_MAX]; /* by id; NULL: none */
	struct hk_keyring *keyring;
	struct hk_hook_chain *hooks;
};

/*
 * Builds from files already opened. `previous` (or NULL) hands hook state over
 * when the new one is put in force: call hk_inspection_adopt() after the swap,
 * before freeing the old. 0, or negative errno and a sentence; nothing changes then.
 */
int hk_inspection_new(struct hk_inspection **out, const struct hk_config *config,
	const struct hk_files *files, struct hk_arena *arena, unsigned workers, struct hk_error *error);
void hk_inspection_adopt(struct hk_inspection *now, struct hk_inspection *previous);
void hk_inspection_free(struct hk_inspection *inspection);

#endif
