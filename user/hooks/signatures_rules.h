/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signatures as C: what the rules file says, and the parts that read it.
 * Private to signatures*.c and its tests. The syntax is the subset of
 * Suricata's that docs/hooks.md names; all else is refused by line and word.
 */
#ifndef HK_HOOKS_SIGNATURES_RULES_H
#define HK_HOOKS_SIGNATURES_RULES_H

#include <stdbool.h>

#include <halfkey/hook.h>

#include "user/hooks/settings.h"

#define HK_SIGNATURES_MAX 65536

/* Order is strength: a pass silences, a drop drops, an alert reports. */
enum hk_signature_action { HK_SIGNATURE_PASS, HK_SIGNATURE_DROP, HK_SIGNATURE_ALERT };

struct hk_signature_ports {
	__u16 first, last;
};

/* Satisfied by what is in `in` (or anything, when that is empty) and not in `out`. */
struct hk_signature_addresses {
	struct hk_prefix *in, *out;
	unsigned in_count, out_count;
};

struct hk_signature_port_set {
	struct hk_signature_ports *in, *out;
	unsigned in_count, out_count;
};

/* A content or a regular expression, as Hyperscan takes it. */
struct hk_signature_pattern {
	char *expression;
	unsigned flags;	 /* HS_FLAG_* */
	unsigned length; /* bytes it must match; 0: a regular expression */
	bool negated;
	__u32 id; /* equal patterns share one */
};

struct hk_signature {
	__u8 action;   /* enum hk_signature_action */
	__u8 protocol; /* 6, 17, 1 (ICMP of both versions), 0: any */
	bool both_ways;
	struct hk_signature_addresses src, dst;
	struct hk_signature_port_set src_ports, dst_ports;
	struct hk_signature_pattern *patterns;
	unsigned patterns_count;
	__u32 gid, sid, rev, priority;
	unsigned line;
	const char *category;
	char message[160];
};

struct hk_signatures {
	struct hk_signature *list;
	unsigned count, room;
};

/* Reads a whole rules file; `text` is written to. 0, or -1 and a sentence with line and word. */
int hk_signatures_parse(struct hk_signatures *out, char *text, struct hk_hooks_refusal *refusal);
void hk_signatures_free(struct hk_signatures *signatures);

/* --- the parts --- */

struct hk_signature_variable {
	char *name, *value;
};

/* Where the parser is: one logical line of the file. */
struct hk_signature_parser {
	struct hk_hooks_refusal *refusal;
	struct hk_signature_variable *variables;
	unsigned variables_count;
	const char *begin; /* of the line; '\v' stands where a continued line went on */
	unsigned number;   /* of its first physical line */
};

/* "line N: sentence", N counted up to `at`. Returns -1. */
int hk_signature_refuse(const struct hk_signature_parser *parser, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Header: action, protocol, addresses, ports, direction. `*rest` is left at the '('. */
int hk_signature_header(const struct hk_signature_parser *parser, char **rest, struct hk_signature *out);
/* Everything between the parentheses. */
int hk_signature_options(const struct hk_signature_parser *parser, char *text, struct hk_signature *out);
/* Whether the packet is one the header means; contents are not looked at. */
bool hk_signature_header_matches(const struct hk_signature *signature, const struct hk_hook_packet *packet);
/* Priority and description of a classtype; 0: no such. */
unsigned hk_signature_class(const char *name, const char **description);

#endif
