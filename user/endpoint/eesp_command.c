// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint eesp`: seals the IP packets of a capture in EESP or WESP and
 * opens such a capture again. A context gets a new epoch each run,
 * a sub-SA goes on with numbers that its state file reserved.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/endpoint/captures.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/epoch.h"
#include "user/endpoint/nonces.h"
#include "user/endpoint/sa.h"
#include "user/endpoint/seal_eesp.h"
#include "user/keys/keyfile.h"

#define FRAME_MAX 65550

static const char help[] =
	"Usage: halfkey-endpoint eesp -k FILE --state DIR -f ADDRESS -t ADDRESS [OPTION]... IN.pcap "
	"OUT.pcap\n"
	"       halfkey-endpoint eesp -k FILE -t ADDRESS [OPTION]... --open IN.pcap OUT.pcap\n"
	"Seals the IP packets of a capture in EESP or WESP; with --open verifies and opens them.\n"
	"\n"
	"  -e, --envelope NAME    eesp (default) or wesp\n"
	"  -k, --keys FILE        an end host's key file (mode 0600)\n"
	"      --state DIR        where epochs and numbers are kept\n"
	"      --first-use        this context or SPI never sealed anything\n"
	"      --sub-sa           keys of an SA's sub-SAs, not of a derived-key context (eesp)\n"
	"  -f, --from ADDRESS     outer source\n"
	"  -t, --to ADDRESS       outer destination: the receiver\n"
	"      --spi N            (default: 256)\n"
	"      --session N        session ID of the sub-SA (default: 0)\n"
	"      --mkid N           number of the master key, 32 bits (default: 1)\n"
	"      --context N        ContextID: one sender's, one direction's (default: 1)\n"
	"      --reader           with a reader tag (split)\n"
	"      --protocol N       IP protocol instead of UDP 4500 (wesp: 141)\n"
	"      --transport        transport mode (eesp: the full format)\n"
	"      --crypt-offset N   4-byte units that stay readable (eesp)\n"
	"      --open             open instead of seal; exit status 1 when a packet was refused\n"
	"\n"
	"Example:\n"
	"  halfkey-endpoint keygen -e eesp -o keys --peer client=192.0.2.1 --peer server=192.0.2.9\n"
	"  halfkey-endpoint eesp -k keys/client.keys --state st --first-use -f 192.0.2.1 -t 192.0.2.9 \\\n"
	"    in.pcap out.pcap\n";

struct options {
	const char *envelope, *keys, *state, *from, *to, *in, *out;
	__u64 spi, session, mkid, context, protocol, crypt_offset;
	bool first_use, sub_sa, reader, transport, open;
};

/* The host's half of the work: master keys of one MKID, or the roots of one SPI. */
struct key_set {
	__u8 keys[5][32]; /* by enum hk_side */
	bool have[5];
	__u32 generation[5];
	__u8 slot;
};

struct run {
	struct options options;
	struct key_set set;
	struct hk_eesp_name name;
	struct hk_eesp_keys keys;
	struct hk_eesp_shape shape;
	struct hk_crypto *crypto;
	struct hk_eesp *sa;
	struct hk_eesp_host *host;
	struct hk_nonce_state *nonces;
	struct hk_epochs *epochs;
	__u64 number;
	struct hk_captures captures;
	unsigned long done, copied, refused;
	__u8 frame[FRAME_MAX + 64], plain[HK_OPEN_ROOM(FRAME_MAX)];
};

enum {
	OPT_STATE = 256,
	OPT_FIRST_USE,
	OPT_SUB_SA,
	OPT_SPI,
	OPT_SESSION,
	OPT_MKID,
	OPT_CONTEXT,
	OPT_READER,
	OPT_PROTOCOL,
	OPT_TRANSPORT,
	OPT_CRYPT_OFFSET,
	OPT_OPEN
};

