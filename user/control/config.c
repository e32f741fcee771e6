// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the YAML file to struct hk_config: see config.h. The way of a text:
 * outline.c (lines and bounds), schema.c (shape), here and in the files of reading.h (values).
 */
#include "user/control/config.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "user/base/names.h"
#include "user/base/text.h"
#include "user/control/reading.h"

#define CONFIG_SIZE_MAX (4u << 20)

static const char *const modes[] = {[0] = "",
	[HK_MODE_INLINE] = "inline",
	[HK_MODE_MONITOR] = "monitor",
	[HK_MODE_PASSIVE] = "passive",
	NULL};
static const char *const attaches[] = {
	[HK_ATTACH_AUTO] = "auto", [HK_ATTACH_NATIVE] = "native", [HK_ATTACH_GENERIC] = "generic", NULL};
static const char *const seccomps[] = {
	[HK_SECCOMP_ON] = "on", [HK_SECCOMP_LOG] = "log", [HK_SECCOMP_OFF] = "off", NULL};

/* --- names and places --- */

static int set_default(char **target, const char *format, const char *value)
{
	if (!*target && asprintf(target, format, value) < 0) {
		*target = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int read_instance(struct hk_reading *reading)
{
	const char *text = reading->raw->instance;
	struct hk_error error = {""};

	if (text && hk_instance_check(text, &error))
		return hk_reading_refuse(reading, "instance", "%s", error.text);
	return hk_read_text(reading, "instance", "instance", text, &reading->config->instance);
}

static int read_control(struct hk_reading *reading)
{
	const struct hk_config *config = reading->config;

	if (hk_read_text(reading, "control", "control", reading->raw->control, &reading->config->control) ||
		set_default(&reading->config->control, HK_RUN_DIRECTORY "/%s.sock", config->instance))
		return -EINVAL;
	if (config->control[0] != '/')
		return hk_reading_refuse(reading, "control",
			"control: \"%.80s\" must be an absolute path: clients run elsewhere",
			config->control);
	if (strlen(config->control) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return hk_reading_refuse(reading, "control",
			"control: \"%.40s...\" is longer than the %zu bytes of a socket's path",
			config->control, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	return 0;
}

static int read_crypto(struct hk_reading *reading)
{
	const char *text = reading->raw->crypto;

	if (text && strcmp(text, "ipsec-mb") != 0 && strcmp(text, "libcrypto") != 0)
		return hk_reading_refuse(
			reading, "crypto", "crypto: \"%.40s\" is not one of ipsec-mb, libcrypto", text);
	return hk_read_text(reading, "crypto", "crypto", text, &reading->config->crypto);
}

static int read_names(struct hk_reading *reading)
{
	const struct hk_raw_config *raw = reading->raw;
	struct hk_config *config = reading->config;
	int code = hk_read_choice(reading, "mode", "mode", raw->mode, modes, &config->mode);

	if (!code)
		code = hk_read_choice(reading, "attach", "attach", raw->attach, attaches, &config->attach);
	if (!code)
		code = hk_read_choice(
			reading, "seccomp", "seccomp", raw->seccomp, seccomps, &config->seccomp);
	if (!code)
		code = read_instance(reading);
	if (!code)
		code = hk_read_text(reading, "user", "user", raw->user, &config->user);
	if (!code)
		code = read_crypto(reading);
	if (!code)
		code = read_control(reading);
	return code;
}

/* --- sizes --- */

struct size_row {
	const char *key;
	const char *text;
	__u64 min, max;
	unsigned *target;
};

static int read_sizes(struct hk_reading *reading)
{
	const struct hk_raw_config *raw = reading->raw;
	struct hk_config *config = reading->config;
	const struct size_row rows[] = {
		{"queues", raw->queues, 1, HK_QUEUES_MAX, &config->queues},
		{"heartbeat-ms", raw->heartbeat_ms, 10, 60000, &config->heartbeat_ms},
		{"frames", raw->frames, 1024, 1u << 20, &config->frames},
		{"keys-max", raw->keys_max, 16, 1u << 24, &config->keys_max},
		{"flows-max", raw->flows_max, 16, 1u << 24, &config->flows_max},
	};
	__u64 value;
	unsigned i;
	int code = 0;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]) && !code; i++) {
		value = *rows[i].target;
		code = hk_read_number(
			reading, rows[i].key, rows[i].key, rows[i].text, rows[i].min, rows[i].max, &value);
		*rows[i].target = (unsigned)value;
	}
	if (!code && (config->frames & (config->frames - 1)))
		return hk_reading_refuse(
			reading, "frames", "frames: \"%s\" is not a power of two", raw->frames);
	return code;
}

/* --- ports --- */

static int read_port(struct hk_reading *reading, unsigned place)
{
	const char *text = reading->raw->ports[place];
	char where[24];

	snprintf(where, sizeof(where), "ports[%u]", place);
	if (!*text || strlen(text) >= IFNAMSIZ || strpbrk(text, "/ \t\n:") || text[0] == '.')
		return hk_reading_refuse(reading, where, "ports: \"%.40s\" is no interface name", text);
	if (place && strcmp(text, reading->raw->ports[0]) == 0)
		return hk_reading_refuse(reading, where, "ports: \"%s\" stands there twice", text);
	return hk_read_text(reading, where, "ports", text, &reading->config->ports[place]);
}

static int check_port_count(struct hk_reading *reading, unsigned count)
{
	unsigned mode = reading->config->mode;

	if (count == 0 && reading->use == HK_CONFIG_OPEN)
		return 0;
	if (count == 0)
		return hk_reading_refuse(reading, "ports", "has no `ports`: the interfaces the box sits on");
	if (mode == HK_MODE_PASSIVE && count > 2)
		return hk_reading_refuse(
			reading, "ports", "ports: mode passive takes one port or two, not %u", count);
	if (mode != HK_MODE_PASSIVE && count != 2)
		return hk_reading_refuse(reading, "ports",
			"ports: mode %s forwards between two ports, %u %s named", hk_mode_name(mode), count,
			count == 1 ? "is" : "are");
	return 0;
}

static int read_ports(struct hk_reading *reading)
{
	unsigned count = reading->raw->ports_count, i;
	int code = check_port_count(reading, count);

	for (i = 0; i < count && !code; i++)
		code = read_port(reading, i);
	if (!code)
		reading->config->ports_count = count;
	return code;
}

/* --- the whole --- */

/* Relative paths keep their meaning when the daemon changes its directory. */
static char *directory_of(const char *path)
{
	char *copy = strdup(path), *directory, *whole;

	if (!copy)
		return NULL;
	directory = dirname(copy);
	whole = realpath(directory, NULL);
	if (!whole)
		whole = strdup(directory);
	free(copy);
	return whole;
}

static struct hk_config *new_config(const char *path)
{
	struct hk_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->path = strdup(path);
	config->directory = directory_of(path);
	config->instance = strdup("default");
	config->user = strdup("nobody");
	config->mode = HK_MODE_INLINE;
	config->heartbeat_ms = 200;
	config->frames = 8192;
	config->keys_max = 65536;
	config->flows_max = 65536;
	config->feeds.stats_interval_s = 10;
	config->feeds.pcapng_max_bytes = 1ull << 30;
	if (config->path && config->directory && config->instance && config->user)
		return config;
	hk_config_free(config);
	return NULL;
}

static int read_all(struct hk_reading *reading)
{
	static int (*const steps[])(struct hk_reading *) = {read_names, read_sizes, read_ports,
		hk_read_policy, hk_read_domains, hk_read_hooks, hk_read_feeds};
	unsigned i;
	int code = 0;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && !code; i++)
		code = steps[i](reading);
	return code;
}

