// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint dtls`: seals the UDP payloads of a capture into DTLS records
 * and opens such a capture again. It speaks the
 * record layer alone; each run seals in contexts of its own, drawn at random,
 * so no nonce state outlives it.
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
#include "user/endpoint/inner.h"
#include "user/endpoint/seal_dtls.h"
#include "user/keys/keyfile.h"

#define FRAME_MAX 65550
#define READERS	  64 /* contexts that one run opens */

static const char help[] =
	"Usage: halfkey-endpoint dtls --keys FILE [OPTION]... IN.pcap OUT.pcap\n"
	"       halfkey-endpoint dtls --keys FILE --open IN.pcap OUT.pcap\n"
	"Seals the UDP payloads to and from a port as DTLS 1.2 records with a connection id that\n"
	"carries the key context; with --open verifies and opens them. The rest is copied.\n"
	"\n"
	"  -k, --keys FILE        an end host's key file (mode 0600)\n"
	"      --mkid N           number of the master key, 0 to 65535 (default: 1)\n"
	"      --port N           UDP port of the servers (default: 4433)\n"
	"      --records N        records a datagram is cut into, 1 to 16 (default: 1)\n"
	"      --padding N        zeros behind each record's content (default: 0)\n"
	"      --open             open instead of seal; exit status 1 when a record was refused\n"
	"\n"
	"Example:\n"
	"  halfkey-endpoint keygen -e dtls -o keys --peer client=192.0.2.1 --peer server=192.0.2.9\n"
	"  halfkey-endpoint dtls -k keys/client.keys in.pcap out.pcap\n";

struct options {
	const char *keys, *in, *out;
	__u64 mkid, port, records, padding;
	bool open;
};

/* The master key of one MKID, highest generation. */
struct keys {
	__u32 mkid;
	bool enc, auth, single;
	__u32 generation[2];
	struct hk_kdf_key sides[2]; /* enc or single; auth */
};

struct run {
	struct options options;
	struct hk_crypto *crypto;
	struct keys keys;
	struct hk_dtls *writers[2]; /* client, server */
	struct hk_dtls *readers[READERS];
	struct hk_dtls_name names[READERS];
	unsigned readers_count;
	struct hk_captures captures;
	unsigned long done, copied, refused;
	__u8 frame[FRAME_MAX], payload[FRAME_MAX];
};

enum { OPT_MKID = 256, OPT_PORT, OPT_RECORDS, OPT_PADDING, OPT_OPEN };

