/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * What all maps share: the layout version, where they are pinned and how big
 * they are. Keys and values stand in one header per map beside this one; the
 * README beside it is the document for people and for other programs.
 *
 * The version stands in the pin path: a daemon with another layout pins
 * elsewhere and refuses to adopt these. Raise it with every change of a key, a
 * value or a meaning.
 */
#ifndef HALFKEY_MAPS_LAYOUT_H
#define HALFKEY_MAPS_LAYOUT_H

#define HK_MAPS_VERSION 4
#define HK_PIN_ROOT	"/sys/fs/bpf/halfkey"
/* Pins: HK_PIN_ROOT/v<version>/<instance>/{<map name>,link-<port>,dispatch-<port>-<ifindex>} */

#define HK_MAP_QUEUES_MAX    64
#define HK_MAP_PORTS_MAX     2
#define HK_MAP_SLOTS	     (HK_MAP_PORTS_MAX * HK_MAP_QUEUES_MAX)
#define HK_MAP_SLOT(port, q) ((port)*HK_MAP_QUEUES_MAX + (q))
#define HK_MAP_RECEIVERS_MAX 65536
#define HK_MAP_VERDICTS_MAX  65536

#endif
