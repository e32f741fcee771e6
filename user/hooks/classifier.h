/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many selectors compiled into one lookup: which is the first that matches?
 *
 * Bit vectors per field (Lakshman and Stiliadis 1998; aggregation after Baboescu
 * and Varghese 2001). Each field of a packet — source, destination, source port,
 * destination port, protocol, domain with mark — is looked up by itself and gives
 * a row: a bit for each selector that the field's value satisfies. The first bit
 * set in all six rows is the answer.
 *
 *   fields: binary search over the value ranges (addresses), a table (the rest)
 *   row:    any[] | own[]
 *             any[]  selectors that do not look at this field: one vector a field,
 *                    shared by all rows, so it stays in cache
 *             own[]  selectors that do, stored sparse: a summary bit for each of
 *                    its words that is not 0, then those words
 *
 * Selectors that look at the same fields are stored side by side, each group in
 * the order it came: where all of a word's selectors look at the source, the
 * source's own[] alone rules the word out, and few words are left to look at.
 * The answer is the least of the groups' first matches.
 *
 * Worst case a packet: 2 × log2(ranges) steps, then one pass over count / 64
 * words of six vectors, whatever the rules and the packet: 157 words for 10 000
 * rules, and at most 16 more where groups end. The summaries skip words in which some field satisfies no
 * selector. Memory is bounded; a set that needs more is refused.
 *
 * Immutable once made: any number of threads.
 */
#ifndef HK_HOOKS_CLASSIFIER_H
#define HK_HOOKS_CLASSIFIER_H

#include "user/hooks/selector.h"

#define HK_CLASSIFIER_MAX    32768 /* selectors */
#define HK_CLASSIFIER_FIELDS 6

struct hk_classifier;

/* A packet's rows. */
struct hk_classifier_key {
	const __u64 *own[HK_CLASSIFIER_FIELDS];
};

/* The selectors may go afterwards. 0, or -1 and a sentence. */
int hk_classifier_new(struct hk_classifier **out, const struct hk_selector *selectors, unsigned count,
	struct hk_hooks_refusal *refusal);
void hk_classifier_free(struct hk_classifier *classifier);

/* Looks the packet's fields up. Do this for a whole batch first: the rows are fetched meanwhile. */
void hk_classifier_look_up(const struct hk_classifier *classifier, const struct hk_hook_packet *packet,
	struct hk_classifier_key *key);
/* The first selector from number `from` on that matches, or -1. */
int hk_classifier_next(
	const struct hk_classifier *classifier, const struct hk_classifier_key *key, unsigned from);

#endif
