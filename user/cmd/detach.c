// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey detach`: takes program, maps and pins of an instance away; the ports are plain interfaces again.
 */
#include "user/cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/log.h"
#include "user/control/config.h"
#include "user/dataplane/loader.h"

static char *instance_of(const struct hk_options *options, struct hk_error *error)
{
	struct hk_config *config;
	char *name;

	if (options->instance || !options->config)
		return strdup(options->instance ? options->instance : "default");
	if (hk_config_load(&config, options->config, HK_CONFIG_OPEN, NULL, error))
		return NULL;
	name = strdup(config->instance);
	hk_config_free(config);
	return name;
}

/* The name becomes part of a path that root removes. */
static int detach(const char *instance)
{
	struct hk_error error = {""};
	int code;

	code = hk_loader_detach(instance, &error);
	if (code == -ENOENT) {
		printf("instance %s: nothing is attached\n", instance);
		return HK_EXIT_DONE;
	}
	if (code == -EBUSY)
		hk_error_set(&error, EBUSY, "instance %s: its halfkeyd still runs: stop it first", instance);
	if (code == -EPERM || code == -EACCES)
		hk_error_set(&error, EPERM, "instance %s: only root can detach it", instance);
	if (code)
		return hk_fail("detach", &error);
	printf("instance %s: detached; its ports forward nothing now\n", instance);
	return HK_EXIT_DONE;
}

static int run(int argc, char **argv)
{
	struct hk_error error = {""};
	struct hk_options options;
	char *instance;
	int status = hk_options_parse(&options, &hk_command_detach, argc, argv);

	if (status >= 0)
		return status;
	if (optind < argc)
		return hk_usage(
			"detach", "\"%s\" is one argument too many (-i names the instance)", argv[optind]);
	hk_log_init(HK_LOG_WARN, "detach");
	instance = instance_of(&options, &error);
	if (!instance)
		return hk_fail("detach", &error);
	status = detach(instance);
	free(instance);
	return status;
}

static const struct hk_option rows[] = {
	{"instance", 'i', "NAME", HK_AT(instance), NULL, "the instance (default: default)"},
	{"config", 'c', "FILE", HK_AT(config), NULL, "the configuration that names it"},
	{0},
};

const struct hk_command hk_command_detach = {
	.name = "detach",
	.summary = "take a stopped instance's XDP program and maps away",
	.help = "usage: halfkey detach [-i INSTANCE | -c FILE]\n"
		"\n"
		"Stopping halfkeyd leaves program and maps in place, so that the link lives on by\n"
		"its fail policy. This removes them: the ports are plain interfaces again, and\n"
		"nothing is forwarded between them. Refused while the instance's halfkeyd runs.\n",
	.options = rows,
	.example = "\n"
		   "example: systemctl stop halfkeyd && halfkey detach\n",
	.run = run,
};
