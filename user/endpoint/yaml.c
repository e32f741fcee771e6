// SPDX-License-Identifier: GPL-2.0-or-later
/* What the endpoint's YAML readers share: see yaml.h. */
#include "user/endpoint/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the library has to say, kept for our sentence: it names line and field. */
static void keep_message(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
	char *kept = context;

	(void)level;
	if (kept[0])
		return;
	vsnprintf(kept, HK_YAML_MESSAGE, format, arguments);
	kept[strcspn(kept, "\n")] = '\0';
}

cyaml_config_t hk_yaml_options(char kept[HK_YAML_MESSAGE])
{
	return (cyaml_config_t){
		.log_fn = keep_message, .log_ctx = kept, .log_level = CYAML_LOG_WARNING, .mem_fn = cyaml_mem};
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
