/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The consumer of one BPF ring buffer (monitor mode), for batches: records are
 * looked at where they lie and given back together, which libbpf's callback
 * interface cannot do. Layout and protocol: the kernel's
 * Documentation/bpf/ringbuf.rst; the data area is mapped twice in a row, so
 * that no record wraps. It only reads; the kernel checks nothing it writes but
 * the consumer's position.
 */
#ifndef HK_DATAPLANE_COPIES_H
#define HK_DATAPLANE_COPIES_H

#include "maps/rings.h"
#include "user/base/error.h"

struct hk_copies;

/* Maps the ring buffer behind `fd` (of HK_COPY_RING_SIZE bytes) and forgets what it holds. */
int hk_copies_open(struct hk_copies **out, int fd, struct hk_error *error);
void hk_copies_close(struct hk_copies *copies);
int hk_copies_fd(const struct hk_copies *copies);
/* Up to `max` records, valid until hk_copies_release(); each frame's length fits its record. */
unsigned hk_copies_peek(struct hk_copies *copies, const struct hk_copy **records, unsigned max);
void hk_copies_release(struct hk_copies *copies);

#endif
