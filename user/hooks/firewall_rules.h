/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The firewall's rules file as C. Private to firewall*.c and its tests. */
#ifndef HK_HOOKS_FIREWALL_RULES_H
#define HK_HOOKS_FIREWALL_RULES_H

#include "user/hooks/selector.h"

enum hk_firewall_action { HK_FIREWALL_ACCEPT, HK_FIREWALL_DROP, HK_FIREWALL_LOG };

struct hk_firewall_rule {
	char name[32]; /* as written, or "#N" */
	__u8 action;   /* enum hk_firewall_action */
	bool log;
	bool named;    /* by its author: counters survive a reload by it */
	__u32 flow_ms; /* 0: per packet */
};

struct hk_firewall_rules {
	struct hk_firewall_rule *rules;
	struct hk_selector *selectors; /* of the same number */
	unsigned count;
	struct hk_firewall_rule otherwise; /* when no rule decides */
};

/* Reads and checks the file of `setup`. 0, or -1 and a sentence. */
int hk_firewall_rules_load(
	struct hk_firewall_rules *out, const struct hk_hook_setup *setup, struct hk_hooks_refusal *refusal);
void hk_firewall_rules_free(struct hk_firewall_rules *rules);

#endif
