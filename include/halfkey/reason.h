/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Every fate a packet can meet: one list for the XDP program, the workers, the
 * counters, the policy keys of the configuration and the documentation.
 *
 * A packet that enters a port is counted under exactly one reason by the XDP
 * program; one that XDP handed to a worker (HK_REASON_TO_WORKER) is counted
 * again, under exactly one reason, by that worker. Numbers are ABI: they stand
 * in pinned maps and in EVE records. Never renumber; append and raise HK_REASON_COUNT.
 *
 * Compiles for BPF and for userspace. Holds no logic beyond accessors.
 */
#ifndef HALFKEY_REASON_H
#define HALFKEY_REASON_H

/*
 * What the configuration's `policy:` says about a class of reasons.
 * P(ID, "key", default action, "what the class holds")
 */
#define HK_POLICIES(P)                                                                          \
	P(NONE, "none", PASS, "not a refusal: no policy applies")                               \
	P(LEGACY, "legacy", PASS, "traffic that is not sealed, or sealed for nobody we know")   \
	P(CONTROL, "control", PASS, "ARP, ND, non-IP, IKE, multicast: keeps the link alive")    \
	P(FRAGMENT, "fragment", DROP, "IP fragments for a receiver of a domain: never opened")  \
	P(MALFORMED, "malformed", DROP, "headers that break their format")                      \
	P(NO_KEY, "no-key", PASS, "no key for this receiver, slot or SPI")                      \
	P(PROFILE_MISMATCH, "profile-mismatch", DROP, "version or suite of the other profile")  \
	P(BAD_ICV, "bad-icv", DROP, "`single`: the ICV does not verify")                        \
	P(UNVERIFIABLE, "unverifiable", DROP, "`single` with ESN: the ICV needs bits not sent") \
	P(IMPLAUSIBLE, "implausible", PASS, "opened, but not a sensible packet: wrong key?")    \
	P(STREAM, "stream", PASS, "TCP bytes that cannot be followed: a gap, or no memory")     \
	P(DUMMY, "dummy", PASS, "ESP dummy packets (next header 59): nothing inside")           \
	P(RING_FULL, "ring-full", PASS, "the worker is behind: its ring has no room")           \
	P(HOOK_ERROR, "hook-error", PASS, "a hook failed on the batch")                         \
	P(WORKER_DEAD, "worker-dead", PASS, "no worker, or its heartbeat stopped")

/*
 * R(number, ID, "name", policy class, "what happened")
 *
 * 0..15 are not refusals. 16..63 are given by the XDP program (and by the same
 * parser in `halfkey open`), 64..95 by the worker. From 96 each envelope has a
 * range of its own, for parser and worker alike: TSS 96..107, EESP 108..119,
 * WESP and DKC 120..135, inline keying 136..147, DTLS 148..159, TLS 160..175,
 * keys 176..187.
 */