int hk_config_parse(struct hk_config **out, const char *path, const char *text, size_t size,
	enum hk_config_use use, const struct hk_config *previous, struct hk_error *error)
{
	struct hk_reading reading = {.name = path, .use = use, .previous = previous, .error = error};
	struct hk_raw_config *raw = NULL;
	int code;

	*out = NULL;
	if (size > CONFIG_SIZE_MAX)
		return hk_error_set(error, EFBIG, "%s: is longer than %u bytes", path, CONFIG_SIZE_MAX);
	code = hk_outline_read(&reading.outline, path, text, size, error);
	if (!code)
		code = hk_raw_config_read(&raw, path, &reading.outline, text, size, error);
	if (code)
		goto out;
	reading.raw = raw;
	reading.config = new_config(path);
	code = reading.config ? read_all(&reading) : hk_error_set(error, ENOMEM, "%s: out of memory", path);
	if (code)
		hk_config_free(reading.config);
	else
		*out = reading.config;
out:
	hk_raw_config_free(raw);
	hk_outline_free(&reading.outline);
	return code;
}

int hk_config_load(struct hk_config **out, const char *path, enum hk_config_use use,
	const struct hk_config *previous, struct hk_error *error)
{
	struct hk_files files = {0};
	size_t size = 0;
	char *text = NULL;
	int code;

	*out = NULL;
	code = hk_files_open(&files, HK_FILE_SETTINGS, NULL, path, error);
	if (!code) {
		text = hk_files_read(&files, path, CONFIG_SIZE_MAX, &size, error);
		code = text ? hk_config_parse(out, path, text, size, use, previous, error) : -EINVAL;
	}
	free(text);
	hk_files_close(&files);
	return code;
}

static int open_keys(const struct hk_config *config, const struct hk_domain_config *domain,
	struct hk_files *files, struct hk_error *error)
{
	int code = 0;

	if (domain->keys)
		code = hk_files_open(files, HK_FILE_KEYS, config->directory, domain->keys, error);
	if (!code && domain->keys_dir)
		code = hk_files_open_directory(files, config->directory, domain->keys_dir, error);
	return code;
}

int hk_config_open_files(const struct hk_config *config, struct hk_files *files, struct hk_error *error)
{
	const struct hk_hook_config *hook;
	unsigned i;
	int code = 0;

	hk_files_raise_limit();
	for (i = 0; i < config->domains_count && !code; i++)
		code = open_keys(config, &config->domains[i], files, error);
	for (i = 0; i < config->hooks_count && !code; i++) {
		hook = &config->hooks[i];
		if (strchr(hook->use, '/'))
			code = hk_files_open(files, HK_FILE_SETTINGS, config->directory, hook->use, error);
		if (!code && hook->settings)
			code = hk_files_open(
				files, HK_FILE_SETTINGS, config->directory, hook->settings, error);
	}
	return code;
}

static void free_domain(struct hk_domain_config *domain)
{
	free(domain->name);
	free(domain->receivers);
	free(domain->keys);
	free(domain->keys_dir);
}

void hk_config_free(struct hk_config *config)
{
	unsigned i;

	if (!config)
		return;
	for (i = 0; i < config->domains_count; i++)
		free_domain(&config->domains[i]);
	for (i = 0; i < config->hooks_count; i++) {
		free(config->hooks[i].use);
		free(config->hooks[i].settings);
	}
	for (i = 0; i < HK_PORTS_MAX; i++)
		free(config->ports[i]);
	free(config->domains);
	free(config->hooks);
	free(config->path);
	free(config->directory);
	free(config->instance);
	free(config->user);
	free(config->control);
	free(config->crypto);
	free(config->feeds.eve_path);
	free(config->feeds.mirror_tap);
	free(config->feeds.pcapng_path);
	free(config);
}
