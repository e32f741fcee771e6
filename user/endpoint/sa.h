/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the seal side: what an SA is, and what the two envelopes do with a
 * payload. seal.h is the public face.
 */
#ifndef HK_ENDPOINT_SA_H
#define HK_ENDPOINT_SA_H

#include "user/base/bytes.h"
#include "user/endpoint/protect.h"
#include "user/endpoint/seal.h"

struct hk_sa {
	struct hk_sa_name name;
	unsigned suite; /* enum hk_suite: what the variant does with the payload */
	struct hk_protection protection;
	__u8 salt_enc[4], salt_auth[4];
	__u8 fingerprint[8];
	__u64 not_after; /* of the key it is made of, seconds since 1970; 0: no end */
};

/* An opened envelope, before the inner packet is made of it. */
struct hk_payload {
	__u8 *data;
	__u32 length;
	__u8 next_header;
	struct hk_numbers numbers;
};

#define HK_ESP_TRAILER_SIZE 2 /* pad length and next header */

/* Envelope around a payload: size, or negative errno (see hk_seal_packet). */
int hk_psp_seal(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out, __u32 room);
int hk_esp_seal(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	__u8 next_header, const __u8 *payload, __u32 length, __u8 *out, __u32 room);

/* What can be told without keys; fills version and SPI. enum hk_refusal. */
unsigned hk_psp_check(const __u8 *data, __u32 length, struct hk_sealed *out);
unsigned hk_esp_check(const __u8 *data, __u32 length, struct hk_sealed *out);

/* Verify and decrypt into `out`, which has room for sealed->length bytes. enum hk_refusal. */
unsigned hk_psp_open(struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_payload *payload);
unsigned hk_esp_open(struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_payload *payload);

/* What `length` bytes of payload come to with ESP's padding and trailer, a multiple of `block`. */
__u32 hk_esp_padded(__u32 length, __u32 block);
/* Writes them behind the payload in `text`, which has `padded` bytes. */
void hk_esp_write_trailer(__u8 *text, __u32 length, __u32 padded, __u8 next_header);
/*
 * `text` without ESP's padding and trailer, all but payload->numbers. `length` is at least
 * HK_ESP_TRAILER_SIZE. enum hk_refusal. The ICV was verified: these are the sender's bytes, so
 * branches on them tell nothing.
 */
unsigned hk_esp_read_trailer(__u8 *text, __u32 length, struct hk_payload *payload);
/* The inner packet that an opened payload is: enum hk_refusal. 40 bytes in front of its data are ours. */
unsigned hk_payload_deliver(
	const struct hk_sealed *sealed, const struct hk_payload *payload, struct hk_opened *opened);

#endif
