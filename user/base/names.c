// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be a name: see names.h. */
#include "user/base/names.h"

#include <errno.h>
#include <string.h>

#define INSTANCE_MAX 32

bool hk_is_plain_name(const char *text, const char *more, size_t max)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t length = strlen(text), i;

	if (!length || length > max || *text == '.' || *text == '-')
		return false;
	for (i = 0; i < length; i++)
		if (!strchr(letters, text[i]) && !strchr(more, text[i]))
			return false;
	return true;
}

int hk_instance_check(const char *name, struct hk_error *error)
{
	if (hk_is_plain_name(name, "-_", INSTANCE_MAX))
		return 0;
	return hk_error_set(error, EINVAL,
		"instance: \"%.40s\" is no name: up to %d letters, digits, '-' and '_', no '-' in front",
		name, INSTANCE_MAX);
}
