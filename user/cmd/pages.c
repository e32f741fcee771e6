// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists by pages: see pages.h. A list that shrinks meanwhile ends early, one that grows ends. */
#include "user/cmd/pages.h"

json_t *hk_all_pages(const struct hk_options *options, const char *command, const char *name)
{
	json_t *all = json_array(), *page, *rows;
	size_t total;
	bool more = true;

	while (more) {
		page = hk_ask_daemon(options,
			json_pack("{s:s, s:i}", "command", command, "from", (int)json_array_size(all)));
		if (!page) {
			json_decref(all);
			return NULL;
		}
		rows = json_object_get(page, name);
		total = (size_t)hk_number_of(page, "total");
		more = json_array_size(rows) > 0 && json_array_size(all) + json_array_size(rows) < total;
		json_array_extend(all, rows);
		json_decref(page);
	}
	return all;
}
