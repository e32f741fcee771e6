/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration, written into the maps that the XDP program reads. A
 * change of the receivers is a difference: an entry that stays is never gone,
 * not even between two system calls.
 */
#ifndef HK_DATAPLANE_TABLES_H
#define HK_DATAPLANE_TABLES_H

#include <halfkey/config.h>

#include "maps/settings.h"
#include "user/base/error.h"

/* Two steps around the swap of the inspection, so that no packet meets a domain nobody knows yet. */
enum hk_tables_step {
	HK_TABLES_REMOVE = 1, /* receivers that are no more: before */
	HK_TABLES_PUT = 2,    /* receivers that are new or changed: after */
};

/* 0, or negative errno and a sentence. `steps`: HK_TABLES_* or both. */
int hk_tables_receivers(
	int receivers_fd, const struct hk_config *config, unsigned steps, struct hk_error *error);
int hk_tables_policy(int policy_fd, const struct hk_config *config, struct hk_error *error);
int hk_tables_settings(int settings_fd, const struct hk_settings *settings, struct hk_error *error);
/* Port i's frames leave by the other port; one port: none leave. */
int hk_tables_tx_ports(int tx_ports_fd, const __u32 *ifindex, unsigned ports, struct hk_error *error);

#endif
