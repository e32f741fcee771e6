// SPDX-License-Identifier: GPL-2.0-or-later
/* halfkeyd: the daemon's command line. What it runs stands in user/control/starter.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/control/starter.h"

#define CONFIG_DEFAULT "/etc/halfkey/halfkey.yaml"

static void usage(FILE *out)
{
	fprintf(out, "halfkeyd opens, inspects and forwards derived-key encrypted traffic.\n"
		     "\n"
		     "usage: halfkeyd [-c FILE] [-v]\n"
		     "\n"
		     "  -c, --config FILE  the configuration (default " CONFIG_DEFAULT ")\n"
		     "  -v, --verbose      log details, too\n"
		     "  -V, --version      print the version\n"
		     "  -h, --help         print this\n"
		     "\n"
		     "It runs in the foreground and logs to standard error. SIGHUP reloads the\n"
		     "configuration; SIGTERM stops inspection and leaves the XDP program in place\n"
		     "with the fail policy in force: `halfkey detach` removes it.\n"
		     "`halfkey check -c FILE` reads a configuration without running it.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *config = CONFIG_DEFAULT;
	enum hk_log_level level = HK_LOG_INFO;
	int option;

	while ((option = getopt_long(argc, argv, "c:vVh", options, NULL)) != -1) {
		switch (option) {
		case 'c': config = optarg; break;
		case 'v': level = HK_LOG_DEBUG; break;
		case 'V': puts("halfkeyd " HK_VERSION); return 0;
		case 'h': usage(stdout); return 0;
		default: fprintf(stderr, "halfkeyd: see `halfkeyd --help`\n"); return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "halfkeyd: '%s': no such argument: see `halfkeyd --help`\n", argv[optind]);
		return 2;
	}
	hk_log_init(level, "starter");
	if (geteuid() != 0) {
		hk_log_error("halfkeyd must be started as root; it runs its inspector without any rights");
		return 1;
	}
	return hk_starter_run(config);
}
