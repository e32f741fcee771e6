// SPDX-License-Identifier: GPL-2.0-or-later
/* halfkeyd: the daemon's command line. What it runs stands in user/control/starter.h. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/base/options.h"
#include "user/control/starter.h"

#define CONFIG_DEFAULT "/etc/halfkey/halfkey.yaml"

struct wishes {
	const char *config;
	bool verbose, version;
};

static const char help[] = "usage: halfkeyd [-c FILE] [-v]\n"
			   "\n"
			   "halfkeyd opens, inspects and forwards derived-key encrypted traffic.\n";

static const char more[] = "\n"
			   "It runs in the foreground and logs to standard error. SIGHUP reloads the\n"
			   "configuration; SIGTERM stops inspection and leaves the XDP program in place\n"
			   "with the fail policy in force: `halfkey detach` removes it.\n"
			   "`halfkey check -c FILE` reads a configuration without running it.\n";

static const struct hk_option options[] = {
	{"config", 'c', "FILE", offsetof(struct wishes, config), NULL,
		"the configuration (default: " CONFIG_DEFAULT ")"},
	{"verbose", 'v', NULL, offsetof(struct wishes, verbose), NULL, "log details, too"},
	{"version", 'V', NULL, offsetof(struct wishes, version), NULL, "print the version"},
	{0},
};

int main(int argc, char **argv)
{
	struct wishes wishes = {.config = CONFIG_DEFAULT};
	struct hk_error error = {{0}};
	int status = hk_options_read(options, &wishes, argc, argv, &error);

	if (status == 1) {
		hk_options_help(help, options, more);
		return 0;
	}
	if (!status)
		status = hk_options_end(argc, argv, &error);
	if (status) {
		fprintf(stderr, "halfkeyd: %s (halfkeyd --help)\n", error.text);
		return hk_exit_status(status);
	}
	if (wishes.version)
		return puts("halfkeyd " HK_VERSION) < 0;
	hk_log_init(wishes.verbose ? HK_LOG_DEBUG : HK_LOG_INFO, "starter");
	if (geteuid() != 0) {
		hk_log_error("halfkeyd must be started as root; it runs its inspector without any rights");
		return 1;
	}
	return hk_starter_run(wishes.config);
}
