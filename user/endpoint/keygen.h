/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making keys: `halfkey-endpoint keygen`. One way for every envelope:
 *
 *   keygen_options.c   the command line, and that of an earlier directory (--next), into wishes
 *   keygen_rows.c      the envelopes, one row each: who holds what, and which options mean something
 *   keygen.c           wishes judged together: struct hk_keygen
 *   keygen_hosts.c     the hosts among them
 *   keygen_draw.c      draws keys
 *   keygen_levels.c    the roots of levels, where keys are combined of them
 *   keygen_lines.c     key lines
 *   keygen_write.c     the files, all or none
 *   keygen_next.c      the step from one generation to the next
 *
 *   box.keys           for the box: the encryption side of every key (split), or the single key
 *   readers.keys       for boxes that verify reader tags (--reader): MK_r
 *   NAME.keys          for the host NAME: both sides of what it receives with, and of what it sends with
 *   NAME.tunnel.yaml   for `halfkey-endpoint tunnel -c`
 *   domain.yaml        for halfkeyd's configuration
 *   levels.keys        for who makes keys: both sides of the roots of levels
 *   keygen.options     how the directory was made, for --next; no secrets
 *
 * and with --next, for the way from the old keys to the new ones without a loss:
 *
 *   box.accept.keys, readers.accept.keys, NAME.accept.keys, NAME.change.keys (keygen_next.c)
 *
 * A sender never gets a key that another sender has, too: it could speak for
 * it. In PSP and ESP the receiver has the master keys, and senders get derived
 * keys of SPIs of their own. In EESP, WESP and inline keying a host derives as
 * it goes (a context's epochs, a sub-SA's session, a packet's nonce), so there
 * is a key for each sender and receiver, and only these two have it; DTLS has
 * one for each two hosts, and its contexts tell the directions apart. TSS's
 * key belongs to the secure domain: there every host can speak for every other.
 */
#ifndef HK_ENDPOINT_KEYGEN_H
#define HK_ENDPOINT_KEYGEN_H

#include <stdbool.h>

#include "user/endpoint/newdir.h"
#include "user/endpoint/seal.h"
#include "user/endpoint/secret.h"
#include "user/endpoint/tss.h"

#define HK_KEYGEN_HOSTS	    256
#define HK_KEYGEN_INNER	    8
#define HK_KEYGEN_SPIS_MAX  16
#define HK_KEYGEN_RECEIVERS 64
#define HK_KEYGEN_LEVELS    3
#define HK_KEYGEN_ALL	    0xffff /* in place of a host: every one of them */

/* --- what the user wrote ----------------------------------------------------------------------- */

/* As in struct hk_option: name, enum, letter, value (NULL: a flag), help. */
#define HK_KEYGEN_OPTIONS(O)                                                                           \
	O("out", OUT, 'o', "DIR", "where to write; made (0700), or empty")                             \
	O("envelope", ENVELOPE, 'e', "NAME", "psp (default), esp, eesp, wesp, inline, tss or dtls")    \
	O("peer", PEER, 'p', "NAME=OUTER[,INNER...]",                                                  \
		"a host: its name, outer address, and inner addresses\n(10.9.0.1/24) or prefixes "     \
		"behind it (10.20.0.0/16); at least two")                                              \
	O("profile", PROFILE, 0, "NAME",                                                               \
		"split (default): the box sees, cannot forge;\nsingle: the box holds the one key, "    \
		"and could forge")                                                                     \
	O("version", VERSION, 0, "N", "psp: version (default: 5 split, 1 single)")                     \
	O("suite", SUITE, 0, "NAME", "esp: suite (default: ctr-hmac split, gcm single)")               \
	O("mkid", MKID, 0, "N",                                                                        \
		"esp: MKID of the derivation context (default: 1);\neesp, wesp, dtls: MKID of the "    \
		"first key (default: 1)")                                                              \
	O("sub-sa", SUB_SA, 0, NULL, "eesp: SAs with sub-SAs, not derived-key contexts")               \
	O("reader", READER, 0, NULL, "eesp, wesp: reader keys, too (readers.keys)")                    \
	O("protocol", PROTOCOL, 0, "N", "eesp: an IP protocol besides UDP 4500")                       \
	O("carrier", CARRIER, 0, "NAME", "esp: udp (default) or ip, for the tunnel files")             \
	O("port", PORT, 0, "N", "dtls: UDP port of the servers (default: 4433)")                       \
	O("sdi", SDI, 0, "N", "tss: secure domain, 0 to 16777215")                                     \
	O("tss", TSS, 0, "SETUP", "tss: mode=cluster,ssi=yes,... as the box's `tss:` has it")          \
	O("receiver", RECEIVER, 'r', "PREFIX", "tss: addresses of its hosts; may stand several times") \
	O("slot", SLOT, 0, "N", "psp, tss: 0 or 1; esp, eesp, wesp: 0 to 3 (default: 0)")              \
	O("generation", GENERATION, 0, "N", "generation of the keys (default: 1)")                     \
	O("spis", SPIS, 0, "N", "psp, esp: SPIs per sender and receiver, 1 to 16 (default: 2)")        \
	O("level", LEVEL, 0, "NAME[=FILE]",                                                            \
		"combine keys of roots of two or three levels: name\neach, the outermost first; "      \
		"FILE: a levels.keys that\nhas this root already")                                     \
	O("domain", DOMAIN, 0, "NAME", "name in domain.yaml (default: tunnel; tss: fabric)")           \
	O("next", NEXT, 0, "DIR",                                                                      \
		"the next keys for those in DIR, with its options: next\nslot, next generation; "      \
		"options given besides override")                                                      \
	O("drop", DROP, 0, "NAME", "with --next: without this peer")

enum hk_keygen_option {
#define HK_O(name, id, letter, value, text) HK_KEYGEN_##id,
	HK_KEYGEN_OPTIONS(HK_O)
#undef HK_O
		HK_KEYGEN_OPTIONS_COUNT
};
#define HK_KEYGEN_BIT(option) (1u << HK_KEYGEN_##option)

struct hk_keygen_list {
	char *row[HK_KEYGEN_HOSTS];
	unsigned count, old; /* `old` of them are from --next's directory */
};

struct hk_keygen_wishes {
	char *value[HK_KEYGEN_OPTIONS_COUNT]; /* NULL: not said; of a flag: "" */
	unsigned said;			      /* HK_KEYGEN_BIT()s of the command line alone */
	struct hk_keygen_list peers, receivers, levels, dropped;
};

/* 0; 1: --help was asked for and printed; or negative errno and a sentence. */
int hk_keygen_read(struct hk_keygen_wishes *wishes, int argc, char **argv, struct hk_error *error);
void hk_keygen_wishes_free(struct hk_keygen_wishes *wishes);
const char *hk_keygen_option_name(unsigned option);
/* A number in [min, max] into `out`; stays as it is where nothing was said. */
int hk_keygen_number(const struct hk_keygen_wishes *wishes, unsigned option, __u64 min, __u64 max, __u64 *out,
	struct hk_error *error);

/* --- what it comes to --------------------------------------------------------------------------- */

struct hk_keygen;

/* Whose one drawn key is. */
enum hk_keygen_share {
	HK_KEYGEN_BY_RECEIVER,	/* a receiver's */
	HK_KEYGEN_BY_DIRECTION, /* a sender's and a receiver's */
	HK_KEYGEN_BY_PAIR,	/* two hosts', both directions */
	HK_KEYGEN_BY_DOMAIN	/* everybody's */
};

struct hk_keygen_row {
	__u8 envelope;
	bool sub_sa;  /* the row for --sub-sa */
	__u8 share;   /* enum hk_keygen_share */
	__u8 slots;   /* 0: none; the next keys have other numbers */
	bool roots;   /* keys are roots of an SPI, else master keys */
	bool ids;     /* key lines carry id= */
	bool derives; /* senders get keys of SPIs, not what is drawn */
	__u32 id_max;
	unsigned options;    /* HK_KEYGEN_BIT()s that mean something, besides those that always do */
	const char *nothing; /* why nothing is drawn for this envelope; NULL: keys are */
	int (*judge)(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error);
	void (*say_domain)(const struct hk_keygen *keygen, struct hk_secret_text *text);
	void (*say_tunnel)(const struct hk_keygen *keygen, struct hk_secret_text *text); /* NULL: no tunnel */
};

/* NULL: no such envelope. */
const struct hk_keygen_row *hk_keygen_row(const char *envelope, bool sub_sa);

struct hk_keygen_host {
	char name[32];
	struct hk_address address;
	char inner[HK_KEYGEN_INNER][64]; /* as written: ADDRESS/LENGTH or a prefix behind the host */
	bool inner_is_address[HK_KEYGEN_INNER];
	unsigned inner_count;
	bool fresh; /* --next's directory has no keys of it */
};

/* The root of a level that all keys of the domain share: every level but the last. */
struct hk_keygen_level {
	char name[17];
	bool fresh; /* drawn now; else it was there before */
	__u32 generation;
	__u8 enc[32], auth[32];
};

/* One drawn key, both sides. */
struct hk_keygen_key {
	__u16 sender, receiver; /* hosts, or HK_KEYGEN_ALL */
	__u32 id, spi;
	__u32 root; /* generation of its own root of the last level */
	__u8 enc[32], auth[32], reader[32];
	__u8 root_enc[32], root_auth[32];
};

struct hk_keygen {
	const struct hk_keygen_row *row;
	__u8 profile, variant, slot, protocol;
	bool reader;
	__u16 port;
	__u32 mkid; /* ESP: in the context; else: of the first key; TSS: the SDI */
	__u32 generation;
	unsigned spis;
	char *out, *domain, *carrier, *next, *tss_text;
	struct hk_tss_setup tss;
	struct hk_keygen_host hosts[HK_KEYGEN_HOSTS];
	unsigned hosts_count;
	char *const *receivers; /* TSS */
	unsigned receivers_count;
	struct hk_keygen_level levels[HK_KEYGEN_LEVELS];
	unsigned levels_count;
	__u32 roots_before; /* the highest generation of a root of the last level that was ever drawn */
	struct hk_keygen_key *keys; /* secret memory */
	size_t keys_count;
};

/* The hosts of the wishes. 0 or a refusal. */
int hk_keygen_hosts(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error);
/* Do they speak the same IP version? */
bool hk_keygen_can_talk(const struct hk_keygen *keygen, unsigned a, unsigned b);
bool hk_keygen_good_name(const char *name);

/* The levels, and the roots of theirs that all keys share: drawn, or read where they are. */
int hk_keygen_levels(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error);
/* Names the keys, draws them. 0 or negative errno and a sentence. */
int hk_keygen_draw(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error);
#define HK_KEYGEN_SPI_SENDER 0xffffff00u /* its bits that are a sender's alone, for a generation */
__u32 hk_keygen_spi(const struct hk_keygen *keygen, unsigned sender, unsigned serial);

/* The files being made. */
struct hk_keygen_set {
	const struct hk_keygen *keygen;
	struct hk_newdir dir;
	struct hk_crypto *crypto;
	struct hk_secret_text text;  /* the file at hand */
	struct hk_secret_text names; /* of those that are written, a line each */
};

/* What `set->text` holds becomes the file NAME+SUFFIX. */
int hk_keygen_put(
	struct hk_keygen_set *set, const char *name, const char *suffix, mode_t mode, struct hk_error *error);

/* Draws, then writes all files, or none. Prints what it wrote. 0 or negative errno and a sentence. */
int hk_keygen_write(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error);

/* --- lines -------------------------------------------------------------------------------------- */

const char *hk_keygen_side(const struct hk_keygen *keygen); /* "enc", or "single" */
/* A drawn key as a line: "enc" or "single", "auth", "reader". `combined`: named by its roots instead. */
void hk_keygen_say_key(const struct hk_keygen *keygen, const struct hk_keygen_key *key, const char *side,
	bool combined, struct hk_secret_text *text);
void hk_keygen_say_both(
	const struct hk_keygen *keygen, const struct hk_keygen_key *key, struct hk_secret_text *text);
/* What opens what comes to host `index`, and what it sends to host `to` with. */
void hk_keygen_say_receiving(const struct hk_keygen *keygen, unsigned index, struct hk_secret_text *text);
int hk_keygen_say_sending(const struct hk_keygen *keygen, struct hk_crypto *crypto, unsigned index,
	unsigned to, struct hk_secret_text *text, struct hk_error *error);
/* The roots of levels, encryption side. */
#define HK_KEYGEN_ROOTS_BOTH 1u /* and the authentication side */
#define HK_KEYGEN_ROOTS_NEW  2u /* those alone that were not there before */
void hk_keygen_say_roots(const struct hk_keygen *keygen, unsigned which, struct hk_secret_text *text);

/* --- the next generation ------------------------------------------------------------------------ */

/* The options that made directory `wishes->value[NEXT]`, below those of the command line. */
int hk_keygen_read_old(struct hk_keygen_wishes *wishes, struct hk_error *error);
void hk_keygen_say_options(
	const struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_secret_text *text);
/* NAME.accept.keys: the file of that name in the old directory, and behind it what `set->text` holds. */
int hk_keygen_put_accept(struct hk_keygen_set *set, const char *name, struct hk_error *error);
/* NAME.change.keys of a host: what `set->text` holds, and what the old keys are received with. */
int hk_keygen_put_change(struct hk_keygen_set *set, unsigned index, struct hk_error *error);
void hk_keygen_print_steps(const struct hk_keygen *keygen);

#endif
