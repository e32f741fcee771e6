// SPDX-License-Identifier: GPL-2.0-or-later
/* What the endpoint's YAML readers share: see yaml.h. */
#include "user/endpoint/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/complaint.h"
#include "user/base/outline.h"

#define FILE_MAX (1 << 20)

/* All of a file; NULL: no regular file, or too large. */
static char *read_whole(int fd, size_t *size)
{
	struct stat status;
	char *text;
	ssize_t got;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
		return NULL;
	text = calloc(1, (size_t)status.st_size + 1);
	got = text ? pread(fd, text, (size_t)status.st_size, 0) : -1;
	*size = got > 0 ? (size_t)got : 0;
	return text;
}

/* Every key that the schema has anywhere: one in the wrong place is better shown than not. */
static void offer_keys(struct hk_nearest *nearest, const char *key, const cyaml_schema_value_t *schema)
{
	const cyaml_schema_field_t *field;

	if (schema->type == CYAML_SEQUENCE)
		offer_keys(nearest, key, schema->sequence.entry);
	if (schema->type != CYAML_MAPPING)
		return;
	for (field = schema->mapping.fields; field->key; field++) {
		hk_nearest_offer(nearest, key, field->key);
		offer_keys(nearest, key, &field->value);
	}
}

static cyaml_config_t options(struct hk_complaint *complaint)
{
	return (cyaml_config_t){
		.log_fn = hk_complaint_listen,
		.log_ctx = complaint,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

/* The text's own file, which holds `size` bytes of `text`. */
struct reading {
	const char *what, *path, *text;
	size_t size;
	struct hk_outline outline;
};

static int read_schema(
	void **out, struct reading *reading, const cyaml_schema_value_t *schema, struct hk_error *error)
{
	struct hk_complaint complaint = {0};
	struct hk_nearest nearest = {0};
	cyaml_config_t how = options(&complaint);
	cyaml_err_t code = cyaml_load_data(
		(const uint8_t *)reading->text, reading->size, &how, schema, (cyaml_data_t **)out, NULL);
	char key[HK_COMPLAINT_KEY];

	if (code == CYAML_OK && *out)
		return 0;
	if (code == CYAML_OK)
		return hk_error_set(
			error, EINVAL, "%s: not %s: nothing is in it", reading->path, reading->what);
	if (!hk_complaint_unknown_key(&complaint, key))
		return hk_complaint_refuse(&complaint, reading->path, code, error);
	offer_keys(&nearest, key, schema);
	return hk_complaint_refuse_key(
		reading->path, hk_outline_key_line(&reading->outline, key), key, &nearest, error);
}

int hk_yaml_load(void **out, const char *what, const cyaml_schema_value_t *schema, const char *path, int file,
	struct hk_error *error)
{
	struct reading reading = {.what = what, .path = path};
	int fd = file >= 0 ? file : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code;
	int failure = fd < 0 ? errno : 0;
	char *text = fd >= 0 ? read_whole(fd, &reading.size) : NULL;

	*out = NULL;
	if (fd >= 0 && fd != file)
		close(fd);
	if (!text)
		return hk_error_set(error, EINVAL, "%s: cannot be read as %s: %s", path, what,
			failure ? strerror(failure) : "it must be a regular file of at most 1 MiB");
	reading.text = text;
	code = hk_outline_read(&reading.outline, path, text, reading.size, error);
	if (!code)
		code = read_schema(out, &reading, schema, error);
	hk_outline_free(&reading.outline);
	free(text);
	return code;
}

void hk_yaml_free(const cyaml_schema_value_t *schema, void *data)
{
	struct hk_complaint complaint = {0};
	cyaml_config_t how = options(&complaint);

	if (data)
		cyaml_free(&how, schema, data, 0);
}

void hk_yaml_resolve(char **path, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *whole;

	if (!*path || **path == '/' || !slash)
		return;
	if (asprintf(&whole, "%.*s/%s", (int)(slash - file), file, *path) < 0)
		abort(); /* at start, out of memory */
	free(*path);
	*path = whole;
}