static const struct option long_options[] = {
	{"keys", required_argument, NULL, 'k'},
	{"mkid", required_argument, NULL, OPT_MKID},
	{"port", required_argument, NULL, OPT_PORT},
	{"records", required_argument, NULL, OPT_RECORDS},
	{"padding", required_argument, NULL, OPT_PADDING},
	{"open", no_argument, NULL, OPT_OPEN},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int number(const char *what, __u64 min, __u64 max, __u64 *out, struct hk_error *error)
{
	if (hk_number_parse(optarg, max, out) || *out < min)
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from %llu to %llu", what,
			optarg, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

static int take_option(struct options *options, int option, char **argv, struct hk_error *error)
{
	switch (option) {
	case 'k': options->keys = optarg; return 0;
	case OPT_MKID: return number("mkid", 0, 65535, &options->mkid, error);
	case OPT_PORT: return number("port", 1, 65535, &options->port, error);
	case OPT_RECORDS: return number("records", 1, 16, &options->records, error);
	case OPT_PADDING: return number("padding", 0, 1024, &options->padding, error);
	case OPT_OPEN: options->open = true; return 0;
	case 'h': fputs(help, stdout); return 1;
	default:
		return hk_error_set(error, EINVAL, "%s: unknown option, or without its value: see --help",
			argv[optind - 1]);
	}
}

/* --- keys --- */

static int take_key(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct keys *keys = context;
	unsigned side = line->side == HK_SIDE_AUTH;
	bool *have = side ? &keys->auth : &keys->enc;

	(void)error;
	if (line->is_explicit || line->slot || (line->has_id ? line->id : 0) != keys->mkid ||
		(*have && line->generation <= keys->generation[side]))
		return 0;
	*have = true;
	keys->generation[side] = line->generation;
	if (!side)
		keys->single = line->side == HK_SIDE_SINGLE;
	return hk_kdf_key_init(&keys->sides[side], line->key);
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
	run->keys.mkid = (__u32)run->options.mkid;
	status = hk_keyfile_read(path, text, error, take_key, &run->keys);
	hk_wipe(text, size);
	free(text);
	if (!status && (!run->keys.enc || run->keys.single == run->keys.auth))
		status = hk_error_set(error, ENOKEY,
			"%s: no master key with id=%u of which an end host holds both sides (is this the "
			"box's "
			"file?)",
			path, run->keys.mkid);
	return status;
}

/* --- captures --- */

static int make_context(
	struct run *run, const struct hk_dtls_name *name, struct hk_dtls **out, struct hk_error *error)
{
	return hk_dtls_new(out, run->crypto, name, &run->keys.sides[0],
		run->keys.single ? NULL : &run->keys.sides[1], error);
}

static int make_writers(struct run *run, struct hk_error *error)
{
	struct hk_dtls_name name = {.mkid = (__u16)run->options.mkid, .epoch = 1, .split = !run->keys.single};
	int status = 0;
	unsigned i;

	for (i = 0; i < 2 && !status; i++) {
		name.server = i;
		if (hk_dtls_draw_context(&name.context))
			return hk_error_set(error, EIO, "the system gives no random numbers");
		status = make_context(run, &name, &run->writers[i], error);
	}
	return status;
}

/* A UDP datagram of an Ethernet frame; NULL: none. */
static const __u8 *find_udp(const __u8 *frame, __u32 length, struct hk_inner_ip *ip, __u32 *udp_length)
{
	__u32 total;

	if (length < 14 + 20 || (hk_get16(frame + 12) != 0x0800 && hk_get16(frame + 12) != 0x86dd))
		return NULL;
	total = hk_get16(frame + 12) == 0x0800 ? hk_get16(frame + 16) : hk_get16(frame + 18) + 40u;
	if (total > length - 14 || hk_inner_ip_parse(frame + 14, total, ip) || ip->fragment ||
		ip->protocol != 17 || total < ip->header_size + 8u)
		return NULL;
	*udp_length = total - ip->header_size;
	return frame + 14 + ip->header_size;
}

/* The payload in `run->payload` as records: their size, or negative errno. */
static int seal_payload(struct run *run, bool server, const __u8 *data, __u32 length)
{
	unsigned records = (unsigned)run->options.records, i;
	__u32 at = 0, done = 0, size;
	int sealed;

	for (i = 0; i < records; i++) {
		size = (length - done) / (records - i);
		sealed = hk_dtls_seal(run->writers[server], 23, data + done, size,
			(__u32)run->options.padding, run->payload + at, FRAME_MAX - 100 - at);
		if (sealed < 0)
			return sealed;
		at += (__u32)sealed;
		done += size;
	}
	return (int)at;
}

static bool same_name(const struct hk_dtls_name *a, const struct hk_dtls_name *b)
{
	return a->context == b->context && a->mkid == b->mkid && a->epoch == b->epoch &&
	       a->server == b->server && a->split == b->split;
}

static struct hk_dtls *reader_for(struct run *run, const struct hk_dtls_name *name)
{
	unsigned i;

	for (i = 0; i < run->readers_count; i++)
		if (same_name(&run->names[i], name))
			return run->readers[i];
	if (i == READERS || name->mkid != run->options.mkid || name->split == run->keys.single ||
		make_context(run, name, &run->readers[i], NULL))
		return NULL;
	run->names[i] = *name;
	return run->readers[run->readers_count++];
}

/* All of a datagram's data, or a negative refusal. */
static int open_payload(struct run *run, const __u8 *data, __u32 length)
{
	struct hk_dtls_opened opened;
	struct hk_dtls_name name;
	struct hk_dtls *reader;
	__u32 at, done = 0;
	unsigned refusal;

	for (at = 0; at < length; at += opened.size) {
		refusal = hk_dtls_read_name(data + at, length - at, &name);
		reader = refusal ? NULL : reader_for(run, &name);
		if (!reader)
			return -1;
		refusal = hk_dtls_open(reader, data + at, length - at, run->payload + done, &opened);
		if (refusal)
			return -1;
		if (opened.type == 23)
			done += opened.length;
	}
	return (int)done;
}

static void copy_frame(struct run *run, const struct pcap_pkthdr *header, const __u8 *frame)
{
	pcap_dump((u_char *)run->captures.out, header, frame);
	run->copied++;
}

/* UDP's checksum over IPv6 is not optional. */
static void put_checksum(__u8 *packet, const struct hk_inner_ip *ip)
{
	__u32 addresses = ip->version == 4 ? 8 : 32, header = ip->version == 4 ? 20 : 40, i;
	__u8 *udp = packet + header;
	__u32 length = hk_get16(udp + 4), sum = 17 + length;

	for (i = 0; i < addresses; i += 2)
		sum += hk_get16(udp - addresses + i);
	for (i = 0; i < length; i++)
		sum += i & 1 ? udp[i] : (__u32)udp[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	hk_put16(udp + 6, sum == 0xffff ? 0xffff : (__u16)~sum);
}

static void write_frame(struct run *run, const struct pcap_pkthdr *header, const __u8 *frame,
	const struct hk_inner_ip *ip, const __u8 *udp, __u32 size)
{
	struct pcap_pkthdr out = *header;
	int length = hk_outer_build(&ip->source, &ip->destination, 17, hk_get16(udp), hk_get16(udp + 2),
		run->payload, size, run->frame + 14, FRAME_MAX - 14);

	if (length < 0) {
		run->refused++;
		return;
	}
	put_checksum(run->frame + 14, ip);
	memcpy(run->frame, frame, 14);
	out.caplen = out.len = 14 + (__u32)length;
	pcap_dump((u_char *)run->captures.out, &out, run->frame);
	run->done++;
}

static void convert(struct run *run, const struct pcap_pkthdr *header, const __u8 *frame)
{
	__u32 length = 0;
	struct hk_inner_ip ip;
	const __u8 *udp = find_udp(frame, header->caplen, &ip, &length);
	bool server;
	int size;

	if (!udp || hk_get16(udp + 4) != length ||
		(hk_get16(udp) != run->options.port && hk_get16(udp + 2) != run->options.port)) {
		copy_frame(run, header, frame);
		return;
	}
	server = hk_get16(udp + 2) != run->options.port;
	size = run->options.open ? open_payload(run, udp + 8, length - 8)
				 : seal_payload(run, server, udp + 8, length - 8);
	if (size < 0) /* nothing of it stands open in what is written */
		run->refused++;
	else
		write_frame(run, header, frame, &ip, udp, (__u32)size);
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
	int status;

	run->crypto = hk_crypto_new("libcrypto");
	if (!run->crypto)
		return hk_error_set(error, ENOMEM, "the crypto library does not start");
	status = load_keys(run, error);
	if (!status && !run->options.open)
		status = make_writers(run, error);
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
	unsigned i;

	for (i = 0; i < run->readers_count; i++)
		hk_dtls_free(run->readers[i]);
	hk_dtls_free(run->writers[0]);
	hk_dtls_free(run->writers[1]);
	hk_crypto_free(run->crypto);
	hk_captures_close(&run->captures);
	hk_wipe(run, sizeof(*run));
}

int hk_endpoint_dtls(int argc, char **argv)
{
	static struct run run = {.options = {.mkid = 1, .port = 4433, .records = 1}};
	struct options *options = &run.options;
	struct hk_error error = {{0}};
	int status = 0, option;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	while (!status && (option = getopt_long(argc, argv, ":k:h", long_options, NULL)) != -1)
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
		fprintf(stderr, "halfkey-endpoint dtls: %s\n", error.text);
	return status ? 1 : 0;
}
