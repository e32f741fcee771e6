// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey reload`: asks halfkeyd to read its configuration again, and waits for what became of it. */
#include "user/cmd/command.h"

#include <stdio.h>
#include <unistd.h>

#define PATIENCE_MS 65000 /* the starter gives up after 60 s, and says so */
#define STEP_MS	    50

static json_t *reloads_of(const struct hk_options *options)
{
	json_t *status = hk_ask_daemon(options, json_pack("{s:s}", "command", "status")), *reloads;

	if (!status)
		return NULL;
	reloads = json_incref(json_object_get(status, "reloads"));
	json_decref(status);
	return reloads ? reloads : json_object();
}

/* The outcome shows in status: one more done, or one more failed and a sentence. */
static int wait_for_outcome(const struct hk_options *options, const json_t *before)
{
	struct hk_error error = {""};
	json_t *now;
	unsigned waited;
	int status = -1;

	for (waited = 0; waited < PATIENCE_MS && status < 0; waited += STEP_MS) {
		usleep(STEP_MS * 1000);
		now = reloads_of(options);
		if (!now)
			return HK_EXIT_FAILED;
		if (hk_number_of(now, "failed") != hk_number_of(before, "failed")) {
			hk_error_set(&error, 1, "refused, the old configuration stays: %s",
				hk_text_of(now, "last_error"));
			status = hk_fail("reload", &error);
		} else if (hk_number_of(now, "done") != hk_number_of(before, "done")) {
			status = HK_EXIT_DONE;
		}
		json_decref(now);
	}
	if (status >= 0)
		return status;
	hk_error_set(&error, 1, "no outcome after %u s: look at `halfkey status` and halfkeyd's log",
		PATIENCE_MS / 1000);
	return hk_fail("reload", &error);
}

static int run(int argc, char **argv)
{
	struct hk_options options;
	json_t *before, *result;
	int status = hk_options_parse(&options, &hk_command_reload, argc, argv);

	if (status < 0)
		status = hk_refuse_more(&options, argc, argv);
	if (status >= 0)
		return status;
	before = reloads_of(&options);
	if (!before)
		return HK_EXIT_FAILED;
	result = hk_ask_daemon(&options, json_pack("{s:s}", "command", "reload"));
	status = result ? wait_for_outcome(&options, before) : HK_EXIT_FAILED;
	json_decref(result);
	json_decref(before);
	return status;
}

static const struct hk_option rows[] = {
	HK_OPTIONS_DAEMON,
	{0},
};

const struct hk_command hk_command_reload = {
	.name = "reload",
	.summary = "make halfkeyd read its configuration, keys and rules again",
	.help = "usage: halfkey reload [-i INSTANCE | -s SOCKET | -c FILE]\n"
		"\n"
		"The same as SIGHUP, but waits for the outcome: exit status 0 when the new\n"
		"configuration is in force; 1 and a sentence when it was refused and the old one\n"
		"stays. Domains, policy, hooks and the files they name can change; ports, mode,\n"
		"queues, memory and feeds need a restart.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey check -c box.yaml && halfkey reload\n",
	.run = run,
};
