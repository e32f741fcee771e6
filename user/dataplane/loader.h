/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The XDP side as the starter sees it: loads the program, adopts or pins its
 * maps, fills them from the configuration, attaches it to the ports.
 *
 *   attach (disarmed) → sockets into xsks → arm → run … disarm → leave pinned
 *
 * Between runs the link and the maps stay, with the fail policy in force;
 * hk_loader_detach() alone takes them away. Needs root; never sees a packet.
 */
#ifndef HK_DATAPLANE_LOADER_H
#define HK_DATAPLANE_LOADER_H

#include <halfkey/config.h>

#include "maps/heartbeat.h"
#include "user/base/error.h"
#include "user/dataplane/attach.h"
#include "user/dataplane/device.h"

struct hk_loader;

struct hk_loader_port {
	struct hk_device device;
	struct hk_attachment attachment;
};

/* Loaded, pinned, filled, attached, disarmed. 0, or negative errno and a sentence. */
int hk_loader_new(struct hk_loader **out, const struct hk_config *config, struct hk_error *error);
/* Closes this process's descriptors and mappings; everything pinned stays. NULL is fine. */
void hk_loader_free(struct hk_loader *loader);

/*
 * In the inspector: closes every descriptor but the instance's lock and the
 * ring buffers. The mappings stay; what needs a map's descriptor must not be
 * called any more.
 */
void hk_loader_surrender(struct hk_loader *loader);

const char *hk_loader_directory(const struct hk_loader *loader);
const struct hk_loader_port *hk_loader_port(const struct hk_loader *loader, unsigned port);
unsigned hk_loader_ports(const struct hk_loader *loader);
unsigned hk_loader_queues(const struct hk_loader *loader);
__u32 hk_loader_frame_size(const struct hk_loader *loader);
__u32 hk_loader_frame_max(const struct hk_loader *loader);  /* the largest frame a worker gets */
unsigned hk_loader_adopted(const struct hk_loader *loader); /* maps taken over from an earlier run */

/* Switches inspection on and off in the XDP program. */
int hk_loader_arm(struct hk_loader *loader, bool armed, struct hk_error *error);
/* Receivers and policy of a new configuration; `steps` as in tables.h. Policy goes with HK_TABLES_PUT. */
int hk_loader_reload(
	struct hk_loader *loader, const struct hk_config *config, unsigned steps, struct hk_error *error);

int hk_loader_xsks(const struct hk_loader *loader);
int hk_loader_copies(const struct hk_loader *loader, unsigned queue);	  /* a ring buffer, or -1 */
struct hk_heartbeat *hk_loader_beats(const struct hk_loader *loader);	  /* HK_MAP_SLOTS, writable */
const struct hk_handed *hk_loader_handed(const struct hk_loader *loader); /* HK_MAP_SLOTS, read-only */
__u64 hk_loader_counted(const struct hk_loader *loader, unsigned reason); /* packets, over all CPUs */
/* New descriptors for the inspector, which holds no other map: counters read-only, verdicts. */
int hk_loader_open_counters(const struct hk_loader *loader);
int hk_loader_open_verdicts(const struct hk_loader *loader);

/*
 * Takes everything of an instance away: programs off the interfaces, pins,
 * directories. -ENOENT: there was nothing. -EBUSY: its daemon still runs.
 */
int hk_loader_detach(const char *instance, struct hk_error *error);

#endif
