// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey verdicts`: the kernel's verdicts on whole sealed flows. */
#include "user/cmd/command.h"

#include <stdio.h>
#include <string.h>

#include "user/base/nearest.h"
#include "user/base/text.h"
#include "user/cmd/pages.h"
#include "user/cmd/table.h"

static int list(const struct hk_options *options, int argc, char **argv)
{
	json_t *verdicts;
	struct hk_table table;
	const json_t *row;
	size_t i;

	if (argc)
		return hk_usage("verdicts", "\"%s\" is one argument too many", argv[0]);
	verdicts = hk_all_pages(options, "verdicts", "verdicts");
	if (!verdicts)
		return HK_EXIT_FAILED;
	if (options->json) {
		hk_print_json(verdicts);
	} else {
		hk_table_start(&table, "domain|source|destination|spi|verdict|seconds left");
		for (i = 0; i < json_array_size(verdicts); i++) {
			row = json_array_get(verdicts, i);
			hk_table_add(&table, "%s|%s|%s|0x%08llx|%s|%lld", hk_text_of(row, "domain"),
				hk_text_of(row, "src"), hk_text_of(row, "dst"), hk_number_of(row, "spi"),
				hk_text_of(row, "verdict"), hk_number_of(row, "seconds_left"));
		}
		hk_table_print(&table, 0);
	}
	json_decref(verdicts);
	return HK_EXIT_DONE;
}

/* DOMAIN SOURCE DESTINATION SPI, checked here so that nothing is asked for nothing. */
static json_t *flow_request(const char *command, char **argv)
{
	struct hk_address address;
	__u64 spi;
	unsigned i;

	for (i = 1; i < 3; i++)
		if (hk_address_parse(argv[i], &address)) {
			hk_usage("verdicts", "\"%s\" is not an IP address", argv[i]);
			return NULL;
		}
	if (hk_number_parse(argv[3], 0xffffffff, &spi) || !spi) {
		hk_usage("verdicts", "\"%s\" is not an SPI (4660 or 0x1234)", argv[3]);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:I}", "command", command, "domain", argv[0], "src", argv[1],
		"dst", argv[2], "spi", (json_int_t)spi);
}

static int done(const struct hk_options *options, json_t *request)
{
	json_t *result = hk_ask_daemon(options, request);

	if (!result)
		return HK_EXIT_FAILED;
	json_decref(result);
	return options->json ? puts("{\"ok\": true}") < 0 : HK_EXIT_DONE;
}

static int add(const struct hk_options *options, int argc, char **argv)
{
	json_t *request;
	__u64 seconds;

	if (argc != 6)
		return hk_usage("verdicts", "add takes DOMAIN SOURCE DESTINATION SPI accept|drop SECONDS");
	if (strcmp(argv[4], "accept") != 0 && strcmp(argv[4], "drop") != 0)
		return hk_usage("verdicts", "\"%s\" is neither accept nor drop", argv[4]);
	if (hk_number_parse(argv[5], 7 * 86400, &seconds) || !seconds)
		return hk_usage("verdicts", "\"%s\" is not a number of seconds from 1 to 604800", argv[5]);
	request = flow_request("verdict-add", argv);
	if (!request)
		return HK_EXIT_USAGE;
	json_object_set_new(request, "verdict", json_string(argv[4]));
	json_object_set_new(request, "seconds", json_integer((json_int_t)seconds));
	return done(options, request);
}

static int delete (const struct hk_options *options, int argc, char **argv)
{
	json_t *request;

	if (argc != 4)
		return hk_usage("verdicts", "delete takes DOMAIN SOURCE DESTINATION SPI");
	request = flow_request("verdict-delete", argv);
	return request ? done(options, request) : HK_EXIT_USAGE;
}

static const struct action {
	const char *name;
	int (*run)(const struct hk_options *options, int argc, char **argv);
} actions[] = {{"list", list}, {"add", add}, {"delete", delete}};

static int act(const struct hk_options *options, int argc, char **argv)
{
	struct hk_nearest nearest = {0};
	unsigned i;

	if (!argc)
		return hk_usage("verdicts", "what with them? list, add or delete");
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, argv[0]) == 0)
			return actions[i].run(options, argc - 1, argv + 1);
		hk_nearest_offer(&nearest, argv[0], actions[i].name);
	}
	return hk_usage("verdicts", "\"%.40s\" is not list, add or delete%s%s%s", argv[0],
		nearest.name ? ": did you mean \"" : "", nearest.name ? nearest.name : "",
		nearest.name ? "\"?" : "");
}

static int run(int argc, char **argv)
{
	struct hk_options options;
	int status = hk_options_parse(&options, &hk_command_verdicts, argc, argv);

	return status >= 0 ? status : act(&options, argc - optind, argv + optind);
}

static const struct hk_option rows[] = {
	HK_OPTION_JSON,
	HK_OPTIONS_DAEMON,
	{0},
};

const struct hk_command hk_command_verdicts = {
	.name = "verdicts",
	.summary = "list, add and delete the kernel's verdicts on sealed flows",
	.help = "usage: halfkey verdicts list [OPTION...]\n"
		"       halfkey verdicts add DOMAIN SOURCE DESTINATION SPI accept|drop SECONDS\n"
		"       halfkey verdicts delete DOMAIN SOURCE DESTINATION SPI\n"
		"\n"
		"A verdict lets a whole sealed flow (outer addresses and SPI) pass unopened, or\n"
		"drops it, in the kernel, until its time is over.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey verdicts add east 192.0.2.1 192.0.2.9 0x1234 drop 600\n",
	.run = run,
};
