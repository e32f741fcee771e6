/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that crosses between starter and inspector: this table, over one
 * SOCK_SEQPACKET pair. A request has a fixed payload and none or one
 * descriptor; the receiver refuses what is not in the table, comes from the
 * wrong side, has another size or other descriptors. Texts end in NUL by force.
 *
 * The starter trusts nothing in it: what an inspector can say is "ready", "it
 * failed, because", "built", "in force" and "please reload".
 */
#ifndef HK_CONTROL_REQUEST_H
#define HK_CONTROL_REQUEST_H

#include <stddef.h>
#include <linux/types.h>

#include <halfkey/config.h>

#define HK_REQUEST_TEXT 512
#define HK_REQUEST_PATH 1024

enum hk_request_side { HK_FROM_STARTER = 1, HK_FROM_INSPECTOR = 2 };

/* R(number, ID, who sends it, payload, descriptors, "what it means") */
#define HK_REQUESTS(R)                                                                             \
	R(1, READY, INSPECTOR, struct hk_request_ready, 0, "rights dropped, workers run: arm")     \
	R(2, FAILED, INSPECTOR, struct hk_request_answer, 0, "could not begin, and why")           \
	R(3, STATUS, STARTER, struct hk_request_status, 0, "what the starter knows, for `status`") \
	R(4, FILE, STARTER, struct hk_request_file, 1, "a file the next configuration names")      \
	R(5, CONFIG, STARTER, struct hk_request_config, 1, "build this next; YAML in a memfd")     \
	R(6, BUILT, INSPECTOR, struct hk_request_answer, 0, "the next one is built, or why not")   \
	R(7, SWAP, STARTER, struct hk_request_number, 0, "put it in force")                        \
	R(8, SWAPPED, INSPECTOR, struct hk_request_answer, 0, "it is in force, or why not")        \
	R(9, RELOAD, INSPECTOR, struct hk_request_number, 0, "an operator asks for a reload")      \
	R(10, STOP, STARTER, struct hk_request_number, 0, "finish what is in the rings and end")   \
	R(11, KEYS, STARTER, struct hk_request_keys, 1, "a keys-dir file is new or changed")       \
	R(12, KEYS_GONE, STARTER, struct hk_request_keys, 0, "a keys-dir file is gone")            \
	R(13, KEYS_TAKEN, INSPECTOR, struct hk_request_answer, 0, "what came of it")

struct hk_request_ready {
	__u32 memory_locked;
	__u32 keys_dropped; /* of the control socket, as it was told at its birth */
};

struct hk_request_answer {
	__u64 generation; /* of the configuration; FAILED: 0 */
	__s32 code;	  /* 0 or a negative errno */
	__u32 reserved;
	char text[HK_REQUEST_TEXT]; /* the sentence */
};

struct hk_request_number {
	__u64 generation;
};

struct hk_request_file {
	__u32 kind; /* enum hk_file_kind */
	__u32 reserved;
	char path[HK_REQUEST_PATH];
};

struct hk_request_keys {
	char domain[64];
	char path[HK_REQUEST_PATH];
};

struct hk_request_config {
	__u64 generation;
	__u64 size; /* bytes in the memfd */
	char path[HK_REQUEST_PATH];
};

struct hk_request_status {
	__u64 started_ns; /* CLOCK_MONOTONIC */
	__u32 starter;	  /* pid */
	__u32 armed;
	__u32 restarts;
	__u32 reloads;
	__u32 reload_failures;
	__u32 keys_dropped;
	char reload_error[HK_REQUEST_TEXT];
	struct {
		__u32 up;
		__u32 speed_mbit; /* 0: not told */
	} link[HK_PORTS_MAX];
};

enum hk_request_kind {
#define HK_R(number, id, side, payload, fds, text) HK_REQUEST_##id = number,
	HK_REQUESTS(HK_R)
#undef HK_R
};

struct hk_request {
	__u32 kind;
	__u32 reserved;
	union {
		struct hk_request_ready ready;
		struct hk_request_answer answer;
		struct hk_request_number number;
		struct hk_request_file file;
		struct hk_request_config config;
		struct hk_request_status status;
		struct hk_request_keys keys;
	};
};

/* A pair of connected ends, close-on-exec. 0 or negative errno. */
int hk_request_pair(int ends[2]);
/* Sends `request` (its payload as long as the table says) with `fd`, or -1. 0 or negative errno. */
int hk_request_send(int channel, const struct hk_request *request, int fd);
/*
 * Receives what `from` may send. 1: one request; `*fd` is the caller's (-1: none).
 * 0: nothing waits. -EPIPE: the other side is gone. -EPROTO: not in the table.
 */
int hk_request_receive(int channel, enum hk_request_side from, struct hk_request *request, int *fd);

#endif
