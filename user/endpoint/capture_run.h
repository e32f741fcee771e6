/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `seal` and `open` share: options, keys, a speech, and the walk over the
 * IP packets of one capture into another. What is not IP is copied.
 */
#ifndef HK_ENDPOINT_CAPTURE_RUN_H
#define HK_ENDPOINT_CAPTURE_RUN_H

#include "user/base/options.h"
#include "user/endpoint/captures.h"
#include "user/endpoint/speaker.h"

#define HK_RUN_PACKET_MAX 65536

struct hk_capture_run {
	/* as they came */
	const char *keys_path, *levels, *envelope, *from_text, *to_text, *match_text, *in, *out;
	const char *state, *sender;
	bool first_use, json;
	struct hk_wishes wishes;
	/* what they came to */
	const struct hk_speaker *speaker;
	struct hk_address from, to;
	struct hk_prefix match;
	struct hk_speech *speech;
	struct hk_host_keys *keys;
	struct hk_captures captures;
	unsigned long done, copied, refused;
	__u8 frame[14 + HK_RUN_PACKET_MAX], opened[HK_OPEN_ROOM(HK_RUN_PACKET_MAX)];
};

#define HK_RUN_AT(member) offsetof(struct hk_capture_run, member)

/* A command's own part. */
struct hk_capture_work {
	unsigned use;	  /* HK_USE_SEAL or HK_USE_OPEN */
	const char *help; /* as in struct hk_command_line */
	const char *example;
	const struct hk_option *options; /* into a struct hk_capture_run */
	int (*start)(struct hk_capture_run *run, struct hk_error *error);
	/* One IP packet. 0, or negative errno and a sentence, which ends the run. */
	int (*take)(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame,
		const __u8 *ip, __u32 length, struct hk_error *error);
	/* When the capture is through: prints what was done; the exit status. */
	int (*report)(const struct hk_capture_run *run);
	void (*end)(struct hk_capture_run *run);
};

int hk_capture_run_command(const struct hk_capture_work *work, int argc, char **argv);

/* The frame as it is. */
void hk_capture_run_copy(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame);
/* An IP packet in place of the frame's. */
void hk_capture_run_write(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame,
	const __u8 *packet, __u32 length);
/* Where senders and receivers keep their state. */
struct hk_state_place hk_capture_run_place(const struct hk_capture_run *run);

#endif
