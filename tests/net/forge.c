// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stolen box at work: with the box's own key file, it tries to make an end
 * host accept a packet that the other host never sent.
 *
 *   forge PORT BOX.keys CAPTURE OLD NEW
 *
 * Takes the first sealed PSP packet of CAPTURE that holds the text OLD, opens
 * it with the box's Ek, puts NEW in its place (same length) and sends it out of
 * PORT three times: re-encrypted under its own IV with its old ICV, under a
 * fresh IV with its old ICV, and under a fresh IV with an AES-GCM tag made from
 * Ek: all that a holder of the encryption side can do. For the demo and tests.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/text.h"
#include "user/crypto/kdf.h"
#include "user/endpoint/protect.h"
#include "user/endpoint/seal.h"
#include "user/keys/keyfile.h"

#define FRAME_MAX 2048

struct forgery {
	const char *old, *new;
	struct hk_kdf_key master; /* of the receiver and slot of the packet */
	bool found_key;
	struct hk_sealed sealed;
	__u8 frame[FRAME_MAX];
	__u32 length;
	__u8 *psp; /* in frame: PSP header, payload, ICV */
	__u8 ek[32];
};

static int take_key(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct forgery *forgery = context;
	unsigned slot = !!(forgery->sealed.spi & HK_PSP_SPI_SLOT);

	(void)error;
	if (line->is_explicit || line->side != HK_SIDE_ENC || line->slot != slot ||
		!hk_prefix_holds(&line->receiver, &forgery->sealed.destination))
		return 0;
	forgery->found_key = true;
	return hk_kdf_key_init(&forgery->master, line->key);
}

static int derive(struct forgery *forgery, const char *path)
{
	struct hk_crypto *crypto = hk_crypto_new(NULL);
	struct hk_error error = {0};
	__u8 messages[2][16];
	static char text[65536];
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[size] = '\0';
	if (!crypto || hk_keyfile_read(path, text, &error, take_key, forgery) || !forgery->found_key) {
		fprintf(stderr, "forge: no key for the packet in '%s' %s\n", path, error.text);
		hk_crypto_free(crypto);
		return -1;
	}
	hk_kdf_psp_message(messages[0], forgery->sealed.version, forgery->sealed.spi, 1);
	hk_kdf_psp_message(messages[1], forgery->sealed.version, forgery->sealed.spi, 2);
	hk_crypto_cmac(crypto, &forgery->master, 2, HK_KDF_PSP_BLOCKS, messages[0], forgery->ek);
	hk_crypto_free(crypto);
	return 0;
}

/* AES-CTR under Ek, in place, as GCM does it; `tag` is what GCM makes of Ek. */
static void encrypt(struct forgery *forgery, __u8 tag[HK_TAG_SIZE])
{
	struct hk_protection protection = {0};
	struct hk_protect_job job = {
		.iv = forgery->psp + 4,
		.aad = forgery->psp,
		.aad_length = HK_PSP_HEADER_SIZE,
		.text = forgery->psp + HK_PSP_HEADER_SIZE,
		.length = forgery->sealed.length - HK_PSP_HEADER_SIZE - HK_PSP_ICV_SIZE,
	};

	if (hk_protection_init(&protection, HK_SUITE_GCM, hk_kdf_psp_key_size(forgery->sealed.version),
		    forgery->ek, NULL) ||
		hk_protection_seal(&protection, &job, tag))
		exit(2);
	hk_protection_clear(&protection);
}

/* The packet opened in place, when it holds the text: its place, else NULL. */
static __u8 *open_in_place(struct forgery *forgery)
{
	__u8 tag[HK_TAG_SIZE];

	encrypt(forgery, tag); /* counter mode: the same both ways */
	return memmem(forgery->psp + HK_PSP_HEADER_SIZE,
		forgery->sealed.length - HK_PSP_HEADER_SIZE - HK_PSP_ICV_SIZE, forgery->old,
		strlen(forgery->old));
}

static bool take_packet(struct forgery *forgery, const __u8 *data, __u32 length)
{
	if (length > FRAME_MAX || length < ETH_HLEN)
		return false;
	memcpy(forgery->frame, data, length);
	forgery->length = length;
	if (hk_sealed_parse(forgery->frame + ETH_HLEN, length - ETH_HLEN, &forgery->sealed) ||
		forgery->sealed.envelope != HK_ENVELOPE_PSP)
		return false;
	forgery->psp = forgery->frame + (forgery->sealed.data - forgery->frame);
	return !(forgery->psp[2] & 0x3f); /* the demo's tunnel leaves nothing in the clear */
}

static int find_packet(struct forgery *forgery, const char *capture, const char *keys, __u8 **text)
{
	char problem[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(capture, problem);
	struct pcap_pkthdr *header;
	const __u8 *data;

	if (!pcap) {
		fprintf(stderr, "forge: %s\n", problem);
		return -1;
	}
	*text = NULL;
	while (!*text && pcap_next_ex(pcap, &header, &data) == 1) {
		if (!take_packet(forgery, data, header->caplen))
			continue;
		if (derive(forgery, keys))
			break;
		*text = open_in_place(forgery);
	}
	pcap_close(pcap);
	return *text ? 0 : -1;
}

/* NEW in the place of OLD; a UDP checksum of 0 over IPv4 says "none". */
static void edit(struct forgery *forgery, __u8 *text)
{
	__u8 *ip = forgery->psp + HK_PSP_HEADER_SIZE;

	memcpy(text, forgery->new, strlen(forgery->new));
	if (ip[0] == 0x45 && ip[9] == IPPROTO_UDP)
		memset(ip + 26, 0, 2);
}

static void send_out(const struct forgery *forgery, const char *port)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(port)};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0 || sendto(fd, forgery->frame, forgery->length, 0, (void *)&to, sizeof(to)) < 0) {
		fprintf(stderr, "forge: cannot send out of '%s': %s\n", port, strerror(errno));
		exit(2);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	static struct forgery forgery;
	__u8 plain[FRAME_MAX], tag[HK_TAG_SIZE], *text;
	__u32 i;

	if (argc != 6 || strlen(argv[4]) != strlen(argv[5])) {
		fprintf(stderr, "usage: forge PORT BOX.keys CAPTURE OLD NEW (OLD and NEW of one length)\n");
		return 2;
	}
	forgery.old = argv[4];
	forgery.new = argv[5];
	if (find_packet(&forgery, argv[3], argv[2], &text)) {
		fprintf(stderr, "forge: no sealed packet in '%s' holds '%s'\n", argv[3], argv[4]);
		return 1;
	}
	edit(&forgery, text);
	memcpy(plain, forgery.psp, forgery.sealed.length);
	for (i = 0; i < 3; i++) {
		memcpy(forgery.psp, plain, forgery.sealed.length);
		if (i > 0)
			forgery.psp[9] ^= (__u8)i; /* an IV never used */
		encrypt(&forgery, tag);
		if (i == 2)
			memcpy(forgery.psp + forgery.sealed.length - HK_PSP_ICV_SIZE, tag, sizeof(tag));
		send_out(&forgery, argv[1]);
	}
	printf("sent 3 forgeries made with Ek\n");
	return 0;
}
