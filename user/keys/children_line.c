// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which child of a parent goes first when it has as many as it may: see children.h.
 * A creation that anybody can make up asks this for each packet, so nothing is searched:
 *
 *   family ──► tentative: oldest ... newest     new ones come in at the end
 *         └──► confirmed: oldest ... newest
 *
 * Packets confirm without the lock, and cannot move a child: one that was confirmed
 * changes lines when its turn would have come, once in its life. All of this is with the lock.
 */
#include "user/keys/children_table.h"

static struct hk_child_links *links_of(struct hk_children *children, __u32 entry)
{
	return &children->secrets[entry - 1].links;
}

static struct hk_child_line *line_of(struct hk_children *children, __u32 index, bool confirmed)
{
	return &children->families[children->slots[index].family].lines[confirmed];
}

void hk_child_line_up(struct hk_children *children, __u32 index, bool confirmed)
{
	struct hk_child_line *line = line_of(children, index, confirmed);

	children->secrets[index].links =
		(struct hk_child_links){.before = line->last, .confirmed = confirmed};
	if (line->last)
		links_of(children, line->last)->after = index + 1;
	else
		line->first = index + 1;
	line->last = index + 1;
}

void hk_child_line_leave(struct hk_children *children, __u32 index)
{
	const struct hk_child_links links = children->secrets[index].links;
	struct hk_child_line *line = line_of(children, index, links.confirmed);

	if (links.before)
		links_of(children, links.before)->after = links.after;
	else
		line->first = links.after;
	if (links.after)
		links_of(children, links.after)->before = links.before;
	else
		line->last = links.before;
}

__u32 hk_child_line_first(struct hk_children *children, __u32 family, __u32 spared)
{
	struct hk_child_line *lines = children->families[family].lines;
	__u32 entry, next;

	for (entry = lines[0].first; entry; entry = next) {
		next = links_of(children, entry)->after;
		if (__atomic_load_n(&children->slots[entry - 1].confirmed, __ATOMIC_RELAXED)) {
			hk_child_line_leave(children, entry - 1);
			hk_child_line_up(children, entry - 1, true);
		} else if (entry - 1 != spared) {
			return entry - 1;
		}
	}
	entry = lines[1].first;
	if (entry && entry - 1 == spared)
		entry = links_of(children, entry)->after;
	return entry ? entry - 1 : HK_CHILD_NONE;
}
