/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The envelopes Halfkey knows, their suites and profiles. Adding an envelope is
 * one row here, one parser in bpf/parse/ and one opener in user/envelope/.
 *
 * Compiles for BPF and for userspace. Values are ABI: they stand in pinned maps.
 */
#ifndef HALFKEY_ENVELOPE_H
#define HALFKEY_ENVELOPE_H

/*
 * E(number, ID, "name", "what it is"). A row may stand here before its parser
 * and opener do: then nothing claims it, and the configuration refuses it.
 */
#define HK_ENVELOPES(E)                                                            \
	E(1, PSP, "psp", "Google PSP over UDP 1000")                               \
	E(2, ESP, "esp", "ESP with derived keys, IP protocol 50 or UDP 4500")      \
	E(3, TSS, "tss", "UEC Transport Security Sublayer, UDP 4793 or native IP") \
	E(4, EESP, "eesp", "Enhanced ESP, UDP 4500 or native IP")                  \
	E(5, WESP, "wesp", "Wrapped ESP, IP protocol 141 or UDP 4500")             \
	E(6, INLINE, "inline", "ESP with SPIs created in band")                    \
	E(7, DTLS, "dtls", "DTLS 1.2 records with a connection id")                \
	E(8, TLS, "tls", "TLS 1.2 GCM records over TCP")

enum hk_envelope {
	HK_ENVELOPE_NONE = 0,
#define HK_E(number, id, name, text) HK_ENVELOPE_##id = number,
	HK_ENVELOPES(HK_E)
#undef HK_E
};
#define HK_ENVELOPE_MAX 16 /* array size; numbers stay below it */

/*
 * What the box holds of a domain's keys (wire-formats: "Two profiles").
 * SPLIT: the encryption side only; packets are marked unauthenticated.
 * SINGLE: the one key of an AEAD; the ICV is verified before anyone sees plaintext.
 */
enum hk_profile { HK_PROFILE_SPLIT = 1, HK_PROFILE_SINGLE = 2 };

/*
 * Cipher suites. The numbers 1..4 are those of the derived-key ESP context;
 * PSP takes its suite from the version field of each packet.
 */
#define HK_SUITES(S)                                                                     \
	S(1, GCM, "gcm", SINGLE, "AES-GCM, one key")                                     \
	S(2, GCM_SPLIT, "gcm-split", SPLIT, "AES-CTR under Ek, GMAC under Ak")           \
	S(3, CTR_HMAC, "ctr-hmac", SPLIT, "AES-256-CTR (RFC 3686) and HMAC-SHA-256-128") \
	S(4, CBC_HMAC, "cbc-hmac", SPLIT, "AES-256-CBC (RFC 3602) and HMAC-SHA-256-128")

enum hk_suite {
	HK_SUITE_NONE = 0,
#define HK_S(number, id, name, profile, text) HK_SUITE_##id = number,
	HK_SUITES(HK_S)
#undef HK_S
};

/* PSP versions (PSP specification, header byte 3; 4 and 5 are the split versions). */
enum hk_psp_version {
	HK_PSP_GCM_128 = 0,
	HK_PSP_GCM_256 = 1,
	HK_PSP_GMAC_128 = 2,
	HK_PSP_GMAC_256 = 3,
	HK_PSP_SPLIT_128 = 4,
	HK_PSP_SPLIT_256 = 5,
};

/*
 * The mark of opened bytes: whether their sender is known. Hooks and feeds always see it.
 * A(number, ID, "name", "what it says"): one list for rules, feeds, `halfkey open` and the documentation.
 */
#define HK_AUTHS(A)                                                                                    \
	A(0, NONE, "unauthenticated", "nobody has verified it, yet: whoever can flip bits chose some") \
	A(1, VERIFIED, "authenticated", "the box verified the ICV")                                    \
	A(2, READER, "reader-ok", "the tag made for readers is right: who holds a reader key made it")

enum hk_auth {
#define HK_A(number, id, name, text) HK_AUTH_##id = number,
	HK_AUTHS(HK_A)
#undef HK_A
		HK_AUTH_COUNT
};

#define HK_UDP_PORT_PSP	     1000
#define HK_UDP_PORT_IKE	     500
#define HK_UDP_PORT_ESP	     4500
#define HK_PSP_HEADER_SIZE   16 /* base header through the IV */
#define HK_PSP_ICV_SIZE	     16
#define HK_PSP_SPI_SLOT	     0x80000000u /* this SPI bit chooses the master-key slot */
#define HK_ESP_HEADER_SIZE   8		 /* SPI and sequence number */
#define HK_ESP_IV_SIZE	     8
#define HK_ESP_CBC_IV_SIZE   16
#define HK_ESP_ICV_SIZE	     16	 /* all four suites */
#define HK_ESP_SPI_RESERVED  256 /* RFC 4303: 0..255 are never an SA */
#define HK_ESP_DUMMY	     59
#define HK_UDP_PORT_TSS	     4793
#define HK_IP_PROTOCOL_TSS   253 /* RFC 3692: for experiments; a domain may say another one */
#define HK_TSS_ENTROPY_SIZE  4	 /* in front of the header, over IP alone */
#define HK_TSS_HEADER_SIZE   12	 /* first word and TSC; an SSI adds 4 */
#define HK_TSS_SSI_SIZE	     4
#define HK_TSS_TSC_SIZE	     8
#define HK_TSS_ICV_SIZE	     16
#define HK_TSS_TYPE	     1 /* byte 0: type5 SP1 0 AN1 */
#define HK_PDS_TYPE_FIRST    2 /* on TSS's port, types 2..14 are PDS in the clear */
#define HK_PDS_TYPE_LAST     14
#define HK_TSS_SP	     0x04
#define HK_TSS_RESERVED	     0x02
#define HK_TSS_AN	     0x01
#define HK_TSS_SDI_MAX	     0xffffff
#define HK_TSS_EPOCHS_BEHIND 16	  /* an older epoch is stale */
#define HK_TSS_OPTION_SSI    0x01 /* receivers map: SP is set in this domain's packets */
#define HK_EESP_HEADER_SIZE  8	  /* base header: version, option length, session ID, SPI */
#define HK_EESP_ICV_SIZE     16
#define HK_EESP_FIRST_BYTE   0x80 /* version 0, no reserved bits */
#define HK_WESP_PROTOCOL     141
#define HK_WESP_HEADER_SIZE  4
#define HK_WESP_MARKER	     2	/* in front of WESP in UDP 4500 */
#define HK_DKC_SIZE	     24 /* the derived-key context: an EESP option, or the end of a WESP header */
#define HK_DKC_OPTION	     0xe0

/* The derived-key context's third and fourth bytes (wire-formats 3.1). */
#define HK_DKC_PROFILE(fields) ((fields)[0] >> 4)
#define HK_DKC_KDF(fields)     ((fields)[0] & 0x0f)
#define HK_DKC_SLOT(fields)    ((fields)[1] >> 1 & 3)
#define HK_DKC_SN	       0x80
#define HK_DKC_IV	       0x40
#define HK_DKC_TUNNEL	       0x20
#define HK_DKC_SPLIT	       0x10
#define HK_DKC_READER	       0x08
#define HK_DKC_RESERVED	       0x01
#define HK_DKC_PROFILE_EESP    0
#define HK_DKC_PROFILE_WESP    1
#define HK_DKC_KDF108	       1
#define HK_DKC_READER_SIZE     8

#define HK_TLS_PORTS_MAX 8 /* of servers, in one domain */

#endif
