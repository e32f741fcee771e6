// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint seal`: seals the packets of a capture, as a host would have
 * sent them. Packets that are not to be sealed are copied as they are; one bad
 * packet never stops the run.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/text.h"
#include "user/endpoint/captures.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/hostkeys.h"
#include "user/endpoint/inner.h"
#include "user/endpoint/nonces.h"

#define FRAME_MAX 65536

static const char help[] =
	"Usage: halfkey-endpoint seal --keys FILE --from ADDRESS --to ADDRESS [OPTION]... IN.pcap OUT.pcap\n"
	"Seals the IP packets of a capture; timestamps are kept. What is not sealed is copied.\n"
	"\n"
	"  -k, --keys FILE        the sending host's key file (mode 0600)\n"
	"      --state DIR        nonce state (default: /var/lib/halfkey-endpoint)\n"
	"      --first-use        this SPI never sealed anything: create its nonce state\n"
	"      --sender NAME      who seals (default: the --from address); an SPI has one sender\n"
	"  -f, --from ADDRESS     outer source\n"
	"  -t, --to ADDRESS       outer destination: the receiver whose keys are used\n"
	"  -m, --match PREFIX     seal only packets whose inner destination it holds (default: all)\n"
	"      --spi NUMBER       SPI (default: the first explicit key for --to)\n"
	"  -e, --envelope NAME    psp (default) or esp; tss has options of its own: --envelope tss --help\n"
	"      --version N        PSP version: 5 (default), 4, 1 or 0\n"
	"      --suite NAME       ESP suite: ctr-hmac (default), gcm-split, cbc-hmac or gcm\n"
	"      --mkid N           ESP: MKID (default: 1)\n"
	"      --carrier NAME     ESP: udp (port 4500, default) or ip (protocol 50)\n"
	"      --transport        transport mode: inner addresses are the outer ones\n"
	"      --crypt-offset N   PSP: 4-byte units sent in the clear behind the IV, 0 to 63\n"
	"      --cookie HEX       PSP: virtualization cookie, 16 hexadecimal digits\n"
	"\n"
	"Example:\n"
	"  halfkey-endpoint seal --first-use -k keys/client.keys -f 192.0.2.1 -t 192.0.2.9 in.pcap "
	"out.pcap\n";

struct seal_options {
	const char *keys, *state, *sender, *from, *to, *match, *spi, *envelope, *version, *suite, *mkid,
		*carrier;
	const char *crypt_offset, *cookie, *in, *out;
	bool first_use, transport;
};

struct run {
	struct hk_sa_name name;
	struct hk_seal_shape shape;
	struct hk_prefix match;
	bool matching; /* --match was given */
	struct hk_sa *sa;
	struct hk_nonce_state *nonces;
	struct hk_captures captures;
	unsigned long sealed, copied, refused;
	__u8 frame[FRAME_MAX + 14];
};

enum {
	OPT_STATE = 256,
	OPT_FIRST_USE,
	OPT_SENDER,
	OPT_SPI,
	OPT_VERSION,
	OPT_SUITE,
	OPT_MKID,
	OPT_CARRIER,
	OPT_TRANSPORT,
	OPT_CRYPT_OFFSET,
	OPT_COOKIE
};

