/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why an end host refuses a packet: one list for the openers, the counters and
 * the statistics. Each refusal has its own counter.
 */
#ifndef HK_ENDPOINT_REFUSAL_H
#define HK_ENDPOINT_REFUSAL_H

/* R(ID, "name", "what happened") */
#define HK_REFUSALS(R)                                                                                     \
	R(NONE, "opened", "opened and accepted")                                                           \
	R(IP_HEADER, "ip-header", "the outer IP or UDP header is impossible")                              \
	R(FRAGMENT, "fragment", "an outer IP fragment")                                                    \
	R(NOT_SEALED, "not-sealed", "not in an envelope: another protocol, IKE or a keepalive")            \
	R(SHORT, "short", "too short for its envelope")                                                    \
	R(PSP_HEADER, "psp-header", "PSP header length, offset, cookie or fixed bit is impossible")        \
	R(PSP_VERSION, "psp-version", "a PSP version that is not encrypted or not defined")                \
	R(SPI, "spi", "a reserved SPI")                                                                    \
	R(ESP_ALIGN, "esp-align", "ESP ciphertext not a multiple of the block")                            \
	R(EESP_HEADER, "eesp-header", "an EESP or WESP header or option that is impossible")               \
	R(CONTEXT, "context", "a derived-key context of another KDF, carrier or length, or reserved bits") \
	R(KCV, "kcv", "the key check value is not this key's")                                             \
	R(NOT_OURS, "not-ours", "sealed for another receiver")                                             \
	R(WRONG_ENVELOPE, "wrong-envelope", "another envelope than this host speaks")                      \
	R(NO_KEY, "no-key", "no key for this SPI")                                                         \
	R(KEY_NOT_YET, "key-not-yet", "the key's time has not begun (not-before)")                         \
	R(KEY_EXPIRED, "key-expired", "the key's time is over (not-after)")                                \
	R(DOWNGRADE, "downgrade", "a single-key version or suite under a split key, or the reverse")       \
	R(BAD_ICV, "bad-icv", "the ICV does not verify")                                                   \
	R(REPLAY, "replay", "a number seen before, or too old to tell")                                    \
	R(OTHER_SENDER, "other-sender", "the SPI belongs to another sender")                               \
	R(SPI_FULL, "spi-full", "more SPIs in use than this host keeps windows for")                       \
	R(PADDING, "padding", "ESP padding is not 1, 2, 3")                                                \
	R(NEXT_HEADER, "next-header", "a next header that cannot be delivered here")                       \
	R(INNER, "inner", "the inner IP header does not fit the packet")                                   \
	R(DUMMY, "dummy", "an ESP dummy packet")                                                           \
	R(INNER_SOURCE, "inner-source", "an inner source address that is not the sender's")                \
	R(CIPHER, "cipher", "the crypto library failed")                                                   \
	R(TSS_HEADER, "tss-header", "TSS type, reserved bit or SSI is not this domain's")                  \
	R(STALE_EPOCH, "stale-epoch", "a TSS epoch more than 16 behind")                                   \
	R(CREATION, "creation", "a creation header of inline keying that breaks its format")               \
	R(CREATION_ALONE, "creation-alone", "a creation header with nothing behind it: taken")             \
	R(CHILD_EXPIRED, "child-expired", "a child past its lifetime and grace")                           \
	R(CHILD_SCOPE, "child-scope", "a packet that its child's scope does not cover")

enum hk_refusal {
#define HK_R(id, name, text) HK_REFUSAL_##id,
	HK_REFUSALS(HK_R)
#undef HK_R
		HK_REFUSAL_COUNT
};

const char *hk_refusal_name(unsigned refusal);
const char *hk_refusal_text(unsigned refusal);

#endif
