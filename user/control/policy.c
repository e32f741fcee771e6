// SPDX-License-Identifier: GPL-2.0-or-later
/* A configuration's `policy`: the classes first, then what single reasons say otherwise. */
#include "user/control/reading.h"

#include <errno.h>
#include <stdio.h>

#include "user/base/text.h"

/* Drops by their own meaning: no policy decides them. */
static bool reason_is_a_drop(unsigned reason)
{
	switch (reason) {
	case HK_REASON_VERDICT_DROP:
	case HK_REASON_HOOK_DROP:
	case HK_REASON_FLOW_DROP:
	case HK_REASON_DELAY_FULL:
	case HK_REASON_TX_FAILED:
	case HK_REASON_SHUTDOWN: return true;
	default: return false;
	}
}

static int read_action(struct hk_reading *reading, const char *key, const char *text, __u8 *out)
{
	static const char *const actions[] = {[HK_ACTION_PASS] = "pass", [HK_ACTION_DROP] = "drop", NULL};
	char where[48], what[48];

	snprintf(where, sizeof(where), "policy.%s", key);
	snprintf(what, sizeof(what), "policy: %s", key);
	return hk_read_choice(reading, where, what, text, actions, out);
}

static int read_class(struct hk_reading *reading, unsigned policy)
{
	__u8 action = (__u8)hk_policy_default(policy);
	const char *text = reading->raw->policy.classes[policy];
	unsigned reason;

	if (policy == HK_POLICY_NONE && text)
		return hk_reading_refuse(reading, "policy.none", "policy: unknown key \"none\"");
	if (read_action(reading, hk_policy_name(policy), text, &action))
		return -EINVAL;
	for (reason = 0; reason < HK_REASON_COUNT; reason++)
		if (hk_reason_policy(reason) == policy)
			reading->config->policy[reason] = action;
	return 0;
}

static int read_reason(struct hk_reading *reading, unsigned reason)
{
	const char *text = reading->raw->policy.reasons[reason], *name = hk_reason_name(reason);
	char where[48];

	if (!text)
		return 0;
	snprintf(where, sizeof(where), "policy.%s", name);
	if (hk_reason_policy(reason) == HK_POLICY_NONE)
		return hk_reading_refuse(reading, where,
			"policy: \"%s\" is no refusal (%s): no policy applies to it", name,
			hk_reason_text(reason));
	return read_action(reading, name, text, &reading->config->policy[reason]);
}

int hk_read_policy(struct hk_reading *reading)
{
	unsigned i;

	for (i = 0; i < HK_POLICY_COUNT; i++)
		if (read_class(reading, i))
			return -EINVAL;
	for (i = 0; i < HK_REASON_COUNT; i++)
		if (hk_reason_name(i) && read_reason(reading, i))
			return -EINVAL;
	for (i = 0; i < HK_REASON_COUNT; i++)
		if (reason_is_a_drop(i) || !hk_reason_name(i))
			reading->config->policy[i] = HK_ACTION_DROP;
	return 0;
}
