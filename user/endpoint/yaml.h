/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the endpoint's YAML readers (tunnel, key server) share: a file, read by
 * a schema and refused with a sentence that names line and key; and paths.
 */
#ifndef HK_ENDPOINT_YAML_H
#define HK_ENDPOINT_YAML_H

#include <cyaml/cyaml.h>

#include "user/base/error.h"

/*
 * `what` the file is ("a tunnel configuration"), for refusals. `file` is open
 * for reading and stays so, or is -1: then `path` is opened.
 */
int hk_yaml_load(void **out, const char *what, const cyaml_schema_value_t *schema, const char *path, int file,
	struct hk_error *error);
void hk_yaml_free(const cyaml_schema_value_t *schema, void *data);

/* A path in `file` counts from the file's own directory. `*path` is malloc'ed, and replaced where need be. */
void hk_yaml_resolve(char **path, const char *file);

#endif