#define HK_REASONS(R)                                                                                        \
	R(0, OK, "ok", NONE, "opened, inspected, accepted and sent on")                                      \
	R(1, TO_WORKER, "to-worker", NONE, "handed to a worker, which counts it again")                      \
	R(2, VERDICT_ACCEPT, "verdict-accept", NONE, "a kernel verdict let the flow pass unopened")          \
	R(3, VERDICT_DROP, "verdict-drop", NONE, "a kernel verdict drops the flow")                          \
	R(4, HOOK_DROP, "hook-drop", NONE, "a hook dropped the packet")                                      \
	R(5, FLOW_ACCEPT, "flow-accept", NONE, "an earlier verdict for its inner flow let it pass")          \
	R(6, FLOW_DROP, "flow-drop", NONE, "an earlier verdict for its inner flow drops it")                 \
	R(7, DELAY_FULL, "delay-full", NONE, "the worker's delay queue had no room: dropped")                \
	R(8, TX_FAILED, "tx-failed", NONE, "accepted, but the other port took no frame: lost")               \
	R(9, INSPECTED, "inspected", NONE, "passive or monitor: opened and looked at, not sent")             \
	R(10, SHUTDOWN, "shutdown", NONE, "still delayed when the worker stopped: dropped")                  \
	R(11, NONCE_REPEAT, "nonce-repeat", NONE,                                                            \
		"one nonce, two ciphertexts: an anomaly, no packet's fate")                                  \
	R(16, CONTROL, "control", CONTROL, "ARP, other non-IP, multicast or neighbour discovery")            \
	R(17, IKE, "ike", CONTROL, "IKE or a NAT keepalive on UDP 500 or 4500")                              \
	R(18, LEGACY, "legacy", LEGACY, "IP traffic in no envelope we open")                                 \
	R(19, NO_DOMAIN, "no-domain", LEGACY, "an envelope, but its receiver is in no domain")               \
	R(20, PSP_GMAC, "psp-gmac", LEGACY, "PSP version 2 or 3: not encrypted, not opened")                 \
	R(21, FRAGMENT, "fragment", FRAGMENT, "an IP fragment for a receiver of a domain")                   \
	R(22, SHORT_FRAME, "short-frame", MALFORMED, "the frame ends inside a link or IP header")            \
	R(23, IP_HEADER, "ip-header", MALFORMED, "IP version, IHL or total length is impossible")            \
	R(24, IP6_EXTENSIONS, "ip6-extensions", MALFORMED, "too many or broken extension headers")           \
	R(25, UDP_LENGTH, "udp-length", MALFORMED, "UDP length below 8 or past the IP packet")               \
	R(26, VLAN_DEPTH, "vlan-depth", MALFORMED, "more than two VLAN tags")                                \
	R(27, PSP_SHORT, "psp-short", MALFORMED, "fewer than 32 bytes for PSP header and ICV")               \
	R(28, PSP_HEL_ZERO, "psp-hel-zero", MALFORMED, "PSP Hdr Ext Len is 0")                               \
	R(29, PSP_HEL_LENGTH, "psp-hel-length", MALFORMED, "PSP header longer than the datagram")            \
	R(30, PSP_OFFSET, "psp-offset", MALFORMED, "PSP crypt offset past the end")                          \
	R(31, PSP_BIT, "psp-bit", MALFORMED, "the PSP bit that must be 1 is 0")                              \
	R(32, PSP_VERSION, "psp-version", MALFORMED, "PSP version that nobody defines")                      \
	R(33, PSP_SPI, "psp-spi", MALFORMED, "PSP SPI whose low 31 bits are 0")                              \
	R(34, PSP_COOKIE, "psp-cookie", MALFORMED, "PSP V bit set without room for the cookie")              \
	R(35, ESP_SHORT, "esp-short", MALFORMED, "too short for ESP header, IV, trailer and ICV")            \
	R(36, ESP_SPI, "esp-spi", MALFORMED, "ESP SPI 0..255, or bit 31 set on a derived key")               \
	R(37, ESP_ALIGN, "esp-align", MALFORMED, "ESP ciphertext not a multiple of the block")               \
	R(38, MAPPED_ADDRESS, "mapped-address", MALFORMED, "IPv6 packet from or to ::ffff:0:0/96")           \
	R(39, DATAGRAM_PADDING, "datagram-padding", MALFORMED, "IP packet longer than its UDP datagram")     \
	R(48, DISARMED, "disarmed", WORKER_DEAD, "inspection is switched off")                               \
	R(49, NO_SOCKET, "no-socket", WORKER_DEAD, "no worker socket on this queue")                         \
	R(50, HEARTBEAT, "heartbeat", WORKER_DEAD, "the worker's heartbeat stopped")                         \
	R(51, RING_FULL, "ring-full", RING_FULL, "the worker's ring has no room")                            \
	R(52, META_FAILED, "meta-failed", WORKER_DEAD, "the driver took no metadata")                        \
	R(53, FRAME_SIZE, "frame-size", RING_FULL, "the frame is larger than a worker's frame")              \
	R(64, META_INVALID, "meta-invalid", MALFORMED, "metadata does not fit the frame")                    \
	R(65, NO_KEY, "no-key", NO_KEY, "no key for this receiver, slot or SPI")                             \
	R(66, STALE_KEY, "stale-key", NO_KEY, "the key of this packet was retired")                          \
	R(67, PROFILE_MISMATCH, "profile-mismatch", PROFILE_MISMATCH, "version of the other profile")        \
	R(68, BAD_ICV, "bad-icv", BAD_ICV, "the ICV does not verify")                                        \
	R(69, UNVERIFIABLE, "unverifiable", UNVERIFIABLE, "the ICV covers bits that are not sent")           \
	R(70, IMPLAUSIBLE, "implausible", IMPLAUSIBLE, "the opened bytes are no sensible packet")            \
	R(71, DUMMY, "dummy", DUMMY, "ESP dummy packet")                                                     \
	R(72, HOOK_ERROR, "hook-error", HOOK_ERROR, "a hook returned an error for the batch")                \
	R(73, NEXT_HEADER, "next-header", IMPLAUSIBLE, "a next header the envelope cannot carry")            \
	R(96, TSS_PDS, "tss-pds", LEGACY, "UEC packet delivery (PDS) in the clear: not sealed")              \
	R(97, TSS_SHORT, "tss-short", MALFORMED, "fewer bytes than TSS header and ICV")                      \
	R(98, TSS_TYPE, "tss-type", MALFORMED, "neither TSS nor a PDS type: 0, or above 14")                 \
	R(99, TSS_RESERVED, "tss-reserved", MALFORMED, "the TSS bit that must be 0 is 1")                    \
	R(100, TSS_SSI, "tss-ssi", PROFILE_MISMATCH, "a TSS SSI in a domain without, or none")               \
	R(101, TSS_EPOCH, "tss-epoch", NO_KEY, "a TSS epoch more than 16 behind: stale")                     \
	R(108, EESP_SHORT, "eesp-short", MALFORMED, "too short for EESP header, options, SN, IV and ICV")    \
	R(109, EESP_VERSION, "eesp-version", MALFORMED, "not EESP version 0")                                \
	R(110, EESP_RESERVED, "eesp-reserved", MALFORMED, "reserved bits of the EESP header are set")        \
	R(111, EESP_SPI, "eesp-spi", MALFORMED, "EESP SPI 0..255")                                           \
	R(112, EESP_OPTION, "eesp-option", MALFORMED,                                                        \
		"an EESP option runs past the options, or stands twice")                                     \
	R(113, EESP_OFFSET, "eesp-offset", MALFORMED, "EESP crypt offset past the end, or of odd length")    \
	R(120, WESP_SHORT, "wesp-short", MALFORMED, "too short for what the WESP header announces")          \
	R(121, WESP_VERSION, "wesp-version", MALFORMED, "WESP version that nobody defines")                  \
	R(122, WESP_RESERVED, "wesp-reserved", MALFORMED, "WESP reserved bits or bytes are set")             \
	R(123, WESP_LENGTH, "wesp-length", MALFORMED, "WESP HdrLen or TrailerLen is impossible")             \
	R(124, WESP_NEXT_HEADER, "wesp-next-header", MALFORMED,                                              \
		"WESP next header is not that of the ESP trailer")                                           \
	R(125, WESP_ENCRYPTED, "wesp-encrypted", LEGACY,                                                     \
		"WESP around encrypted ESP, without a context to open it by")                                \
	R(126, WESP_SPI, "wesp-spi", MALFORMED, "SPI 0..255 inside WESP")                                    \
	R(128, DKC_LENGTH, "dkc-length", MALFORMED, "derived-key context of another length")                 \
	R(129, DKC_KDF, "dkc-kdf", MALFORMED, "derived-key context with a KDF nobody defines")               \
	R(130, DKC_CARRIER, "dkc-carrier", MALFORMED, "derived-key context made for another carrier")        \
	R(131, DKC_RESERVED, "dkc-reserved", MALFORMED,                                                      \
		"derived-key context: reserved bit set, or flags that exclude each other")                   \
	R(132, WRONG_KCV, "wrong-kcv", NO_KEY, "the key check value says: not this key")                     \
	R(133, READER_TAG, "reader-tag", BAD_ICV, "the reader tag does not verify")                          \
	R(136, INLINE_SHORT, "inline-short", MALFORMED, "too short for inline keying's ESP")                 \
	R(137, INLINE_SPI, "inline-spi", MALFORMED, "SPI 0..255 under inline keying")                        \
	R(138, INLINE_ALIGN, "inline-align", MALFORMED, "its ciphertext is no multiple of 4")                \
	R(139, CREATION_SHORT, "creation-short", IMPLAUSIBLE, "a creation header past the plaintext")        \
	R(140, CREATION_LENGTH, "creation-length", IMPLAUSIBLE, "its length does not suit its scope")        \
	R(141, CREATION_VERSION, "creation-version", IMPLAUSIBLE, "its version is not 1, or flags are set")  \
	R(142, CREATION_RESERVED, "creation-reserved", IMPLAUSIBLE, "its reserved bytes are set")            \
	R(143, CREATION_SCOPE, "creation-scope", IMPLAUSIBLE, "a scope nobody defines, or fields not of it") \
	R(144, CREATION_ALGORITHM, "creation-algorithm", IMPLAUSIBLE, "an algorithm other than AES-GCM-16")  \
	R(145, CREATION_SPI, "creation-spi", IMPLAUSIBLE, "it creates an SPI 0..255")                        \
	R(148, DTLS_SHORT, "dtls-short", MALFORMED, "it ends inside a DTLS record header")                   \
	R(149, DTLS_VERSION, "dtls-version", MALFORMED, "a record that is not DTLS 1.2")                     \
	R(150, DTLS_LENGTH, "dtls-length", MALFORMED, "a DTLS record too long or too short")                 \
	R(151, DTLS_CID, "dtls-cid", LEGACY, "a DTLS connection id without key context")                     \
	R(152, DTLS_FLAGS, "dtls-flags", MALFORMED, "reserved flags in the connection id")                   \
	R(153, DTLS_EPOCH, "dtls-epoch", MALFORMED, "a DTLS connection id in epoch 0")                       \
	R(154, DTLS_CONTROL, "dtls-control", CONTROL, "DTLS handshake or alert: no data")                    \
	R(155, DTLS_NO_CID, "dtls-no-cid", LEGACY, "encrypted DTLS without connection id")                   \
	R(156, DTLS_13, "dtls-13", LEGACY, "DTLS 1.3: keys of one connection")                               \
	R(157, DTLS_RECORDS, "dtls-records", MALFORMED, "more than 16 records in a datagram")                \
	R(158, DTLS_TYPE, "dtls-type", IMPLAUSIBLE, "opened, but names no content type")                     \
	R(160, TLS_TCP, "tls-tcp", MALFORMED, "a TCP header that is impossible")                             \
	R(161, TLS_CONTROL, "tls-control", CONTROL, "TCP or TLS without data: SYN, handshake, alert")        \
	R(162, TLS_PARTIAL, "tls-partial", NONE, "a part of a TLS record: its last segment is opened")       \
	R(163, TLS_REPEATED, "tls-repeated", NONE, "a TCP segment whose bytes were seen before")             \
	R(164, TLS_GAP, "tls-gap", STREAM, "TCP bytes are missing: records cannot be followed")              \
	R(165, TLS_NO_ROOM, "tls-no-room", STREAM, "no memory to put a TCP stream together")                 \
	R(166, TLS_RECORD, "tls-record", MALFORMED, "no TLS record where one must begin")                    \
	R(167, TLS_VERSION, "tls-version", LEGACY, "a TLS version other than 1.2")                           \
	R(168, TLS_CIPHER, "tls-cipher", LEGACY, "a TLS cipher suite other than AES-GCM")                    \
	R(169, TLS_OVERLAP, "tls-overlap", MALFORMED, "a TCP segment says other bytes than before")          \
	R(176, KEY_NOT_YET, "key-not-yet", NO_KEY, "its key waits for its not-before")                       \
	R(177, KEY_EXPIRED, "key-expired", NO_KEY, "its key is past its not-after, and wiped")

#define HK_REASON_COUNT 192

enum hk_reason {
#define HK_R(number, id, name, policy, text) HK_REASON_##id = number,
	HK_REASONS(HK_R)
#undef HK_R
};

enum hk_policy {
#define HK_P(id, key, action, text) HK_POLICY_##id,
	HK_POLICIES(HK_P)
#undef HK_P
		HK_POLICY_COUNT
};

/* What a policy does with a packet. `pass` is "out of the other port", never "to this host". */
enum hk_action { HK_ACTION_PASS = 0, HK_ACTION_DROP = 1 };

#endif
