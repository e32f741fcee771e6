/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The configuration as the rooms see it: plain data, already checked. The YAML
 * reader in user/control/config.c makes it and owns all memory in it; everyone
 * else only reads it. docs/configuration.md is the same in words.
 */
#ifndef HALFKEY_CONFIG_H
#define HALFKEY_CONFIG_H

#include <stdbool.h>
#include <linux/types.h>

#include <halfkey/address.h>
#include <halfkey/envelope.h>
#include <halfkey/hook.h>
#include <halfkey/reason.h>

#define HK_DOMAINS_MAX 256
#define HK_QUEUES_MAX  64
#define HK_PORTS_MAX   2
#define HK_HOOKS_MAX   16

/* Where the control socket is unless `control:` says otherwise: HK_RUN_DIRECTORY/<instance>.sock */
#define HK_RUN_DIRECTORY "/run/halfkey"

enum hk_attach { HK_ATTACH_AUTO = 0, HK_ATTACH_NATIVE = 1, HK_ATTACH_GENERIC = 2 };
enum hk_seccomp { HK_SECCOMP_ON = 0, HK_SECCOMP_LOG = 1, HK_SECCOMP_OFF = 2 };

/* wire-formats.md, section 2: what sources leave open, or define in two ways. */
enum hk_tss_mode { HK_TSS_CLUSTER = 1, HK_TSS_SERVER = 2, HK_TSS_DIRECT = 3 };

#define HK_TSS_SERVERS_MAX 16

struct hk_tss_options {
	__u8 mode;	    /* enum hk_tss_mode */
	bool ssi;	    /* every packet of the domain carries an SSI, else none does */
	bool long_length;   /* KDF: L has 32 bits, else 16 */
	bool iv_sdi;	    /* IV word SSI or SDI (before 1.0), else SSI or source */
	bool small_context; /* IPv6 with SSI: the context has the SSI alone */
	bool header_aad;    /* UDP: the AAD is the header alone, else the addresses as well */
	bool has_epoch;	    /* `epoch` is the lowest that may be the present one */
	__u8 rekey_shift;
	__u16 epoch;
	__u64 rekey_mask;			      /* over the 48-bit counter; 0: no rekeying */
	struct hk_prefix servers[HK_TSS_SERVERS_MAX]; /* server mode */
	unsigned servers_count;
};

/* EESP: what packets without a derived-key context carry. */
struct hk_eesp_options {
	bool sn; /* the 64-bit sequence number */
	bool iv; /* the 64-bit IV; without it the sequence number is the IV */
};

struct hk_config;

/* Inline keying. */
struct hk_inline_options {
	__u8 next_header; /* of ESP: a creation header comes first */
	__u32 children;	  /* alive of one parent SA */
	__u32 creations;  /* under one parent secret, in its life */
};

struct hk_tls_options {
	__u64 memory;		       /* bytes a worker may use to put streams together */
	__u16 ports[HK_TLS_PORTS_MAX]; /* of the servers; 0: this one and all behind it are free */
};

struct hk_domain_config {
	char *name;
	__u16 id;	   /* stable over reloads: a name keeps its id */
	__u8 envelope;	   /* enum hk_envelope */
	__u8 profile;	   /* enum hk_profile */
	__u8 suite;	   /* enum hk_suite; ESP only */
	bool esn;	   /* ESP: 64-bit sequence numbers (single gcm: unverifiable) */
	bool flow_per_spi; /* one SPI carries one flow: verdicts may go to the kernel */
	__u32 mkid;	   /* of the domain's master keys; ESP: 16 bits, part of the derivation context */
	__u16 carrier;	   /* IP protocol or UDP port of the envelope; 0: its default, or none */
	__u8 options;	   /* the bits that the envelope's parser gets in the receivers map */
	struct hk_prefix *receivers;
	unsigned receivers_count;
	const struct hk_config *config; /* that it stands in */
	char *keys;	/* path of the key file, absolute or relative to the configuration; NULL: none */
	char *keys_dir; /* directory whose NAME.keys files count too, and are watched; NULL: none */
	unsigned levels_count; /* of the roots that master keys are combined of; 0: none */
	char levels[3][17];    /* their names, the first combined first */
	/* one struct per envelope with a YAML mapping of its own; only that of `envelope` counts */
	struct hk_tss_options tss;
	struct hk_tls_options tls;
	struct hk_eesp_options eesp;
	struct hk_inline_options inline_keying;
};

struct hk_hook_config {
	char *use;	/* built-in name, or a path with a '/' */
	char *settings; /* the hook's own file; NULL: none. YAML key: settings, rules or classes */
};

struct hk_config {
	char *path;	 /* the file this came from */
	char *directory; /* relative paths start here */
	char *instance;	 /* pin path and socket carry it; default "default" */
	__u8 mode;	 /* enum hk_mode */
	__u8 attach;	 /* enum hk_attach */
	__u8 seccomp;	 /* enum hk_seccomp */
	char *ports[HK_PORTS_MAX];
	unsigned ports_count;	      /* 0 is allowed for `halfkey open` */
	unsigned queues;	      /* 0: as many as the ports have */
	char *user;		      /* whom the inspector becomes; default "nobody" */
	char *control;		      /* path of the control socket */
	char *crypto;		      /* backend name, or NULL for the best */
	unsigned heartbeat_ms;	      /* a worker silent for this long is dead: default 200 */
	unsigned frames;	      /* UMEM frames per queue: default 8192, a power of two */
	unsigned keys_max;	      /* size of the locked key arena, in keys: default 65536 */
	unsigned flows_max;	      /* inner flows kept per worker: default 65536 */
	__u8 policy[HK_REASON_COUNT]; /* enum hk_action per reason */
	struct hk_domain_config *domains;
	unsigned domains_count;
	struct hk_hook_config *hooks;
	unsigned hooks_count;
	struct {
		char *eve_path;		   /* NULL: off */
		unsigned stats_interval_s; /* EVE stats records; default 10, 0: none */
		char *mirror_tap;	   /* NULL: off */
		char *pcapng_path;	   /* NULL: off */
		__u64 pcapng_max_bytes;	   /* writing stops there; default 1 GiB */
	} feeds;
};

#endif
