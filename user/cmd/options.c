// SPDX-License-Identifier: GPL-2.0-or-later
/* What the subcommands share: options, messages, asking the daemon. See command.h. */
#include "user/cmd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/names.h"
#include "user/control/client.h"
#include "user/control/config.h"

int hk_fail(const char *command, const struct hk_error *error)
{
	fprintf(stderr, "halfkey %s: %s\n", command, error->text[0] ? error->text : "failed");
	return HK_EXIT_FAILED;
}

int hk_usage(const char *command, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "halfkey %s: ", command);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, " (halfkey %s --help)\n", command);
	return HK_EXIT_USAGE;
}

static int refuse_option(const char *command, int c, char **argv)
{
	if (c == ':')
		return hk_usage(command, "%s needs a value", argv[optind - 1]);
	if (optopt)
		return hk_usage(command, "there is no option -%c", optopt);
	return hk_usage(command, "there is no option %s", argv[optind - 1]);
}

int hk_options_take(
	struct hk_options *options, const struct hk_command *command, const char *allowed, int c, char **argv)
{
	struct hk_error error = {""};

	options->command = command->name;
	if (c == 'h') {
		fputs(command->help, stdout);
		return HK_EXIT_DONE;
	}
	if (c == ':' || c == '?')
		return refuse_option(command->name, c, argv);
	if (!strchr(allowed, c))
		return hk_usage(command->name, "there is no option -%c", c);
	if (c == 'i' && hk_instance_check(optarg, &error))
		return hk_usage(command->name, "%s", error.text);
	switch (c) {
	case 's': options->socket = optarg; break;
	case 'i': options->instance = optarg; break;
	case 'c': options->config = optarg; break;
	case 'j': options->json = true; break;
	}
	return -1;
}

int hk_options_parse(struct hk_options *options, const struct hk_command *command, const char *allowed,
	int argc, char **argv)
{
	static const struct option longs[] = {HK_OPTIONS_LONG, {0}};
	int c, status;

	memset(options, 0, sizeof(*options));
	options->command = command->name;
	opterr = 0;
	while ((c = getopt_long(argc, argv, HK_OPTIONS_SHORT, longs, NULL)) != -1) {
		status = hk_options_take(options, command, allowed, c, argv);
		if (status >= 0)
			return status;
	}
	return -1;
}

/* -s, else -i, else the configuration's with -c, else the default instance. */
char *hk_socket_path(const struct hk_options *options, struct hk_error *error)
{
	struct hk_config *config;
	char *path = NULL;

	if (options->socket)
		return strdup(options->socket);
	if (options->config) {
		if (hk_config_load(&config, options->config, HK_CONFIG_OPEN, NULL, error))
			return NULL;
		path = strdup(config->control);
		hk_config_free(config);
		return path;
	}
	if (asprintf(&path, HK_RUN_DIRECTORY "/%s.sock", options->instance ? options->instance : "default") <
		0)
		return NULL;
	return path;
}

json_t *hk_ask_daemon(const struct hk_options *options, json_t *request)
{
	struct hk_error error = {""};
	char *path = hk_socket_path(options, &error);
	json_t *result = NULL;

	if (path)
		result = hk_control_ask(path, request, &error);
	else
		json_decref(request);
	if (!result)
		hk_fail(options->command, &error);
	free(path);
	return result;
}

int hk_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
	return HK_EXIT_DONE;
}

const char *hk_text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

long long hk_number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}
