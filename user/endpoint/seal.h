/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seal side: what an end host does with a packet before it leaves and
 * after it arrives. Linked into halfkey-endpoint and the tests alone; no
 * program of the box may carry a symbol of this room.
 *
 *   inner IP packet ── hk_seal_packet() ──► outer IP packet
 *   outer IP packet ── hk_open_packet() ──► inner IP packet, or why it is refused
 *
 * A struct hk_sa holds the derived keys of one SPI of one receiver, ready to
 * use. One thread at a time uses an SA. Opening verifies the ICV in constant
 * time before any plaintext leaves the call. Replay, key choice and state are
 * one floor up, in host.h; numbers that never repeat come from nonces.h.
 */
#ifndef HK_ENDPOINT_SEAL_H
#define HK_ENDPOINT_SEAL_H

#include <stdbool.h>
#include <linux/types.h>

#include <halfkey/address.h>
#include <halfkey/crypto.h>
#include <halfkey/envelope.h>

#include "user/base/error.h"
#include "user/endpoint/refusal.h"

/* The most that sealing adds: IPv6 40, UDP 8, ESP 8, IV 16, padding 17, ICV 16; PSP less. */
#define HK_SEAL_OVERHEAD_MAX 128
#define HK_CRYPT_OFFSET_MAX  63

struct hk_sa;

/* Which keys: everything an SA is derived from but the keys themselves. */
struct hk_sa_name {
	__u8 envelope; /* enum hk_envelope */
	__u8 variant;  /* PSP version 0, 1, 4, 5; or enum hk_suite */
	__u16 mkid;    /* ESP: MKID of the derivation context */
	__u32 spi;
	struct hk_address receiver; /* whose keys these are: the outer destination */
};

/* The profile a PSP version or a suite belongs to (enum hk_profile); 0: cannot be sealed. */
unsigned hk_sa_profile(unsigned envelope, unsigned variant);

/*
 * Derives an SA from the receiver's master keys. `auth` is the authentication
 * side: given where the variant is split, NULL where it is single; anything
 * else is refused. 0, or negative errno and a sentence.
 */
int hk_sa_derive(struct hk_sa **out, struct hk_crypto *crypto, const struct hk_sa_name *name,
	const struct hk_kdf_key *enc, const struct hk_kdf_key *auth, struct hk_error *error);

/* Derived keys themselves, as an explicit line of a key file carries them. Wipe after use. */
struct hk_sa_keys {
	__u8 key_size; /* 16 or 32 */
	__u8 enc[32];
	__u8 auth[32];	   /* split only */
	__u8 salt_enc[4];  /* ESP */
	__u8 salt_auth[4]; /* ESP gcm-split */
};
int hk_sa_from_keys(struct hk_sa **out, const struct hk_sa_name *name, const struct hk_sa_keys *keys,
	struct hk_error *error);
/* What hk_sa_derive() would use; for keygen, which hands them to senders. */
int hk_sa_derive_keys(struct hk_sa_keys *out, struct hk_crypto *crypto, const struct hk_sa_name *name,
	const struct hk_kdf_key *enc, const struct hk_kdf_key *auth, struct hk_error *error);
void hk_sa_free(struct hk_sa *sa); /* wipes; NULL is fine */

const struct hk_sa_name *hk_sa_name(const struct hk_sa *sa);
/* 8 bytes that name the encryption key and reveal nothing of it; the nonce state is filed under them. */
const __u8 *hk_sa_fingerprint(const struct hk_sa *sa);
__u64 hk_sa_not_after(const struct hk_sa *sa); /* seconds since 1970; 0: no end */

/* The numbers of one packet. The caller guarantees that an IV never comes twice under one SA. */
struct hk_numbers {
	__u64 iv; /* PSP IV; ESP explicit IV (CBC draws its own) */
	__u32 sn; /* ESP sequence number */
};

