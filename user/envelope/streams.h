/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP streams of one worker, put together within fixed memory: one struct
 * hk_stream a direction, and for as long as bytes wait for others a window.
 *
 *   next                                        next + HK_WINDOW
 *    |#########......######..........................|
 *     ready          waits for the gap in front of it
 *
 * Everything is allocated when the pool is made. Without a free stream or window
 * the one that rested longest gives way (counted): its stream is `lost`, which
 * means that nobody knows where in it a record begins. One thread.
 */
#ifndef HK_ENVELOPE_STREAMS_H
#define HK_ENVELOPE_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include <halfkey/address.h>

#define HK_WINDOW	 61440 /* a record is at most 18437 bytes; less than 64 KiB, as records of feeds are */
#define HK_WINDOW_RANGES 16
#define HK_STREAMS_MIN	 (1u << 20) /* bytes of a pool */
#define HK_STREAMS_BATCH 64

struct hk_window;

/* Both ends of one direction. Explicit padding: compared as bytes. */
struct hk_stream_name {
	struct hk_address src, dst;
	__u16 src_port, dst_port;
	__u16 domain;
	__u16 reserved; /* 0 */
};

struct hk_stream {
	struct hk_stream_name name;
	__u32 next; /* sequence number of the first byte that no record took */
	/* the owner's: TLS */
	bool server;	/* the server writes */
	bool lost;	/* where a record begins is not known */
	bool encrypted; /* change cipher spec went by */
	bool keyed;
	bool sure; /* `sequence` was counted, not guessed */
	bool nonce_known;
	bool blocked;  /* a hook dropped a segment: the others would complete it */
	bool by_tuple; /* the key was given for the two ends, not for this connection's randoms */
	bool proven;   /* a record verified under the key */
	bool stale;    /* it had a key, which was taken away */
	bool rekeyed;  /* renegotiated: no key we know */
	bool has_syn;  /* a SYN said that it begins anew at `syn_next` */
	__u8 ignored;  /* the reason why its records are not opened; 0: they are */
	__u8 key_size;
	__u8 key[32], iv[4];
	__u32 syn_next;
	__u32 key_place; /* with key_id: hk_keyring_tls_holds() */
	__u64 key_id;
	__u64 serial;	  /* of the keyring that was asked */
	__u64 sequence;	  /* of the next record */
	__u64 nonce;	  /* of the last one that verified */
	__u64 dropped_ns; /* blocked: when the last segment was */
	/* the pool's */
	struct hk_window *window;
	__u32 chain, older, newer;
	__u64 born; /* a number of its own; 0: free */
};

struct hk_streams;

/* `plain`: where opened bytes go, `plain_size` of them a batch. NULL: no memory. */
struct hk_streams *hk_streams_new(size_t bytes, __u8 *plain, size_t plain_size, __u64 *evicted);
void hk_streams_free(struct hk_streams *streams); /* wipes */

/* A batch begins: plaintext of the one before is gone. */
void hk_streams_begin(struct hk_streams *streams);
/* Room for `size` bytes of plaintext with HK_OPEN_HEADROOM in front; NULL: none left in this batch. */
__u8 *hk_streams_room(struct hk_streams *streams, __u32 size);
/* Remembers whose data packet `frame` of the batch completed, for hk_streams_block(). */
void hk_streams_note(struct hk_streams *streams, unsigned frame, struct hk_stream *stream);
/* The packet `frame` is dropped: so is the rest of its stream, or a retransmission would complete it. */
unsigned hk_streams_noted(const struct hk_streams *streams, unsigned place, unsigned *frame);
void hk_streams_block(struct hk_streams *streams, unsigned place, __u64 now_ns);

struct hk_stream *hk_streams_find(struct hk_streams *streams, const struct hk_stream_name *name);
/* A fresh one (an old one of that name ends); never NULL. */
struct hk_stream *hk_streams_make(struct hk_streams *streams, const struct hk_stream_name *name);
void hk_streams_end(struct hk_streams *streams, struct hk_stream *stream);

enum hk_stream_put {
	HK_STREAM_READY,    /* bytes stand at `next` */
	HK_STREAM_WAITING,  /* bytes in front are missing */
	HK_STREAM_REPEATED, /* all of it was taken before */
	HK_STREAM_OVERLAP,  /* other bytes than those already here */
	HK_STREAM_GAP,	    /* too far ahead, or too many gaps */
	HK_STREAM_NO_ROOM,  /* no window */
};

unsigned hk_stream_put(
	struct hk_streams *streams, struct hk_stream *stream, __u32 sequence, const __u8 *data, __u32 length);
/* Wipes the key. */
void hk_stream_unkey(struct hk_stream *stream);
/* The same for all streams whose key `holds` no more. */
void hk_streams_forget(struct hk_streams *streams,
	bool (*holds)(const void *context, const struct hk_stream *stream), const void *context);
/* What stands ready at `next`; `*length` 0: nothing. */
const __u8 *hk_stream_ready(const struct hk_stream *stream, __u32 *length);
void hk_stream_take(struct hk_streams *streams, struct hk_stream *stream, __u32 length);
/* Forgets the bytes; where records begin is unknown from now on. */
void hk_stream_lose(struct hk_streams *streams, struct hk_stream *stream);

#endif
