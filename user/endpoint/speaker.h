/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One way for every envelope at the end host. `seal`, `open` and `tunnel` know
 * no envelope: they read options, keys and captures or sockets, and speak
 * through a row of the table in speakers.c. An envelope is one file with its
 * row (speak_NAME.c) and one line in that table.
 *
 *   options ──► speech ──► sender     towards one receiver, one series of numbers: seals
 *                     └──► receiver   opens, and counts what it refuses
 *
 * A speech is the options, judged: how this host speaks. Senders and receivers
 * refer to it, and may share through it what one has to tell the other. All of
 * it is one thread's.
 *
 * Each row embeds the structs below as the first member of its own, and leaves
 * the fields marked "ours" alone.
 */
#ifndef HK_ENDPOINT_SPEAKER_H
#define HK_ENDPOINT_SPEAKER_H

#include "user/endpoint/hostkeys.h"
#include "user/endpoint/statefile.h"
#include "user/endpoint/wishes.h"

struct hk_speaker;

typedef void (*hk_speaker_say)(void *context, const char *name, __u64 count);

struct hk_speech {
	const struct hk_speaker *speaker; /* ours */
	struct hk_crypto *crypto;	  /* ours */
	bool has_local;
	struct hk_address local; /* source of what is sealed, receiver of what is opened */
	__u8 profile;		 /* enum hk_profile: the other one's packets are a downgrade */
	/* How a tunnel carries it: plan() fills these in. */
	__u8 protocol; /* IPPROTO_UDP, or the envelope's own */
	__u16 port;    /* UDP: where receivers listen */
	bool spread;   /* UDP: source ports chosen by the inner flow, else `port` */
};

struct hk_sender {
	struct hk_speech *speech; /* ours */
	__u32 spi;		  /* its name in messages and statistics */
	__u8 fingerprint[8];	  /* of its keys and what else makes it: equal ones are one sender */
	__u64 not_after;	  /* of its keys, seconds since 1970: no packet later; 0: no end */
	__u64 sealed;		  /* ours: packets */
};

struct hk_receiver {
	struct hk_speech *speech;	  /* ours */
	const struct hk_host_keys *given; /* ours: its keys */
	__u64 due;			  /* ours: when the time of one of them begins or ends; 0: never */
	__u64 counts[HK_REFUSAL_COUNT];	  /* ours */
};

/* What a sender is made of. */
struct hk_sending {
	const struct hk_host_keys *keys;
	const char *source;	     /* of the keys: a file's name, for sentences */
	const struct hk_address *to; /* NULL: none was named */
	const struct hk_wishes *wishes;
	__u32 spi;     /* of spis(), or 0 */
	__u64 context; /* ContextID of a key server; 0: none */
};

/* What a key server gives a sender. */
enum hk_served {
	HK_SERVED_NOTHING,  /* no key server has keys of this envelope */
	HK_SERVED_SPIS,	    /* an SPI of its own, with derived keys */
	HK_SERVED_CONTEXTS, /* a ContextID of its own, with the master keys of the pair */
};

struct hk_speaker {
	unsigned envelope;		  /* enum hk_envelope */
	const char *cargo;		  /* what it carries, if not IP packets: no tunnel then */
	const struct hk_wish *wishes;	  /* its options; ends with one without name */
	bool seal_from, seal_to, open_to; /* `seal` and `open` need these addresses */
	enum hk_served served;

	/* Judges options. 0, or negative errno and a sentence. `local` is NULL where none was named. */
	int (*plan)(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
		struct hk_error *error);
	void (*end)(struct hk_speech *speech);

	/* The SPIs that the keys have for sending to `to`, the first to be used first; NULL: one sender, no
	 * SPI. */
	unsigned (*spis)(
		const struct hk_speech *speech, const struct hk_sending *sending, __u32 *spis, unsigned max);
	/* Makes a sender: keys, and what they have to fit. It seals when it was started. */
	int (*sender)(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
		struct hk_error *error);
	/* Opens the state of its numbers: from here on no other process may seal with these. NULL: a sender
	 * needs none, its numbers are fresh in any case. */
	int (*start)(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error);
	/*
	 * Tunnels alone. The envelope of an inner IP packet, as a socket sends it. Its size, or -EINVAL
	 * (cannot be sealed), -EMSGSIZE, -EOVERFLOW (no numbers are left), -EROFS (their state cannot be
	 * written), -EIO.
	 */
	int (*seal)(struct hk_sender *sender, const __u8 *inner, __u32 length, __u8 *out, __u32 room);
	/* IP packet to IP packet, as captures have them; -ENOMSG as well: none of ours, stays as it is. */
	int (*seal_packet)(struct hk_sender *sender, const __u8 *packet, __u32 length, __u8 *out, __u32 room);
	/*
	 * What the envelope itself has to tell the peer now: an envelope to be sent, and asked for again
	 * until it is 0. A tunnel asks a few times a second; NULL: it never has anything.
	 */
	int (*due)(struct hk_sender *sender, __u8 *out, __u32 room);
	/* Wipes. `undo`: removes state that start() made and nothing was sealed with. */
	void (*sender_free)(struct hk_sender *sender, bool undo);

