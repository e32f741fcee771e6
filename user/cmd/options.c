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

void hk_command_help(const struct hk_command *command)
{
	hk_options_help(command->help, command->options, command->example);
}

int hk_options_parse(struct hk_options *options, const struct hk_command *command, int argc, char **argv)
{
	struct hk_error error = {""};
	int code;

	*options = (struct hk_options){.command = command->name};
	code = hk_options_read(command->options, options, argc, argv, &error);
	if (!code && options->instance)
		code = hk_instance_check(options->instance, &error);
	if (code < 0)
		return hk_usage(command->name, "%s", error.text);
	if (code)
		hk_command_help(command);
	return code ? HK_EXIT_DONE : -1;
}

int hk_refuse_more(const struct hk_options *options, int argc, char **argv)
{
	return optind < argc ? hk_usage(options->command, "\"%s\" is one argument too many", argv[optind])
			     : -1;
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
