/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What PSP and ESP have in common as speakers: an SA for each SPI, explicit or
 * derived from the receiver's master keys (sa.h), and a window for each SPI that
 * is opened (host.h). speak_psp.c and speak_esp.c are the rows.
 */
#ifndef HK_ENDPOINT_SPEAK_SA_H
#define HK_ENDPOINT_SPEAK_SA_H

#include "user/endpoint/speaker.h"

struct hk_sa_speech {
	struct hk_speech speech;
	struct hk_seal_shape shape;
	__u8 variant; /* PSP version or enum hk_suite */
	__u16 mkid;   /* ESP */
};

/* What is the same in both rows. */
void hk_speak_sa_end(struct hk_speech *speech);
unsigned hk_speak_sa_spis(
	const struct hk_speech *speech, const struct hk_sending *sending, __u32 *spis, unsigned max);
int hk_speak_sa_sender(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error);
int hk_speak_sa_start(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error);
int hk_speak_sa_seal(struct hk_sender *sender, const __u8 *inner, __u32 length, __u8 *out, __u32 room);
int hk_speak_sa_seal_packet(
	struct hk_sender *sender, const __u8 *packet, __u32 length, __u8 *out, __u32 room);
void hk_speak_sa_sender_free(struct hk_sender *sender, bool undo);
int hk_speak_sa_receiver(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error);
void hk_speak_sa_rekey(struct hk_receiver *receiver, const struct hk_host_keys *keys);
unsigned hk_speak_sa_open(
	struct hk_receiver *receiver, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened);
void hk_speak_sa_receiver_free(struct hk_receiver *receiver);

#define HK_SPEAK_SA                                                                         \
	.seal_from = true, .seal_to = true, .open_to = true, .end = hk_speak_sa_end,        \
	.spis = hk_speak_sa_spis, .sender = hk_speak_sa_sender, .start = hk_speak_sa_start, \
	.seal = hk_speak_sa_seal, .seal_packet = hk_speak_sa_seal_packet,                   \
	.sender_free = hk_speak_sa_sender_free, .receiver = hk_speak_sa_receiver,           \
	.rekey = hk_speak_sa_rekey, .open = hk_speak_sa_open, .receiver_free = hk_speak_sa_receiver_free

#endif
