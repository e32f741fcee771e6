// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey keys list`: which keys a running halfkeyd holds, by fingerprint. Never a key. */
#include "user/cmd/command.h"

#include <stdio.h>
#include <string.h>

#include "user/cmd/pages.h"
#include "user/cmd/table.h"

static void add_row(struct hk_table *table, const json_t *row)
{
	char which[96], id[24] = "";

	if (json_object_get(row, "id"))
		snprintf(id, sizeof(id), "id %lld ", hk_number_of(row, "id"));
	if (strcmp(hk_text_of(row, "kind"), "master") == 0)
		snprintf(which, sizeof(which), "%sslot %lld generation %lld", id, hk_number_of(row, "slot"),
			hk_number_of(row, "generation"));
	else if (json_object_get(row, "root"))
		snprintf(which, sizeof(which), "spi 0x%08llx root", hk_number_of(row, "spi"));
	else if (json_object_get(row, "suite"))
		snprintf(which, sizeof(which), "spi 0x%08llx suite %s", hk_number_of(row, "spi"),
			hk_text_of(row, "suite"));
	else
		snprintf(which, sizeof(which), "spi 0x%08llx version %lld", hk_number_of(row, "spi"),
			hk_number_of(row, "version"));
	hk_table_add(table, "%s|%s|%s|%s|%s|%s", hk_text_of(row, "domain"), hk_text_of(row, "kind"),
		hk_text_of(row, "receiver")[0] ? hk_text_of(row, "receiver") : "all", which,
		hk_text_of(row, "side"), hk_text_of(row, "fingerprint"));
}

static int list(const struct hk_options *options)
{
	json_t *keys = hk_all_pages(options, "keys", "keys");
	struct hk_table table;
	size_t i;

	if (!keys)
		return HK_EXIT_FAILED;
	if (options->json) {
		hk_print_json(keys);
	} else {
		hk_table_start(&table, "domain|kind|receiver|which|side|fingerprint");
		for (i = 0; i < json_array_size(keys); i++)
			add_row(&table, json_array_get(keys, i));
		hk_table_print(&table, 0);
	}
	json_decref(keys);
	return HK_EXIT_DONE;
}

static int run(int argc, char **argv)
{
	struct hk_options options;
	int status = hk_options_parse(&options, &hk_command_keys, "sicj", argc, argv);

	if (status >= 0)
		return status;
	if (optind == argc)
		return hk_usage("keys", "what with them? `halfkey keys list` shows them");
	if (strcmp(argv[optind], "list") != 0)
		return hk_usage("keys", "\"%.40s\" is not what can be done with keys: list is", argv[optind]);
	if (optind + 1 < argc)
		return hk_usage("keys", "\"%s\" is one argument too many", argv[optind + 1]);
	return list(&options);
}

const struct hk_command hk_command_keys = {
	.name = "keys",
	.summary = "list the keys a running halfkeyd holds, by fingerprint",
	.help = "usage: halfkey keys list [-i INSTANCE | -s SOCKET | -c FILE] [-j]\n"
		"\n"
		"Domain, receiver, slot and generation or SPI, and a fingerprint of each key. The\n"
		"fingerprint is keyed with a secret of the running process: it tells keys apart,\n"
		"and tests no guess. Keys themselves are never shown.\n"
		"\n"
		"  -j, --json            the list as JSON\n"
		"  -i, --instance NAME   its instance (default: default)\n"
		"  -s, --socket PATH     its control socket\n"
		"  -c, --config FILE     the configuration that names the socket\n"
		"\n"
		"example: halfkey keys list\n",
	.run = run,
};
