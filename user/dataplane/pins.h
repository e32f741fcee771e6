/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pin directory of an instance: HK_PIN_ROOT/v<version>/<instance>. One
 * daemon at a time owns it (a lock on the directory); what is pinned in it
 * outlives that daemon and is adopted by the next when it matches, refused with
 * a sentence when it does not.
 */
#ifndef HK_DATAPLANE_PINS_H
#define HK_DATAPLANE_PINS_H

#include <bpf/libbpf.h>

#include "user/base/error.h"

#define HK_PIN_PATH 256

struct hk_pins {
	char directory[HK_PIN_PATH];
	int lock; /* the directory's descriptor, locked; -1: not open */
};

/* Mounts bpffs where it is missing, makes the directory, locks it (waiting up to `wait_ms`). */
int hk_pins_open(struct hk_pins *pins, const char *instance, unsigned wait_ms, struct hk_error *error);
/* The same for what must exist already: -ENOENT and no sentence when it does not. */
int hk_pins_find(struct hk_pins *pins, const char *instance, unsigned wait_ms, struct hk_error *error);
void hk_pins_close(struct hk_pins *pins);
void hk_pins_path(const struct hk_pins *pins, const char *name, char path[HK_PIN_PATH]);
/* Before the load: maps of `object` that are pinned are reused. How many, or negative errno and a sentence.
 */
int hk_pins_adopt(const struct hk_pins *pins, struct bpf_object *object, struct hk_error *error);
/* After the load: maps of `object` that are not pinned are. */
int hk_pins_complete(const struct hk_pins *pins, struct bpf_object *object, struct hk_error *error);
/* Removes every pin and the directory, and those above it that are empty then. */
void hk_pins_remove(struct hk_pins *pins);

#endif
