/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a configuration that can be read is refused for all the same, and what is
 * known of it before anything is touched: for the daemon at its start and at each
 * reload, and for `halfkey check`. What interfaces, kernel and memory say comes later.
 */
#ifndef HK_CONTROL_FIT_H
#define HK_CONTROL_FIT_H

#include <halfkey/config.h>

#include "user/base/error.h"
#include "user/pipeline/hooks.h"

/* The directories it names. 0, or negative errno and a sentence. */
int hk_fit_config(const struct hk_config *config, struct hk_error *error);
/* The hooks' demands together. */
int hk_fit_hooks(const struct hk_hook_chain *hooks, struct hk_error *error);

#endif
