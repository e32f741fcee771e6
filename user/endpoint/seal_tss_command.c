// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint seal --envelope tss`: seals what one host sent of UEC packet
 * delivery in the clear (UDP 4793, types 2 to 14) in a capture, between the same
 * addresses and with the same entropy. Everything else is copied.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/text.h"
#include "user/endpoint/captures.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/tss.h"

#define FRAME_MAX 65536

static const char help[] =
	"Usage: halfkey-endpoint seal --envelope tss --keys FILE --tss SETUP --sdi N --epoch N\n"
	"         --from ADDRESS [OPTION]... IN.pcap OUT.pcap\n"
	"Seals the UEC packets (UDP 4793, in the clear) of one sender; what is not sealed is copied.\n"
	"\n"
	"  -k, --keys FILE      the host's key file (mode 0600)\n"
	"      --tss SETUP      as in the box's `tss:` mapping, in one word:\n"
	"                       mode=cluster,ssi=yes,rekey-mask=0xffff00000000,rekey-shift=32\n"
	"      --sdi N          secure domain\n"
	"      --an N           key slot, 0 (default) or 1\n"
	"      --epoch N        epoch of the counter\n"
	"  -f, --from ADDRESS   the sender: packets of others are copied\n"
	"  -t, --to ADDRESS     seal only what goes there (server mode needs it)\n"
	"      --ssi N          the sender's SSI, where the domain has SSIs\n"
	"      --carrier NAME   udp (default) or ip: behind the entropy header\n"
	"      --sole-sender    no other host seals with these keys\n"
	"      --state DIR      nonce state (default: /var/lib/halfkey-endpoint)\n"
	"      --first-use      this sender sealed nothing in this epoch: create its nonce state\n"
	"      --sender NAME    who seals (default: the --from address)\n";

struct options {
	const char *keys, *tss, *sdi, *an, *epoch, *from, *to, *ssi, *carrier, *state, *sender, *envelope;
	const char *in, *out;
	bool sole_sender, first_use;
};

struct run {
	struct hk_tss_setup setup;
	struct hk_tss_shape shape;
	__u32 sdi;
	unsigned an;
	__u16 epoch;
	bool to_all;
	struct hk_tss *tss;
	struct hk_nonce_state *nonces;
	struct hk_captures captures;
	__u32 link; /* bytes in front of IP */
	__u8 frame[FRAME_MAX + 14];
	unsigned long sealed, copied, refused;
};

enum {
	OPT_TSS = 256,
	OPT_SDI,
	OPT_AN,
	OPT_EPOCH,
	OPT_SSI,
	OPT_CARRIER,
	OPT_SOLE,
	OPT_STATE,
	OPT_FIRST,
	OPT_SENDER
};

static const struct option long_options[] = {
	{"keys", required_argument, NULL, 'k'},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"envelope", required_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},
	{"tss", required_argument, NULL, OPT_TSS},
	{"sdi", required_argument, NULL, OPT_SDI},
	{"an", required_argument, NULL, OPT_AN},
	{"epoch", required_argument, NULL, OPT_EPOCH},
	{"ssi", required_argument, NULL, OPT_SSI},
	{"carrier", required_argument, NULL, OPT_CARRIER},
	{"sole-sender", no_argument, NULL, OPT_SOLE},
	{"state", required_argument, NULL, OPT_STATE},
	{"first-use", no_argument, NULL, OPT_FIRST},
	{"sender", required_argument, NULL, OPT_SENDER},
	{NULL, 0, NULL, 0},
};

static const char **place_of(struct options *options, int option)
{
	switch (option) {
	case 'k': return &options->keys;
	case 'f': return &options->from;
	case 't': return &options->to;
	case 'e': return &options->envelope;
	case OPT_TSS: return &options->tss;
	case OPT_SDI: return &options->sdi;
	case OPT_AN: return &options->an;
	case OPT_EPOCH: return &options->epoch;
	case OPT_SSI: return &options->ssi;
	case OPT_CARRIER: return &options->carrier;
	case OPT_STATE: return &options->state;
	case OPT_SENDER: return &options->sender;
	default: return NULL;
	}
}

