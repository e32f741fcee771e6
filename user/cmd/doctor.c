// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey doctor`: looks at what is usually wrong on a machine, and says what to do. Changes nothing. */
#include "user/cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/base/log.h"
#include "user/cmd/finding.h"
#include "user/control/config.h"

#define PORTS_MAX 16

struct hk_findings {
	bool json, colour;
	json_t *rows;
	unsigned counts[3];
};

static const char *const level_names[] = {"ok", "warn", "fail"};

static void print_finding(const struct hk_findings *findings, unsigned level, const char *subject,
	const char *text, const char *todo)
{
	static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};

	printf("%s%-4s%s  %-10s %s\n", findings->colour ? colours[level] : "", level_names[level],
		findings->colour ? "\033[0m" : "", subject, text);
	if (todo)
		printf("      %-10s -> %s\n", "", todo);
}

void hk_finding(struct hk_findings *findings, enum hk_finding_level level, const char *subject,
	const char *todo, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	findings->counts[level]++;
	if (findings->json)
		json_array_append_new(
			findings->rows, json_pack("{s:s, s:s, s:s, s:s?}", "level", level_names[level],
						"subject", subject, "text", text, "todo", todo));
	else
		print_finding(findings, level, subject, text, todo);
}

static int finish(struct hk_findings *findings)
{
	if (findings->json)
		hk_print_json(findings->rows);
	else
		printf("\n%u ok, %u to look at, %u failed\n", findings->counts[HK_FINDING_OK],
			findings->counts[HK_FINDING_WARN], findings->counts[HK_FINDING_FAIL]);
	json_decref(findings->rows);
	return findings->counts[HK_FINDING_FAIL] ? HK_EXIT_FAILED : HK_EXIT_DONE;
}

static void look_at_ports(struct hk_findings *findings, const struct hk_config *config, unsigned count,
	const char *const *ports)
{
	unsigned i;

	for (i = 0; i < count; i++)
		hk_doctor_port(findings, ports[i], config);
	if (count == 2)
		hk_doctor_pair(findings, ports[0], ports[1]);
	if (!count)
		hk_finding(findings, HK_FINDING_WARN, "ports",
			"name them: halfkey doctor eth1 eth2, or -c FILE", "none was looked at");
}

static int examine(const struct hk_options *options, const struct hk_config *config, unsigned count,
	const char *const *ports)
{
	struct hk_findings findings = {
		.json = options->json,
		.colour = !options->json && isatty(STDOUT_FILENO),
		.rows = json_array(),
	};

	hk_doctor_host(&findings, config);
	if (config && !count)
		look_at_ports(&findings, config, config->ports_count, (const char *const *)config->ports);
	else
		look_at_ports(&findings, config, count, ports);
	return finish(&findings);
}

static int run(int argc, char **argv)
{
	struct hk_config *config = NULL;
	struct hk_error error = {""};
	struct hk_options options;
	int status = hk_options_parse(&options, &hk_command_doctor, argc, argv);

	if (status >= 0)
		return status;
	if (argc - optind > PORTS_MAX)
		return hk_usage("doctor", "more than %u ports", PORTS_MAX);
	hk_log_init(HK_LOG_WARN, "doctor");
	if (options.config && hk_config_load(&config, options.config, HK_CONFIG_OPEN, NULL, &error))
		return hk_fail("doctor", &error);
	status = examine(&options, config, (unsigned)(argc - optind), (const char *const *)argv + optind);
	hk_config_free(config);
	return status;
}

static const struct hk_option rows[] = {
	{"config", 'c', "FILE", HK_AT(config), NULL, "look at the ports of this configuration"},
	{"json", 'j', NULL, HK_AT(json), NULL, "the findings as JSON"},
	{0},
};

const struct hk_command hk_command_doctor = {
	.name = "doctor",
	.summary = "look at this machine and its ports for what is usually wrong",
	.help = "usage: halfkey doctor [-c FILE] [-j] [PORT...]\n"
		"\n"
		"Kernel, bpffs, memory, rights and processor; and of each port the driver, XDP,\n"
		"queues, MTU, offloads and, on veth, the peer. Every line is ok, warn or fail, and\n"
		"says what to do. Changes nothing. Exit status 1 when a line failed.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey doctor eth1 eth2\n",
	.run = run,
};
