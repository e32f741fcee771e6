/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds: what leaves the box for people and tools. Workers put records into a
 * queue (one each, single producer); one feed thread takes them out and hands
 * them to every feed that wants them. A feed may block, a worker never does:
 * without room a record is lost and counted.
 *
 *   worker 0 ─► queue ─┐                 ┌─► eve     alert, flow, drop, anomaly, stats
 *   worker 1 ─► queue ─┼─► feed thread ──┼─► mirror  opened packets to a TAP
 *        …             ┘                 └─► pcapng  opened packets to a file
 *
 * Adding a feed is one file and one row of the table in feed.c.
 */
#ifndef HK_FEED_FEED_H
#define HK_FEED_FEED_H

#include <stdbool.h>

#include <halfkey/config.h>
#include <halfkey/hook.h>

#include "user/base/error.h"
#include "user/base/files.h"

enum hk_record_kind {
	HK_RECORD_PACKET = 1, /* an opened packet: data is the inner IP packet */
	HK_RECORD_EVENT,      /* an alert or log line of a hook: `event` is valid */
	HK_RECORD_DROP,	   /* a packet that was dropped: data is its IP header, the inner one if it opened */
	HK_RECORD_FLOW,	   /* an inner flow that ended or was evicted: `flow` is valid */
	HK_RECORD_ANOMALY, /* something about the traffic itself: `reason` says what */
	/* Of opened TLS all but PACKET have other data: the server's name that the client asked for, or
	   none. */
};

#define HK_RECORD_WANTS(kind) (1u << (kind))

struct hk_record_flow {
	__u64 first_ns; /* CLOCK_REALTIME */
	__u64 last_ns;
	__u64 packets[2]; /* by direction: 0 is that of the first packet seen */
	__u64 bytes[2];
	__u8 tcp_flags[2];
	__u8 evicted;  /* 1: pushed out of a full table */
	__u8 answered; /* 1: both directions were seen */
	__u8 verdict;  /* enum hk_verdict in force for the flow */
	__u8 alerted;  /* 1: a hook raised an alert on it */
	__u8 reserved[2];
};

/* Host byte order, addresses in network order. Built by the pipeline, copied into the queue. */
struct hk_record {
	__u32 size; /* of the whole record: this header, then data, padded to 8 */
	__u16 kind; /* enum hk_record_kind */
	__u16 data_length;
	__u64 wall_ns;
	__u64 flow_id;
	__u8 reason;	/* enum hk_reason */
	__u8 action;	/* 1: dropped */
	__u8 auth;	/* enum hk_auth */
	__u8 direction; /* port it came in by */
	__u8 envelope;
	__u8 variant;	/* PSP version or enum hk_suite */
	__u8 hook;	/* place of the hook that reported or dropped, 0xff: none */
	__u8 has_inner; /* 1: the inner fields below are valid */
	__u16 domain;
	__u16 inner_src_port;
	__u16 inner_dst_port;
	__u8 inner_version; /* 4 or 6; 0: no IP packet, the tuple is the outer one */
	__u8 inner_protocol;
	__u8 outer_protocol; /* what the outer IP header says: UDP, TCP, or the envelope's own; 0: not known
			      */
	__u8 reserved[3];
	__u32 spi;
	__u32 rule; /* of the hook that decided */
	struct hk_address outer_src;
	struct hk_address outer_dst;
	struct hk_address inner_src;
	struct hk_address inner_dst;
	union {
		struct hk_hook_event event;
		struct hk_record_flow flow;
	};
	/* data_length bytes follow */
};

/* What opened is a payload, no IP packet. */
static inline bool hk_record_not_ip(const struct hk_record *record)
{
	return record->has_inner && !record->inner_version;
}

/* Its data is the name of a TLS server. */
static inline bool hk_record_has_name(const struct hk_record *record)
{
	return record->envelope == HK_ENVELOPE_TLS && record->has_inner && record->kind != HK_RECORD_PACKET;
}

struct hk_feeds;
struct hk_feed_queue;

/* Which records anybody wants: bits HK_RECORD_WANTS(kind). May change at a reload. Any thread. */
unsigned hk_feed_wants(const struct hk_feed_queue *queue);
/*
 * Copies the record (`size` need not be set) and `data_length` bytes of data in;
 * false: no room, the caller counts it lost. Of the union only what the kind
 * uses is copied. The worker's own thread only; no lock, no system call.
 */
bool hk_feed_put(struct hk_feed_queue *queue, const struct hk_record *record, const void *data);

/* What the feed thread and `stats` report. */
struct hk_feed_stats {
	const char *name;
	__u64 written;
	__u64 lost;   /* reader too slow, disk full, file at its size limit */
	__u64 errors; /* with a log line, at most one a second */
};
#define HK_FEEDS_MAX 8

/*
 * Each feed's name, and what the configuration has it write to: a path, an
 * interface; NULL: it is off. A name of NULL: past the last feed. Any thread.
 */
const char *hk_feed_name(unsigned index);
const char *hk_feed_target(unsigned index, const struct hk_config *config);

/*
 * Opens what needs rights: called by the starter before the inspector exists.
 * Creates the TAP (down to: no addresses, IPv6 off, up) and opens the files
 * through `files` (kind HK_FILE_OUTPUT). The inspector inherits the result.
 */
int hk_feeds_open(struct hk_feeds **out, const struct hk_config *config, struct hk_files *files,
	unsigned workers, struct hk_error *error);
/*
 * Reload and log rotation: the outputs of `config`, newly opened by whoever has
 * the right to and found in `files` by path. Feeds take duplicates: the caller
 * closes its table as ever. Names are copied: `config` may go afterwards. A
 * mirror may go, but cannot come or change its name. Refused: everything stays as it was.
 * The thread may be running; hk_feeds_stats() must not run at the same time.
 */
int hk_feeds_reopen(struct hk_feeds *feeds, const struct hk_config *config, const struct hk_files *files,
	struct hk_error *error);
struct hk_feed_queue *hk_feeds_queue(struct hk_feeds *feeds, unsigned worker);
/* Starts and stops the feed thread. Stop workers first: stop writes all that waits in their queues. */
int hk_feeds_start(struct hk_feeds *feeds, struct hk_error *error);
void hk_feeds_stop(struct hk_feeds *feeds);
/* `halfkey open`: no thread; writes all that waits in the queues now, in this thread. */
void hk_feeds_drain(struct hk_feeds *feeds);
unsigned hk_feeds_stats(const struct hk_feeds *feeds, struct hk_feed_stats out[HK_FEEDS_MAX]);
/* A stats record as JSON text (one object, no newline), written by the EVE feed when it gets it. Any thread.
 */
void hk_feeds_put_stats(struct hk_feeds *feeds, const char *json);
void hk_feeds_free(struct hk_feeds *feeds);

#endif