/* 0, 1 when help was printed, or negative errno and a sentence. */
static int read_options(struct options *options, int argc, char **argv, struct hk_error *error)
{
	int option;

	while ((option = getopt_long(argc, argv, ":k:f:t:e:h", long_options, NULL)) != -1) {
		const char **place = place_of(options, option);

		if (place) {
			*place = optarg;
		} else if (option == OPT_SOLE) {
			options->sole_sender = true;
		} else if (option == OPT_FIRST) {
			options->first_use = true;
		} else if (option == 'h') {
			fputs(help, stdout);
			return 1;
		} else {
			return hk_error_set(error, EINVAL,
				"%s: unknown option for tss, or without its value: see --envelope tss --help",
				argv[optind - 1]);
		}
	}
	if (argc - optind != 2)
		return hk_error_set(error, EINVAL,
			"%d files named: name one capture to read and one to write", argc - optind);
	options->in = argv[optind];
	options->out = argv[optind + 1];
	return 0;
}

static int number(const char *what, const char *text, const char *otherwise, __u64 max, __u64 *out,
	struct hk_error *error)
{
	if (!text)
		text = otherwise;
	if (!text)
		return hk_error_set(error, EINVAL, "--%s is missing", what);
	if (hk_number_parse(text, max, out))
		return hk_error_set(error, EINVAL, "--%s '%s': must be a number from 0 to %llu", what, text,
			(unsigned long long)max);
	return 0;
}

static int judge_numbers(struct run *run, const struct options *options, struct hk_error *error)
{
	__u64 sdi = 0, an = 0, epoch = 0, ssi = 0;
	bool wanted = run->setup.options.ssi;

	if (number("sdi", options->sdi, NULL, HK_TSS_SDI_MAX, &sdi, error) ||
		number("an", options->an, "0", 1, &an, error) ||
		number("epoch", options->epoch, NULL, 0xffff, &epoch, error) ||
		number("ssi", options->ssi, wanted ? NULL : "0", 0xffffffff, &ssi, error))
		return -EINVAL;
	if (options->ssi && !wanted)
		return hk_error_set(error, EINVAL,
			"--ssi '%s': this domain has no SSIs (ssi=yes in --tss, if it has)", options->ssi);
	run->sdi = (__u32)sdi;
	run->an = (unsigned)an;
	run->epoch = (__u16)epoch;
	run->shape.ssi = (__u32)ssi;
	return 0;
}

static int judge_ends(struct run *run, const struct options *options, struct hk_error *error)
{
	bool ip = options->carrier && strcmp(options->carrier, "ip") == 0;

	if (options->carrier && !ip && strcmp(options->carrier, "udp") != 0)
		return hk_error_set(error, EINVAL, "--carrier '%s': must be udp or ip", options->carrier);
	if (!options->from || hk_address_parse(options->from, &run->shape.source))
		return hk_error_set(error, EINVAL, "--from '%s': must be an IPv4 or IPv6 address",
			options->from ? options->from : "");
	if (options->to && hk_address_parse(options->to, &run->shape.destination))
		return hk_error_set(error, EINVAL, "--to '%s': must be an IPv4 or IPv6 address", options->to);
	run->to_all = !options->to;
	if (run->to_all && run->setup.options.mode == HK_TSS_SERVER)
		return hk_error_set(
			error, EINVAL, "--to is missing: in mode server each client has a key of its own");
	if (run->to_all)
		run->shape.destination = run->shape.source; /* of the same IP version */
	run->shape.udp = !ip;
	run->shape.sole_sender = options->sole_sender;
	return 0;
}

static int open_keys(struct run *run, const struct options *options, struct hk_error *error)
{
	const char *state = options->state ? options->state : "/var/lib/halfkey-endpoint";
	struct hk_state_place place = {.directory = state,
		.sender = options->sender ? options->sender : options->from,
		.first_use = options->first_use};
	struct hk_host_keys *keys = NULL;
	int status;

	if (!options->keys)
		return hk_error_set(error, EINVAL, "no key file: name it with --keys");
	status = hk_host_keys_load(&keys, options->keys, error);
	if (!status)
		status = hk_tss_from_keys(
			&run->tss, &run->setup, run->sdi, run->an, keys, options->keys, error);
	hk_host_keys_free(keys);
	if (!status)
		status = hk_tss_nonces_open(&run->nonces, &place, run->tss, &run->shape, run->epoch, error);
	return status;
}

/* A PDS datagram of our sender in a frame. */
struct datagram {
	struct hk_address destination;
	__u16 entropy;
	const __u8 *payload;
	__u32 length;
};

