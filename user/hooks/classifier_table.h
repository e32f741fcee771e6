/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The classifier's tables, for those who fill them (classifier_build.c) and look into them (classifier.c). */
#ifndef HK_HOOKS_CLASSIFIER_TABLE_H
#define HK_HOOKS_CLASSIFIER_TABLE_H

#include "user/hooks/classifier.h"
#include "user/hooks/classifier_ranges.h"
#include "user/hooks/classifier_rows.h"

enum hk_classifier_field { SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, PROTOCOL, DOMAIN_AUTH };

#define NO_SELECTOR 0xffffffffu
#define NO_PORTS    65536 /* the row of packets without ports */

/* IPv4 gets a table of its own: small keys, half the steps. */
struct hk_classifier_addresses {
	__u32 *starts4;
	__u32 *rows4;
	size_t count4;
	struct hk_intervals six;
};

struct hk_classifier {
	struct hk_rows rows;
	__u32 *numbers; /* of the selectors, by place: ascending within a group; NO_SELECTOR: padding */
	__u32 *ends;	/* by word: the word behind its group */
	/* selectors that do not look at the field, and which of its words are not 0 */
	__u64 *any[HK_CLASSIFIER_FIELDS];
	__u64 *any_summary[HK_CLASSIFIER_FIELDS];
	struct hk_classifier_addresses addresses[2]; /* SOURCE, DESTINATION */
	__u32 *ports[2]; /* SOURCE_PORT, DESTINATION_PORT: 65536 rows and NO_PORTS */
	__u32 protocols[256];
	__u16 *domains; /* that any selector names, sorted */
	size_t domains_count;
	__u32 *domain_rows; /* [domains_count + 1][2]: by mark; the last for all other domains */
};

/* Fills an empty one; what failed half way is freed as the whole is. 0 or -1: no memory, or more than there
 * may be. */
int hk_classifier_build(struct hk_classifier *c, const struct hk_selector *selectors, unsigned count);

#endif