static const struct option long_options[] = {
	{"keys", required_argument, NULL, 'k'},
	{"state", required_argument, NULL, OPT_STATE},
	{"first-use", no_argument, NULL, OPT_FIRST_USE},
	{"sender", required_argument, NULL, OPT_SENDER},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"match", required_argument, NULL, 'm'},
	{"spi", required_argument, NULL, OPT_SPI},
	{"envelope", required_argument, NULL, 'e'},
	{"version", required_argument, NULL, OPT_VERSION},
	{"suite", required_argument, NULL, OPT_SUITE},
	{"mkid", required_argument, NULL, OPT_MKID},
	{"carrier", required_argument, NULL, OPT_CARRIER},
	{"transport", no_argument, NULL, OPT_TRANSPORT},
	{"crypt-offset", required_argument, NULL, OPT_CRYPT_OFFSET},
	{"cookie", required_argument, NULL, OPT_COOKIE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char **place_of(struct seal_options *options, int option)
{
	switch (option) {
	case 'k': return &options->keys;
	case 'f': return &options->from;
	case 't': return &options->to;
	case 'm': return &options->match;
	case 'e': return &options->envelope;
	case OPT_STATE: return &options->state;
	case OPT_SENDER: return &options->sender;
	case OPT_SPI: return &options->spi;
	case OPT_VERSION: return &options->version;
	case OPT_SUITE: return &options->suite;
	case OPT_MKID: return &options->mkid;
	case OPT_CARRIER: return &options->carrier;
	case OPT_CRYPT_OFFSET: return &options->crypt_offset;
	case OPT_COOKIE: return &options->cookie;
	default: return NULL;
	}
}

/* 0, 1 when help was printed, or negative errno and a sentence. */
static int read_options(struct seal_options *options, int argc, char **argv, struct hk_error *error)
{
	int option;

	while ((option = getopt_long(argc, argv, ":k:f:t:m:e:h", long_options, NULL)) != -1) {
		const char **place = place_of(options, option);

		if (place) {
			*place = optarg;
		} else if (option == OPT_FIRST_USE) {
			options->first_use = true;
		} else if (option == OPT_TRANSPORT) {
			options->transport = true;
		} else if (option == 'h') {
			fputs(help, stdout);
			return 1;
		} else {
			return hk_error_set(error, EINVAL,
				"%s: unknown option, or without its value: see --help", argv[optind - 1]);
		}
	}
	if (argc - optind != 2)
		return hk_error_set(error, EINVAL,
			"%d files named: name one capture to read and one to write", argc - optind);
	options->in = argv[optind];
	options->out = argv[optind + 1];
	return 0;
}

static int number(
	const char *what, const char *text, __u64 otherwise, __u64 max, __u64 *out, struct hk_error *error)
{
	*out = otherwise;
	if (text && hk_number_parse(text, max, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from 0 to %llu", what, text,
			(unsigned long long)max);
	return 0;
}

static int judge_variant(struct run *run, const struct seal_options *options, struct hk_error *error)
{
	int envelope = options->envelope ? hk_envelope_by_name(options->envelope) : HK_ENVELOPE_PSP;
	int suite = options->suite ? hk_suite_by_name(options->suite) : HK_SUITE_CTR_HMAC;
	__u64 version, mkid;

	if (envelope != HK_ENVELOPE_PSP && envelope != HK_ENVELOPE_ESP)
		return hk_error_set(error, EINVAL, "envelope '%s': must be psp or esp", options->envelope);
	if (number("version", options->version, HK_PSP_SPLIT_256, 15, &version, error) ||
		number("mkid", options->mkid, 1, 65535, &mkid, error))
		return -EINVAL;
	run->name.envelope = (__u8)envelope;
	run->name.mkid = (__u16)mkid;
	if (envelope == HK_ENVELOPE_ESP && suite <= 0)
		return hk_error_set(error, EINVAL, "suite '%s': must be ctr-hmac, gcm-split, cbc-hmac or gcm",
			options->suite);
	run->name.variant = envelope == HK_ENVELOPE_PSP ? (__u8)version : (__u8)suite;
	if (!hk_sa_profile(run->name.envelope, run->name.variant))
		return hk_error_set(error, EINVAL, "version '%s': must be 0, 1, 4 or 5", options->version);
	return 0;
}

static int judge_addresses(struct run *run, const struct seal_options *options, struct hk_error *error)
{
	if (!options->to || hk_address_parse(options->to, &run->name.receiver))
		return hk_error_set(error, EINVAL, "--to '%s': must be an IPv4 or IPv6 address",
			options->to ? options->to : "");
	if (!options->from || hk_address_parse(options->from, &run->shape.source))
		return hk_error_set(error, EINVAL, "--from '%s': must be an IPv4 or IPv6 address",
			options->from ? options->from : "");
	if (hk_address_is_v4(&run->shape.source) != hk_address_is_v4(&run->name.receiver))
		return hk_error_set(error, EINVAL, "--from '%s': not of the same IP version as --to '%s'",
			options->from, options->to);
	if (options->match && hk_prefix_parse(options->match, &run->match))
		return hk_error_set(
			error, EINVAL, "--match '%s': must be an address or a prefix", options->match);
	run->matching = options->match;
	return 0;
}

static int judge_shape(struct run *run, const struct seal_options *options, struct hk_error *error)
{
	bool ip = options->carrier && strcmp(options->carrier, "ip") == 0;
	__u64 offset;

	if (options->carrier && !ip && strcmp(options->carrier, "udp") != 0)
		return hk_error_set(error, EINVAL, "carrier '%s': must be udp or ip", options->carrier);
	if (number("crypt-offset", options->crypt_offset, 0, HK_CRYPT_OFFSET_MAX, &offset, error))
		return -EINVAL;
	run->shape.udp = !ip;
	run->shape.transport = options->transport;
	run->shape.crypt_offset = (__u8)offset;
	run->shape.cookie = options->cookie;
	if (!options->cookie)
		return 0;
	if (hk_hex_parse(options->cookie, strlen(options->cookie), run->shape.cookie_bytes, 8))
		return hk_error_set(
			error, EINVAL, "cookie '%s': must be 16 hexadecimal digits", options->cookie);
	if (!options->crypt_offset)
		run->shape.crypt_offset = 2; /* the cookie itself stays readable */
	if (run->shape.crypt_offset < 2)
		return hk_error_set(error, EINVAL, "crypt-offset '%s': with a cookie it is at least 2",
			options->crypt_offset);
	return 0;
}

static int choose_spi(struct run *run, const struct hk_host_keys *keys, const struct seal_options *options,
	struct hk_error *error)
{
	__u64 spi;

	if (number("spi", options->spi, 0, 0xffffffff, &spi, error))
		return -EINVAL;
	run->name.spi = (__u32)spi;
	if (options->spi)
		return 0;
	if (hk_host_keys_spis(
		    keys, run->name.envelope, run->name.variant, &run->name.receiver, &run->name.spi, 1))
		return 0;
	return hk_error_set(error, ENOKEY,
		"%s: no explicit key to send to %s: with its master keys in the file, name an SPI with --spi",
		options->keys, options->to);
}

static int open_keys(struct run *run, const struct seal_options *options, struct hk_error *error)
{
	struct hk_crypto *crypto = hk_crypto_new("libcrypto");
	struct hk_host_keys *keys = NULL;
	unsigned refusal;
	int status;

	if (!crypto)
		return hk_error_set(error, ENOMEM, "the crypto library does not start");
	if (!options->keys)
		status = hk_error_set(error, EINVAL, "no key file: name it with --keys");
	else
		status = hk_host_keys_load(&keys, options->keys, error);
	if (!status)
		status = choose_spi(run, keys, options, error);
	if (!status) {
		refusal = hk_host_keys_sa(keys, crypto, &run->name, &run->sa);
		if (refusal)
			status = hk_error_set(error, ENOKEY, "%s: no key to send to %s with SPI 0x%08x: %s",
				options->keys, options->to, run->name.spi, hk_refusal_text(refusal));
	}
	hk_host_keys_free(keys);
	hk_crypto_free(crypto);
	return status;
}

/* Finds the IP packet of a frame, without Ethernet padding. NULL: none. */
static const __u8 *find_ip(const struct run *run, const __u8 *frame, __u32 length, __u32 *ip_length)
{
	__u32 link = run->captures.link == DLT_EN10MB ? 14 : 0, total;
	const __u8 *ip = frame + link;

	if (length < link + 20)
		return NULL;
	if (link && hk_get16(frame + 12) != 0x0800 && hk_get16(frame + 12) != 0x86dd)
		return NULL;
	if (ip[0] >> 4 == 4)
		total = hk_get16(ip + 2);
	else if (ip[0] >> 4 == 6 && length >= link + 40)
		total = hk_get16(ip + 4) + 40u;
	else
		return NULL;
	*ip_length = total;
	return total <= length - link ? ip : NULL;
}

static bool wanted(const struct run *run, const __u8 *ip, __u32 length)
{
	struct hk_inner_ip inner;

	return !hk_inner_ip_parse(ip, length, &inner) &&
	       (!run->matching || hk_prefix_holds(&run->match, &inner.destination)) &&
	       (!run->shape.transport || memcmp(&inner.destination, &run->name.receiver, 16) == 0);
}

static void copy_frame(struct run *run, const struct pcap_pkthdr *header, const __u8 *frame)
{
	pcap_dump((u_char *)run->captures.out, header, frame);
	run->copied++;
}

static int seal_frame(
	void *context, const struct pcap_pkthdr *header, const u_char *frame, struct hk_error *error)
{
	struct run *run = context;
	__u32 link = run->captures.link == DLT_EN10MB ? 14 : 0, length = 0;
	const __u8 *ip = find_ip(run, frame, header->caplen, &length);
	struct pcap_pkthdr sealed = *header;
	struct hk_numbers numbers;
	int size, status;

	if (!ip || !wanted(run, ip, length)) {
		copy_frame(run, header, frame);
		return 0;
	}
	status = hk_nonce_state_next(run->nonces, &numbers);
	if (status)
		return hk_error_set(error, -status,
			"SPI 0x%08x has no numbers left, or its state cannot be written", run->name.spi);
	size = hk_seal_packet(run->sa, &run->shape, &numbers, ip, length, run->frame + link, FRAME_MAX);
	if (size < 0) { /* in a capture of sealed traffic nothing of it may stand open */
		run->refused++;
		return 0;
	}
	memcpy(run->frame, frame, link);
	if (link)
		hk_put16(run->frame + 12, hk_address_is_v4(&run->name.receiver) ? 0x0800 : 0x86dd);
	sealed.caplen = sealed.len = link + (__u32)size;
	pcap_dump((u_char *)run->captures.out, &sealed, run->frame);
	run->sealed++;
	return 0;
}

static int run_all(struct run *run, const struct seal_options *options, struct hk_error *error)
{
	const char *state = options->state ? options->state : "/var/lib/halfkey-endpoint";
	int status = judge_variant(run, options, error);

	if (!status)
		status = judge_addresses(run, options, error);
	if (!status)
		status = judge_shape(run, options, error);
	if (!status)
		status = open_keys(run, options, error);
	if (!status)
		status = hk_captures_open(&run->captures, options->in, options->out, true, error);
	if (!status)
		status = hk_nonce_state_open(&run->nonces, state, run->sa,
			options->sender ? options->sender : options->from, options->first_use, error);
	return status ? status : hk_captures_each(&run->captures, seal_frame, run, error);
}

static void close_all(struct run *run)
{
	hk_nonce_state_close(run->nonces);
	hk_sa_free(run->sa);
	hk_captures_close(&run->captures);
}

int hk_endpoint_seal(int argc, char **argv)
{
	struct seal_options options = {0};
	struct hk_error error = {{0}};
	static struct run run;
	int status;

	if (hk_endpoint_wants_tss(argc, argv))
		return hk_endpoint_seal_tss(argc, argv);
	status = read_options(&options, argc, argv, &error);

	if (status == 1)
		return 0;
	if (!status) {
		status = run_all(&run, &options, &error);
		close_all(&run);
	}
	if (status)
		fprintf(stderr, "halfkey-endpoint seal: %s\n", error.text);
	else
		printf("sealed %lu, copied %lu, refused and left out %lu packets (SPI 0x%08x)\n", run.sealed,
			run.copied, run.refused, run.name.spi);
	return status ? 1 : 0;
}
