/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wireshark's table of ESP keys (`esp_sa`) as key lines. Authentication keys in
 * it are dropped before anything else sees them: a box has no use for one.
 *
 *   "IPv4","192.0.2.1","192.0.2.9","0x00001000","AES-CTR [RFC3686]","0x<key><salt>","HMAC-SHA-256-128
 * [RFC4868]","0x..."
 */
#ifndef HK_KEYS_ESP_SA_H
#define HK_KEYS_ESP_SA_H

#include <stddef.h>

#include <halfkey/envelope.h>

#include "user/base/error.h"

struct hk_esp_sa {
	char *lines; /* key file text; hk_esp_sa_free() wipes it */
	size_t size;
	unsigned rows;
	unsigned dropped; /* authentication keys */
};

/*
 * `gcm`: what AES-GCM rows are, HK_SUITE_GCM or HK_SUITE_GCM_SPLIT; the table has one name for both.
 * 0, or negative errno and a sentence that names file and line; no row is left out in silence.
 */
int hk_esp_sa_read(
	struct hk_esp_sa *out, const char *name, const char *text, enum hk_suite gcm, struct hk_error *error);
void hk_esp_sa_free(struct hk_esp_sa *table);

#endif
