/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Map `policy` (array, key: enum hk_reason as u32): what XDP does with a reason.
 * Written by the starter at start and reload; read by the XDP program.
 */
#ifndef HALFKEY_MAPS_POLICY_H
#define HALFKEY_MAPS_POLICY_H

#include <linux/types.h>

struct hk_policy_value {
	__u32 action; /* enum hk_action */
};

#endif