/* How the outside looks. Zero it, then set what differs. */
struct hk_seal_shape {
	bool transport;	   /* else tunnel */
	bool udp;	   /* ESP: over UDP 4500, else IP protocol 50 */
	bool cookie;	   /* PSP: V bit and virtualization cookie */
	__u8 crypt_offset; /* PSP: as on the wire, 4-byte units behind the IV; a cookie counts (then >= 2) */
	__u8 psp_flags;	   /* PSP: 0x80 sample, 0x40 drop */
	__u16 source_port; /* 0: PSP from the inner flow, ESP 4500 */
	struct hk_address source; /* tunnel: the outer source; the destination is the SA's receiver */
	__u8 cookie_bytes[8];
	const __u8 *cbc_iv; /* tests only: 16 bytes; NULL: random, as RFC 3602 demands */
};

/*
 * Seals an inner IP packet of exactly its IP length. Returns the size of the
 * outer IP packet in `out`, or -EINVAL (not an IP packet, padding behind it,
 * IPv4 options or extension headers where they cannot be carried, a fragment in
 * transport mode, crypt offset over 63 or past the end), -EMSGSIZE (no room, or
 * over 65535), -EIO (the crypto library failed: nothing is in `out`).
 */
int hk_seal_packet(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const __u8 *inner, __u32 length, __u8 *out, __u32 room);

/* The same without outer IP and UDP headers: what a socket sends. Tunnel mode. */
int hk_seal_envelope(struct hk_sa *sa, const struct hk_seal_shape *shape, const struct hk_numbers *numbers,
	const __u8 *inner, __u32 length, __u8 *out, __u32 room);

/* A hash of the inner flow (addresses, protocol, ports): entropy for outer source ports. */
__u32 hk_inner_hash(const __u8 *inner, __u32 length);

/* The outer headers alone, for tests that craft packets: `payload` is a UDP payload or an ESP packet. */
int hk_outer_build(const struct hk_address *source, const struct hk_address *destination, __u8 protocol,
	__u16 source_port, __u16 destination_port, const __u8 *payload, __u32 length, __u8 *out, __u32 room);

/* An outer packet as far as it can be read without keys. */
struct hk_sealed {
	__u8 envelope; /* enum hk_envelope */
	__u8 version;  /* PSP */
	__u8 protocol; /* of IP; UDP has ports */
	__u8 reserved;
	__u16 source_port, port;
	__u32 spi;
	struct hk_address source, destination;
	const __u8 *data; /* what IP or UDP carries: PSP header, or ESP's SPI, up to and with the ICV */
	__u32 length;
	const __u8 *ip; /* the outer IP header; NULL from a socket: transport mode cannot be rebuilt then */
};

/*
 * The outer IP and UDP headers: all but envelope, version and SPI. enum hk_refusal. `out`
 * points into `packet`. Ethernet padding is allowed behind the IP length.
 */
unsigned hk_sealed_outer(const __u8 *packet, __u32 length, struct hk_sealed *out);
/* Then: whether it is PSP or ESP; fills envelope, version and SPI. enum hk_refusal. */
unsigned hk_sealed_read(struct hk_sealed *sealed);
/* Both. */
unsigned hk_sealed_parse(const __u8 *packet, __u32 length, struct hk_sealed *out);

struct hk_opened {
	__u8 *inner; /* the inner IP packet, in `out` */
	__u32 length;
	struct hk_numbers numbers;
};

/* Room for a rebuilt IP header in front of what is opened. */
#define HK_OPEN_ROOM(length) ((length) + 64)

/*
 * Verifies, then decrypts `sealed` with `sa` (its SPI and envelope must match)
 * into `out` of HK_OPEN_ROOM(sealed->length) bytes. enum hk_refusal; on any
 * refusal `out` holds no plaintext.
 */
unsigned hk_open_packet(
	struct hk_sa *sa, const struct hk_sealed *sealed, __u8 *out, struct hk_opened *opened);

#endif
