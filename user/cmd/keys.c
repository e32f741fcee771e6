// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey keys`: which keys a running halfkeyd holds, by fingerprint, and changes to them. Never shows a
 * key. */
#include "user/cmd/command.h"

#include <stdio.h>
#include <string.h>

#include "user/base/nearest.h"
#include "user/cmd/keys_change.h"
#include "user/cmd/keys_notes.h"
#include "user/cmd/keys_pull.h"
#include "user/cmd/pages.h"
#include "user/cmd/table.h"

static void which_text(const json_t *row, char *text, size_t room)
{
	const char *kind = hk_text_of(row, "kind");

	if (json_object_get(row, "client_random"))
		snprintf(text, room, "client random %s", hk_text_of(row, "client_random"));
	else if (strcmp(kind, "connection") == 0)
		snprintf(text, room, "%s port %lld to %s port %lld", hk_text_of(row, "client"),
			hk_number_of(row, "client_port"), hk_text_of(row, "server"),
			hk_number_of(row, "server_port"));
	else if (strcmp(kind, "level") == 0)
		snprintf(text, room, "level %s generation %lld", hk_text_of(row, "level"),
			hk_number_of(row, "generation"));
	else if (strcmp(kind, "master") == 0 && json_object_get(row, "id"))
		snprintf(text, room, "id %lld slot %lld generation %lld", hk_number_of(row, "id"),
			hk_number_of(row, "slot"), hk_number_of(row, "generation"));
	else if (strcmp(kind, "master") == 0)
		snprintf(text, room, "slot %lld generation %lld", hk_number_of(row, "slot"),
			hk_number_of(row, "generation"));
	else if (json_object_get(row, "root"))
		snprintf(text, room, "spi 0x%08llx root", hk_number_of(row, "spi"));
	else if (json_object_get(row, "suite"))
		snprintf(text, room, "spi 0x%08llx suite %s", hk_number_of(row, "spi"),
			hk_text_of(row, "suite"));
	else
		snprintf(text, room, "spi 0x%08llx version %lld", hk_number_of(row, "spi"),
			hk_number_of(row, "version"));
}

/* Where to change it. */
static const char *from_text(const json_t *row)
{
	const char *source = hk_text_of(row, "source");

	return strcmp(source, "the control socket") ? source : "socket";
}

static void add_row(struct hk_table *table, const json_t *row)
{
	char which[128], before[HK_KEY_TIME], after[HK_KEY_TIME], used[HK_KEY_TIME];

	which_text(row, which, sizeof(which));
	hk_table_add(table, "%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s", hk_text_of(row, "domain"),
		hk_text_of(row, "kind"), hk_text_of(row, "receiver")[0] ? hk_text_of(row, "receiver") : "all",
		which, hk_text_of(row, "side"), hk_text_of(row, "state"),
		hk_key_time_text(hk_number_of(row, "not_before"), before),
		hk_key_time_text(hk_number_of(row, "not_after"), after),
		hk_key_used_text(hk_number_of(row, "used"), used), from_text(row),
		hk_text_of(row, "fingerprint"));
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
		hk_table_start(&table, "domain|kind|receiver|which|side|state|not before|not after|last "
				       "used|from|fingerprint");
		for (i = 0; i < json_array_size(keys); i++)
			add_row(&table, json_array_get(keys, i));
		hk_table_print(&table, 0);
		hk_keys_notes(keys);
	}
	json_decref(keys);
	return HK_EXIT_DONE;
}

static int list_all(const struct hk_options *options, int argc, char **argv)
{
	return argc ? hk_usage("keys", "\"%s\" is one argument too many", argv[0]) : list(options);
}

static const struct action {
	const char *name;
	int (*run)(const struct hk_options *options, int argc, char **argv);
} actions[] = {{"list", list_all}, {"add", hk_keys_add}, {"rotate", hk_keys_rotate},
	{"retire", hk_keys_retire}, {"import", hk_keys_import}};

static int run(int argc, char **argv)
{
	struct hk_nearest nearest = {0};
	struct hk_options options;
	unsigned i;
	int status;

	if (argc > 1 && strcmp(argv[1], "pull") == 0) /* options of its own */
		return hk_keys_pull(argc - 1, argv + 1);
	status = hk_options_parse(&options, &hk_command_keys, argc, argv);
	if (status >= 0)
		return status;
	if (optind == argc)
		return hk_usage("keys", "what with them? list, add, rotate, retire, import or pull");
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, argv[optind]) == 0)
			return actions[i].run(&options, argc - optind - 1, argv + optind + 1);
		hk_nearest_offer(&nearest, argv[optind], actions[i].name);
	}
	return hk_usage("keys",
		"\"%.40s\" is not what can be done with keys: list is, and add, rotate, retire, "
		"import and pull%s%s%s",
		argv[optind], nearest.name ? ": did you mean \"" : "", nearest.name ? nearest.name : "",
		nearest.name ? "\"?" : "");
}

static const struct hk_option rows[] = {
	HK_OPTION_JSON,
	HK_OPTIONS_DAEMON,
	{0},
};

const struct hk_command hk_command_keys = {
	.name = "keys",
	.summary = "list, change, import and fetch the keys of a running halfkeyd",
	.help = "usage: halfkey keys list [OPTION...]\n"
		"       halfkey keys add DOMAIN FILE\n"
		"       halfkey keys rotate DOMAIN SECONDS FILE\n"
		"       halfkey keys retire DOMAIN FIELD=VALUE...\n"
		"       halfkey keys import DOMAIN FILE [gcm|gcm-split]\n"
		"       halfkey keys pull --help       fetch them from a key server\n"
		"\n"
		"list shows domain, receiver, slot and generation or SPI, state, times, when a packet\n"
		"last asked for it, where it came from, and a fingerprint of each key; and below it\n"
		"what a rotation needs to know: who has not changed over, whose last key ends within a\n"
		"day, which old key has no end, what a file still holds. The fingerprint is keyed with\n"
		"a secret of the running process: it tells keys apart, and tests no guess. Keys\n"
		"themselves are never shown.\n"
		"\n"
		"add takes key lines (docs/keys.md) from FILE, or from standard input (-), all of them\n"
		"or none; lines that begin with `retire` take keys away in the same step. rotate does\n"
		"the same, and lets older generations of what it adds live for SECONDS more. retire\n"
		"wipes one key at once. Both hold for keys of files, too, over reloads and crashes; but\n"
		"a new start of halfkeyd reads the files: take the lines out. import reads Wireshark's\n"
		"esp_sa table; authentication keys in it are dropped. In a TLS domain add and import\n"
		"take the lines of a key log, and retire takes client-random=, or client=,\n"
		"client-port=, server= and server-port=.\n"
		"What comes this way lives until it is retired or expires, over reloads and crashes\n"
		"of the inspector (TLS connections: reloads alone), or until halfkeyd ends: what must\n"
		"outlast that belongs into the domain's keys-dir.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey keys rotate east 3600 next.keys\n"
		   "         halfkey keys retire east slot=0 generation=7 receiver=192.0.2.9\n"
		   "         halfkey keys add web sslkeys.log\n",
	.run = run,
};
