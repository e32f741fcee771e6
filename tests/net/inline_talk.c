// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A conversation of inline keying, sealed for tests:
 *
 *   inline_talk FOLDER COUNT
 *
 * writes box.keys and captures into FOLDER. A is 192.0.2.1, B 192.0.2.9; the
 * parent goes from A to B.
 *
 *   early.pcap   B to A: one packet on a child that nobody created yet
 *   open.pcap    A to B: COUNT packets of the parent, each with the same creation
 *   reply.pcap   B to A: COUNT packets on the child; the first creates one for A to B
 *   back.pcap    A to B: COUNT packets on that one
 */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/seal_inline.h"

#define FRAME_MAX  2048
#define PARENT_SPI 0x1001

struct talk {
	const char *folder;
	unsigned count, number;
	struct hk_crypto *crypto;
	struct hk_inline_keys keys;
	struct hk_address a, b;
	struct hk_error error;
};

static void need(int holds, const struct talk *talk, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "inline_talk: %s %s\n", what, talk->error.text);
	exit(1);
}

/* An inner packet through the tunnel, `halfkey plaintext N`. */
static __u32 inner_packet(struct talk *talk, bool to_a, __u8 *out)
{
	int text = snprintf((char *)out + 28, 64, "halfkey plaintext %04u", talk->number++);
	__u32 length = 28 + (__u32)text;

	memset(out, 0, 28);
	out[0] = 0x45;
	hk_put16(out + 2, (__u16)length);
	out[8] = 64;
	out[9] = 17;
	memcpy(out + 12, (const __u8[]){10, 9, 0, to_a ? 9 : 1}, 4);
	memcpy(out + 16, (const __u8[]){10, 9, 0, to_a ? 1 : 9}, 4);
	hk_put16(out + 10, hk_ip_checksum(out, 20));
	hk_put16(out + 20, 1234);
	hk_put16(out + 22, 9999);
	hk_put16(out + 24, (__u16)(8 + text));
	return length;
}

/* `creation` goes into the first packet, or into `all`. */
static void write_capture(struct talk *talk, const char *name, struct hk_inline *sa, bool to_a,
	unsigned count, const struct hk_creation *creation, bool all)
{
	struct hk_seal_shape shape = {.source = to_a ? talk->b : talk->a};
	struct pcap_pkthdr header = {.ts = {.tv_sec = 1700000000}};
	pcap_t *link = pcap_open_dead(DLT_EN10MB, 65535);
	struct hk_inline_packet packet;
	struct hk_numbers numbers;
	__u8 frame[FRAME_MAX], inner[256];
	pcap_dumper_t *out;
	char path[512];
	unsigned i;
	int size;

	snprintf(path, sizeof(path), "%s/%s", talk->folder, name);
	out = pcap_dump_open(link, path);
	need(out != NULL, talk, "no capture");
	memcpy(frame, (const __u8[]){2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}, 14);
	for (i = 0; i < count; i++) {
		numbers = (struct hk_numbers){.iv = talk->number + 1, .sn = talk->number + 1};
		packet = (struct hk_inline_packet){.creation = i == 0 || all ? creation : NULL,
			.inner = inner,
			.length = inner_packet(talk, to_a, inner)};
		shape.udp = i & 1;
		size = hk_inline_seal(sa, &shape, &numbers, &packet, frame + 14, sizeof(frame) - 14);
		need(size > 0, talk, "cannot seal");
		header.caplen = header.len = 14 + (bpf_u_int32)size;
		pcap_dump((unsigned char *)out, &header, frame);
	}
	pcap_dump_close(out);
	pcap_close(link);
}

static void write_keys(struct talk *talk)
{
	char path[512], hex[65];
	FILE *file;

	snprintf(path, sizeof(path), "%s/box.keys", talk->folder);
	file = fopen(path, "w");
	need(file != NULL, talk, "no key file");
	hk_hex_format(talk->keys.enc, 32, hex);
	fprintf(file, "receiver=192.0.2.9 spi=0x%x side=enc root=%s\n", PARENT_SPI, hex);
	fclose(file);
}

static struct hk_creation creation_of(__u32 spi)
{
	struct hk_creation creation = {.scope = HK_SCOPE_HOST, .spi = spi, .lifetime = 600, .sequence = 1};

	if (hk_inline_draw(&creation))
		exit(1);
	return creation;
}

static void talk_all(struct talk *talk)
{
	struct hk_inline_name name = {.spi = PARENT_SPI, .receiver = talk->b};
	struct hk_creation first = creation_of(0x2002), second = creation_of(0x3003);
	struct hk_inline *parent, *child, *back, *end;
	struct hk_state_place place = {.directory = talk->folder, .first_use = true};
	struct hk_inline_seen *seen;

	memcpy(second.peer_nonce, first.reply_nonce, HK_INLINE_NONCE);
	need(!hk_inline_parent(&parent, talk->crypto, &name, &talk->keys, &talk->error), talk, "");
	need(!hk_inline_seen_open(&seen, &place, parent, &talk->error), talk, "");
	need(!hk_inline_install(&child, parent, seen, &first, &talk->a, 0, &talk->error), talk, "");
	need(!hk_inline_expect(&end, parent, &first, &talk->a, 0, &talk->error), talk, "");
	need(!hk_inline_install(&back, end, seen, &second, &talk->b, 0, &talk->error), talk, "");
	write_capture(talk, "early.pcap", child, true, 1, NULL, false);
	write_capture(talk, "open.pcap", parent, false, talk->count, &first, true);
	write_capture(talk, "reply.pcap", child, true, talk->count, &second, false);
	write_capture(talk, "back.pcap", back, false, talk->count, NULL, false);
	hk_inline_seen_close(seen);
	hk_inline_free(parent);
	hk_inline_free(child);
	hk_inline_free(end);
	hk_inline_free(back);
}

int main(int argc, char **argv)
{
	struct talk talk = {0};
	unsigned i;

	if (argc != 3) {
		fprintf(stderr, "usage: inline_talk FOLDER COUNT\n");
		return 2;
	}
	talk.folder = argv[1];
	talk.count = (unsigned)strtoul(argv[2], NULL, 10);
	talk.crypto = hk_crypto_new(NULL);
	need(talk.crypto != NULL, &talk, "no crypto backend");
	for (i = 0; i < 32; i++) {
		talk.keys.enc[i] = (__u8)(i * 7 + 1);
		talk.keys.auth[i] = (__u8)(i * 11 + 3);
	}
	hk_address_parse("192.0.2.1", &talk.a);
	hk_address_parse("192.0.2.9", &talk.b);
	write_keys(&talk);
	talk_all(&talk);
	hk_crypto_free(talk.crypto);
	return 0;
}