/* Whether the frame holds one that is to be sealed. */
static bool find_pds(const struct run *run, const __u8 *frame, __u32 length, struct datagram *out)
{
	const __u8 *ip = frame + run->link, *udp;
	struct hk_inner_ip inner;
	__u32 total;

	if (length < run->link + 20 ||
		(run->link && hk_get16(frame + 12) != 0x0800 && hk_get16(frame + 12) != 0x86dd))
		return false;
	total = ip[0] >> 4 == 4 ? hk_get16(ip + 2) : length < run->link + 40 ? 0 : hk_get16(ip + 4) + 40u;
	if (total > length - run->link || hk_inner_ip_parse(ip, total, &inner) || inner.fragment ||
		inner.protocol != IPPROTO_UDP || total < inner.header_size + 9u ||
		memcmp(&inner.source, &run->shape.source, 16) != 0)
		return false;
	udp = ip + inner.header_size;
	if (hk_get16(udp + 2) != HK_UDP_PORT_TSS || hk_get16(udp + 4) != total - inner.header_size ||
		udp[8] >> 3 < HK_PDS_TYPE_FIRST || udp[8] >> 3 > HK_PDS_TYPE_LAST)
		return false;
	*out = (struct datagram){.destination = inner.destination,
		.entropy = hk_get16(udp),
		.payload = udp + 8,
		.length = total - inner.header_size - 8};
	return run->to_all || memcmp(&inner.destination, &run->shape.destination, 16) == 0;
}

static int seal_frame(
	void *context, const struct pcap_pkthdr *header, const u_char *frame, struct hk_error *error)
{
	struct run *run = context;
	struct hk_tss_shape shape = run->shape;
	struct pcap_pkthdr sealed = *header;
	struct hk_numbers numbers;
	struct datagram datagram;
	int size, status;

	if (!find_pds(run, frame, header->caplen, &datagram)) {
		pcap_dump((u_char *)run->captures.out, header, frame);
		run->copied++;
		return 0;
	}
	status = hk_nonce_state_next(run->nonces, &numbers);
	if (status)
		return hk_error_set(error, -status,
			"epoch %u has no counters left, or its state cannot be written: take the next epoch",
			run->epoch);
	shape.destination = datagram.destination;
	shape.entropy = datagram.entropy;
	size = hk_tss_seal(run->tss, &shape, run->epoch, numbers.iv, datagram.payload, datagram.length,
		run->frame + run->link, FRAME_MAX);
	if (size < 0) { /* in a capture of sealed traffic nothing of it may stand open */
		run->refused++;
		return 0;
	}
	memcpy(run->frame, frame, run->link);
	sealed.caplen = sealed.len = run->link + (__u32)size;
	pcap_dump((u_char *)run->captures.out, &sealed, run->frame);
	run->sealed++;
	return 0;
}

static int run_all(struct run *run, const struct options *options, struct hk_error *error)
{
	int status = hk_tss_setup_parse(&run->setup, options->tss ? options->tss : "", error);

	if (!status)
		status = judge_numbers(run, options, error);
	if (!status)
		status = judge_ends(run, options, error);
	if (!status)
		status = hk_captures_open(&run->captures, options->in, options->out, true, error);
	run->link = run->captures.link == DLT_EN10MB ? 14 : 0;
	if (!status)
		status = open_keys(run, options, error);
	return status ? status : hk_captures_each(&run->captures, seal_frame, run, error);
}

static void close_all(struct run *run)
{
	hk_nonce_state_close(run->nonces);
	hk_tss_free(run->tss);
	hk_captures_close(&run->captures);
}

int hk_endpoint_seal_tss(int argc, char **argv)
{
	struct options options = {0};
	struct hk_error error = {{0}};
	static struct run run;
	int status = read_options(&options, argc, argv, &error);

	if (status == 1)
		return 0;
	if (!status) {
		status = run_all(&run, &options, &error);
		close_all(&run);
	}
	if (status)
		fprintf(stderr, "halfkey-endpoint seal: %s\n", error.text);
	else
		printf("sealed %lu, copied %lu, refused and left out %lu packets (SDI %u, epoch %u)\n",
			run.sealed, run.copied, run.refused, run.sdi, run.epoch);
	return status ? 1 : 0;
}

bool hk_endpoint_wants_tss(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--envelope=tss") == 0 || strcmp(argv[i], "-etss") == 0 ||
			((strcmp(argv[i], "-e") == 0 || strcmp(argv[i], "--envelope") == 0) && i + 1 < argc &&
				strcmp(argv[i + 1], "tss") == 0))
			return true;
	return false;
}
