/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the endpoint's YAML readers (tunnel, key server) share: libcyaml's
 * settings with its message kept for our own sentence, and paths.
 */
#ifndef HK_ENDPOINT_YAML_H
#define HK_ENDPOINT_YAML_H

#include <cyaml/cyaml.h>

#define HK_YAML_MESSAGE 256

/* `kept` starts empty; the library's first message, which names line and field, is left in it. */
cyaml_config_t hk_yaml_options(char kept[HK_YAML_MESSAGE]);

/* A path in `file` counts from the file's own directory. `*path` is malloc'ed, and replaced where need be. */
void hk_yaml_resolve(char **path, const char *file);

#endif
