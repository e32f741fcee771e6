/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hook chain: loads hooks in the configuration's order, checks their ABI,
 * and runs a batch through them. Verdicts only get stronger: after each hook
 * the chain restores whatever it weakened.
 */
#ifndef HK_PIPELINE_HOOKS_H
#define HK_PIPELINE_HOOKS_H

#include <stdbool.h>

#include <halfkey/config.h>
#include <halfkey/hook.h>

#include "user/base/error.h"
#include "user/base/files.h"
#include "user/pipeline/counts.h"

struct hk_hook_chain;

/*
 * Built-in hooks by name, others by path. A shared object is loaded through its
 * descriptor in `files` (dlopen of /proc/self/fd/N). Refused: another ABI, a
 * delaying hook outside `inline`, queues that could hold more than
 * `frames / 2` packets per worker. 0, or negative errno and a sentence.
 */
int hk_hook_chain_new(struct hk_hook_chain **out, const struct hk_config *config,
	const struct hk_files *files, unsigned workers, struct hk_error *error);
/* After the swap, before `previous` is freed: hooks of the same code hand over their state. */
void hk_hook_chain_adopt(struct hk_hook_chain *now, struct hk_hook_chain *previous);
void hk_hook_chain_free(struct hk_hook_chain *chain);

unsigned hk_hook_chain_length(const struct hk_hook_chain *chain);
const char *hk_hook_chain_name(const struct hk_hook_chain *chain, unsigned index);
const char *hk_hook_chain_summary(const struct hk_hook_chain *chain, unsigned index);
unsigned hk_hook_chain_classes(const struct hk_hook_chain *chain); /* delay classes, all hooks together */
/* Whether a hook may give verdicts for whole flows: without one, and without a reader, no flow is kept. */
bool hk_hook_chain_flow_verdicts(const struct hk_hook_chain *chain);
unsigned hk_hook_chain_delayed_max(const struct hk_hook_chain *chain);
size_t hk_hook_chain_stats(
	const struct hk_hook_chain *chain, unsigned index, struct hk_hook_stat *out, size_t max);

/*
 * Runs the batch through all hooks. Afterwards `decided[i]` is the place of the
 * hook whose verdict stands for packet i (0xff: none) and `reported[e]` that of
 * event e. Returns 0, or the place of the failing hook + 1: the batch is hook-error,
 * and what its packets carry as verdicts no longer counts.
 *
 * packet_count is at most HK_HOOK_BATCH_MAX; `decided` has room for that many and
 * `reported` for event_capacity. Raises hook_drops, hook_delays (by the place
 * that decided) and hook_errors; events are the caller's to count and hand on.
 */
int hk_hook_chain_run(struct hk_hook_chain *chain, unsigned worker, struct hk_hook_batch *batch,
	struct hk_counts *counts, __u8 *decided, __u8 *reported);

#endif
