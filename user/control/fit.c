// SPDX-License-Identifier: GPL-2.0-or-later
/* What is refused before anything is touched: see fit.h. */
#include "user/control/fit.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/dataplane/delay.h"

static bool look_at(const struct hk_config *config, const char *name, struct stat *status)
{
	char path[PATH_MAX];
	int length = name[0] == '/' ? snprintf(path, sizeof(path), "%s", name)
				    : snprintf(path, sizeof(path), "%s/%s", config->directory, name);

	return length > 0 && (size_t)length < sizeof(path) && stat(path, status) == 0;
}

/* The same directory by another name, too. One that is not there is refused by whoever opens it. */
static int fit_keys_dir(const struct hk_config *config, unsigned place, struct hk_error *error)
{
	const struct hk_domain_config *domains = config->domains;
	struct stat own, other;
	unsigned i;

	if (!domains[place].keys_dir || !look_at(config, domains[place].keys_dir, &own))
		return 0;
	for (i = 0; i < place; i++)
		if (domains[i].keys_dir && look_at(config, domains[i].keys_dir, &other) &&
			own.st_dev == other.st_dev && own.st_ino == other.st_ino)
			return hk_error_set(error, EINVAL,
				"domain %s: keys-dir: %s is %s, that of domain %s: give each a directory of "
				"its own",
				domains[place].name, domains[place].keys_dir, domains[i].keys_dir,
				domains[i].name);
	return 0;
}

int hk_fit_config(const struct hk_config *config, struct hk_error *error)
{
	unsigned i;
	int result = 0;

	for (i = 0; i < config->domains_count && !result; i++)
		result = fit_keys_dir(config, i, error);
	return result;
}

int hk_fit_hooks(const struct hk_hook_chain *hooks, struct hk_error *error)
{
	return hk_hook_chain_classes(hooks) > HK_DELAY_CLASSES_MAX
		       ? hk_error_set(error, E2BIG, "hooks: more than %d delay classes", HK_DELAY_CLASSES_MAX)
		       : 0;
}