static const struct option long_options[] = {
	{"envelope", required_argument, NULL, 'e'},
	{"keys", required_argument, NULL, 'k'},
	{"state", required_argument, NULL, OPT_STATE},
	{"first-use", no_argument, NULL, OPT_FIRST_USE},
	{"sub-sa", no_argument, NULL, OPT_SUB_SA},
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"spi", required_argument, NULL, OPT_SPI},
	{"session", required_argument, NULL, OPT_SESSION},
	{"mkid", required_argument, NULL, OPT_MKID},
	{"context", required_argument, NULL, OPT_CONTEXT},
	{"reader", no_argument, NULL, OPT_READER},
	{"protocol", required_argument, NULL, OPT_PROTOCOL},
	{"transport", no_argument, NULL, OPT_TRANSPORT},
	{"crypt-offset", required_argument, NULL, OPT_CRYPT_OFFSET},
	{"open", no_argument, NULL, OPT_OPEN},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int number(const char *what, __u64 max, __u64 *out, struct hk_error *error)
{
	if (hk_number_parse(optarg, max, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from 0 to %llu", what, optarg,
			(unsigned long long)max);
	return 0;
}

static int take_option(struct options *options, int option, char **argv, struct hk_error *error)
{
	switch (option) {
	case 'e': options->envelope = optarg; return 0;
	case 'k': options->keys = optarg; return 0;
	case OPT_STATE: options->state = optarg; return 0;
	case 'f': options->from = optarg; return 0;
	case 't': options->to = optarg; return 0;
	case OPT_FIRST_USE: options->first_use = true; return 0;
	case OPT_SUB_SA: options->sub_sa = true; return 0;
	case OPT_READER: options->reader = true; return 0;
	case OPT_TRANSPORT: options->transport = true; return 0;
	case OPT_OPEN: options->open = true; return 0;
	case OPT_SPI: return number("spi", 0xffffffff, &options->spi, error);
	case OPT_SESSION: return number("session", 0xffff, &options->session, error);
	case OPT_MKID: return number("mkid", 0xffffffff, &options->mkid, error);
	case OPT_CONTEXT: return number("context", ~0ull, &options->context, error);
	case OPT_PROTOCOL: return number("protocol", 255, &options->protocol, error);
	case OPT_CRYPT_OFFSET: return number("crypt-offset", 63, &options->crypt_offset, error);
	case 'h': fputs(help, stdout); return 1;
	default:
		return hk_error_set(error, EINVAL, "%s: unknown option, or without its value: see --help",
			argv[optind - 1]);
	}
}

/* --- keys --- */

static int take_key(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct run *run = context;
	struct key_set *set = &run->set;
	bool root = line->form == HK_KEY_ROOT;

	(void)error;
	if (root ? !run->options.sub_sa || line->spi != run->options.spi
		 : run->options.sub_sa || line->is_explicit ||
				(line->has_id ? line->id : 0) != run->options.mkid)
		return 0;
	if (line->side > HK_SIDE_READER ||
		(set->have[line->side] && line->generation < set->generation[line->side]))
		return 0;
	set->have[line->side] = true;
	set->generation[line->side] = line->generation;
	set->slot = line->slot;
	memcpy(set->keys[line->side], line->key, 32);
	return 0;
}

static int choose_keys(struct run *run, struct hk_error *error)
{
	struct key_set *set = &run->set;
	bool split = set->have[HK_SIDE_ENC] && set->have[HK_SIDE_AUTH];

	if (!split && (!set->have[HK_SIDE_SINGLE] || set->have[HK_SIDE_ENC]))
		return hk_error_set(error, ENOKEY,
			"%s: no %s of which an end host holds both sides (is this the box's file?)",
			run->options.keys,
			run->options.sub_sa ? "root= of this SPI" : "master key with this id=");
	run->name.split = split;
	run->name.slot = set->slot;
	run->keys.enc = set->keys[split ? HK_SIDE_ENC : HK_SIDE_SINGLE];
	run->keys.auth = split ? set->keys[HK_SIDE_AUTH] : NULL;
	run->keys.reader = set->have[HK_SIDE_READER] ? set->keys[HK_SIDE_READER] : NULL;
	return 0;
}

static int load_keys(struct run *run, struct hk_error *error)
{
	const char *path = run->options.keys;
	struct hk_files files = {0};
	size_t size = 0;
	char *text;
	int status;

	if (!path)
		return hk_error_set(error, EINVAL, "no key file: name it with --keys");
	status = hk_files_open(&files, HK_FILE_KEYS, ".", path, error);
	if (status)
		return status;
	text = hk_files_read(&files, path, 1u << 20, &size, error);
	hk_files_close(&files);
	if (!text)
		return -EINVAL;
	status = hk_keyfile_read(path, text, error, take_key, run);
	hk_wipe(text, size);
	free(text);
	return status ? status : choose_keys(run, error);
}

/* --- what is sealed, and how --- */

static int judge(struct run *run, struct hk_error *error)
{
	const struct options *options = &run->options;
	struct hk_eesp_shape *shape = &run->shape;
	bool wesp = options->envelope && strcmp(options->envelope, "wesp") == 0;

	if (options->envelope && !wesp && strcmp(options->envelope, "eesp") != 0)
		return hk_error_set(error, EINVAL, "envelope '%s': must be eesp or wesp", options->envelope);
	if (!options->to || hk_address_parse(options->to, &shape->destination))
		return hk_error_set(
			error, EINVAL, "--to '%s': must be an address", options->to ? options->to : "");
	if (!options->open && (!options->from || hk_address_parse(options->from, &shape->source)))
		return hk_error_set(
			error, EINVAL, "--from '%s': must be an address", options->from ? options->from : "");
	run->name = (struct hk_eesp_name){.envelope = wesp ? HK_ENVELOPE_WESP : HK_ENVELOPE_EESP,
		.derived = !options->sub_sa,
		.reader = options->reader,
		.transport = options->transport,
		.sn = !wesp,
		.iv = true,
		.session = (__u16)options->session,
		.spi = (__u32)options->spi,
		.mkid = options->sub_sa ? 0 : (__u32)options->mkid,
		.context = options->sub_sa ? 0 : options->context};
	shape->protocol = options->protocol ? (__u8)options->protocol : 17;
	shape->crypt_offset = (__u8)options->crypt_offset;
	shape->offset_size = options->crypt_offset ? 2 : 0;
	shape->pad = !hk_address_is_v4(&shape->destination);
	return 0;
}

/* The nonce state is filed under the root and the sub-SA; an SA of its own is not needed for that. */
static int open_numbers(struct run *run, const struct hk_state_place *place, struct hk_error *error)
{
	static const __u8 label[32] = "halfkey nonce state fingerprint";
	struct hk_sa named = {.name = {.envelope = HK_ENVELOPE_EESP, .spi = run->name.spi}};
	__u8 bytes[34];
	int status;

	memcpy(bytes, run->keys.enc, 32);
	hk_put16(bytes + 32, run->name.session);
	hk_crypto_fingerprint(label, bytes, sizeof(bytes), named.fingerprint);
	status = hk_nonce_state_open(&run->nonces, place, &named, error);
	hk_wipe(bytes, sizeof(bytes));
	return status;
}

static int start_sealing(struct run *run, struct hk_error *error)
{
	const struct options *options = &run->options;
	struct hk_state_place place = {
		.directory = options->state, .sender = options->from, .first_use = options->first_use};
	int status;

	if (!options->state)
		return hk_error_set(error, EINVAL, "no state directory: name it with --state");
	if (run->name.derived)
		status = hk_epochs_open(&run->epochs, &place, run->name.mkid, run->name.context, error);
	else
		status = open_numbers(run, &place, error);
	if (!status && run->epochs)
		status = hk_epoch_next(run->epochs, &run->name.epoch, error);
	return status ? status : hk_eesp_new(&run->sa, run->crypto, &run->name, &run->keys, error);
}

static int start_opening(struct run *run, struct hk_error *error)
{
	struct hk_eesp_policy policy = {.local = run->shape.destination,
		.envelope = run->name.envelope,
		.protocol = (__u8)run->options.protocol,
		.derived = run->name.derived,
		.split = run->name.split,
		.sn = true,
		.iv = true,
		.spi = run->name.spi,
		.mkid = run->name.mkid,
		.slot = run->name.slot};

	run->host = hk_eesp_host_new(&policy, &run->keys);
	return run->host ? 0 : hk_error_set(error, ENOMEM, "no memory for the receiving host");
}

/* --- captures --- */

static int next_numbers(struct run *run, struct hk_eesp_numbers *out)
{
	struct hk_numbers numbers;

	if (!run->nonces) {
		out->sn = out->iv = ++run->number;
		return run->name.envelope == HK_ENVELOPE_WESP && out->sn > 0xffffffff ? -EOVERFLOW : 0;
	}
	if (hk_nonce_state_next(run->nonces, &numbers))
		return -EOVERFLOW;
	out->iv = numbers.iv;
	out->sn = ++run->number ? numbers.iv : 0; /* as high as the IV, so that it never falls */
	return 0;
}

/* The IP packet's own length; 0: none. */
static __u32 ip_length(const __u8 *frame, __u32 length)
{
	__u32 total = 0;

	if (length >= 14 + 20 && hk_get16(frame + 12) == 0x0800)
		total = hk_get16(frame + 16);
	else if (length >= 14 + 40 && hk_get16(frame + 12) == 0x86dd)
		total = hk_get16(frame + 18) + 40u;
	return total <= length - 14 ? total : 0;
}

static void write_packet(
	struct run *run, const struct pcap_pkthdr *header, const __u8 *frame, const __u8 *packet, __u32 size)
{
	struct pcap_pkthdr out = *header;

	memmove(run->frame + 14, packet, size);
	memcpy(run->frame, frame, 12);
	hk_put16(run->frame + 12, packet[0] >> 4 == 4 ? 0x0800 : 0x86dd);
	out.caplen = out.len = 14 + size;
	pcap_dump((u_char *)run->captures.out, &out, run->frame);
	run->done++;
}

static void convert(struct run *run, const struct pcap_pkthdr *header, const __u8 *frame)
{
	__u32 length = ip_length(frame, header->caplen);
	struct hk_eesp_numbers numbers;
	struct hk_opened opened;
	struct hk_sealed sealed;
	int size;

	if (!length) {
		pcap_dump((u_char *)run->captures.out, header, frame);
		run->copied++;
		return;
	}
	if (run->options.open) {
		if (length > FRAME_MAX || hk_sealed_outer(frame + 14, length, &sealed) ||
			hk_eesp_host_open(run->host, &sealed, run->plain, &opened))
			run->refused++;
		else
			write_packet(run, header, frame, opened.inner, opened.length);
		return;
	}
	size = next_numbers(run, &numbers) ? -EOVERFLOW
					   : hk_eesp_seal(run->sa, &run->shape, &numbers, frame + 14, length,
						     run->plain, FRAME_MAX - 14);
	if (size < 0) /* nothing of it stands open in what is written */
		run->refused++;
	else
		write_packet(run, header, frame, run->plain, (__u32)size);
}

static int take_frame(
	void *context, const struct pcap_pkthdr *header, const u_char *frame, struct hk_error *error)
{
	(void)error; /* a frame that cannot be turned is counted, and no error */
	convert(context, header, frame);
	return 0;
}

static int run_all(struct run *run, struct hk_error *error)
{
	int status = judge(run, error);

	run->crypto = hk_crypto_new("libcrypto");
	if (!status && !run->crypto)
		status = hk_error_set(error, ENOMEM, "the crypto library does not start");
	if (!status)
		status = load_keys(run, error);
	if (!status)
		status = run->options.open ? start_opening(run, error) : start_sealing(run, error);
	if (!status)
		status = hk_captures_open(&run->captures, run->options.in, run->options.out, false, error);
	if (!status)
		status = hk_captures_each(&run->captures, take_frame, run, error);
	if (!status)
		printf("%s %lu, copied %lu, refused %lu\n", run->options.open ? "opened" : "sealed",
			run->done, run->copied, run->refused);
	return status ? status : run->options.open && run->refused ? -EBADMSG : 0;
}

static void close_all(struct run *run)
{
	hk_eesp_free(run->sa);
	hk_eesp_host_free(run->host);
	hk_nonce_state_close(run->nonces);
	hk_crypto_free(run->crypto);
	hk_epochs_close(run->epochs, false);
	hk_captures_close(&run->captures);
	hk_wipe(run, sizeof(*run));
}

int hk_endpoint_eesp(int argc, char **argv)
{
	static struct run run = {.options = {.mkid = 1, .context = 1, .spi = 256}};
	struct options *options = &run.options;
	struct hk_error error = {{0}};
	int status = 0, option;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	while (!status && (option = getopt_long(argc, argv, ":e:k:f:t:h", long_options, NULL)) != -1)
		status = take_option(options, option, argv, &error);
	if (status == 1)
		return 0;
	if (!status && argc - optind != 2)
		status = hk_error_set(&error, EINVAL,
			"%d files named: name one capture to read and one to write", argc - optind);
	if (!status) {
		options->in = argv[optind];
		options->out = argv[optind + 1];
		status = run_all(&run, &error);
	}
	close_all(&run);
	if (status && error.text[0])
		fprintf(stderr, "halfkey-endpoint eesp: %s\n", error.text);
	return status ? 1 : 0;
}
