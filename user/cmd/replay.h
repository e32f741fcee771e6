/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capture through the box's own parser, keyring, pipeline and hooks, without
 * root and without XDP: the work of `halfkey open`.
 */
#ifndef HK_CMD_REPLAY_H
#define HK_CMD_REPLAY_H

#include <halfkey/config.h>

#include "user/cmd/capture.h"
#include "user/pipeline/counts.h"
#include "user/pipeline/inspection.h"

struct hk_replay_options {
	const char *eve; /* path, or NULL */
	bool progress;	 /* on standard error */
};

struct hk_replay_result {
	struct hk_counts counts; /* `received` and all reasons: every packet of the capture once */
	__u64 opened;
	__u64 auth[HK_AUTH_COUNT]; /* of opened, by their mark */
	__u64 cut;		   /* packets the capture holds only in part */
	__u64 first_ns, last_ns;
};

struct hk_replay;

/* Reads key files and hooks. `config` outlives the replay. */
int hk_replay_new(struct hk_replay **out, struct hk_config *config, const struct hk_replay_options *options,
	struct hk_error *error);
/* Runs all of `in`; `out` may be NULL. An error is the capture's end that broke off: the result is valid. */
int hk_replay_run(
	struct hk_replay *replay, struct hk_capture *in, struct hk_capture_out *out, struct hk_error *error);
const struct hk_replay_result *hk_replay_result(const struct hk_replay *replay);
const struct hk_inspection *hk_replay_inspection(const struct hk_replay *replay);
void hk_replay_free(struct hk_replay *replay);

/* An arena that has room for every key line of the opened key files. NULL and a sentence. */
struct hk_arena *hk_replay_arena(
	const struct hk_config *config, const struct hk_files *files, struct hk_error *error);

#endif