	/* Opens with `keys`, which outlive it or its next keys. `place` as for start(), where that is needed.
	 */
	int (*receiver)(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
		const struct hk_state_place *place, struct hk_error *error);
	/* Tunnels alone. New keys: what they no longer open is forgotten, everything else stays as it is. */
	void (*rekey)(struct hk_receiver *receiver, const struct hk_host_keys *keys);
	/*
	 * Verifies and opens what hk_sealed_outer() or a socket gave; enum hk_refusal. `out` has
	 * HK_OPEN_ROOM(sealed->length) bytes and holds no plaintext after a refusal.
	 */
	unsigned (*open)(struct hk_receiver *receiver, const struct hk_sealed *sealed, __u8 *out,
		struct hk_opened *opened);
	void (*receiver_free)(struct hk_receiver *receiver);

	/* Tunnels alone. Largest inner packet whose envelope has at most `room` bytes. */
	unsigned (*inner_max)(const struct hk_speech *speech, unsigned room);
	/* Counters of its own, for statistics; NULL: none. */
	void (*counts)(const struct hk_speech *speech, hk_speaker_say say, void *context);
};

/* Where a receiver of this speech remembers what it took: hk_windows_open() of its own name. */
struct hk_windows;
int hk_speech_windows(struct hk_windows **out, const struct hk_speech *speech,
	const struct hk_state_place *place, struct hk_error *error);

/* The row of an envelope; NULL and a sentence that names those there are. */
const struct hk_speaker *hk_speaker_find(const char *name, struct hk_error *error);
/* Row by row; NULL: no more. */
const struct hk_speaker *hk_speaker_at(unsigned index);

/*
 * The calls of a row, with what every envelope has in common: options that are
 * another envelope's are refused, packets are counted. Free with NULL is fine.
 */
int hk_speech_plan(struct hk_speech **out, const struct hk_speaker *speaker, const struct hk_wishes *wishes,
	unsigned use, const struct hk_address *local, struct hk_error *error);
void hk_speech_end(struct hk_speech *speech);
/* Is it for the address that this host named as its own? True for all when it named none. */
bool hk_speech_receives(const struct hk_speech *speech, const struct hk_sealed *sealed);

unsigned hk_sender_spis(
	struct hk_speech *speech, const struct hk_sending *sending, __u32 *spis, unsigned max);
int hk_sender_new(struct hk_sender **out, struct hk_speech *speech, const struct hk_sending *sending,
	struct hk_error *error);
int hk_sender_start(struct hk_sender *sender, const struct hk_state_place *place, struct hk_error *error);
bool hk_sender_same(const struct hk_sender *a, const struct hk_sender *b);
/* As in the row; -EKEYEXPIRED: the time of its key is over. */
int hk_sender_seal(struct hk_sender *sender, const __u8 *inner, __u32 length, __u8 *out, __u32 room);
int hk_sender_seal_packet(struct hk_sender *sender, const __u8 *packet, __u32 length, __u8 *out, __u32 room);
int hk_sender_due(struct hk_sender *sender, __u8 *out, __u32 room);
void hk_sender_free(struct hk_sender *sender, bool undo);

int hk_receiver_new(struct hk_receiver **out, struct hk_speech *speech, const struct hk_host_keys *keys,
	const struct hk_state_place *place, struct hk_error *error);
void hk_receiver_rekey(struct hk_receiver *receiver, const struct hk_host_keys *keys);
/* `parsed` is what hk_sealed_outer() returned, so that its refusals are counted as well. */
unsigned hk_receiver_open(struct hk_receiver *receiver, unsigned parsed, const struct hk_sealed *sealed,
	__u8 *out, struct hk_opened *opened);
/* Counts a refusal that the caller found after opening, in place of "opened". */
void hk_receiver_recount(struct hk_receiver *receiver, unsigned refusal);
void hk_receiver_free(struct hk_receiver *receiver);

#endif
