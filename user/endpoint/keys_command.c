// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint keys`: a host's keys from a key server or a key file, for
 * stacks that are not ours. With --watch it stays and prints what is pushed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "user/base/files.h"
#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/keyclient.h"
#include "user/endpoint/keynews.h"

#define PEERS	 256
#define FILE_MAX (1u << 20)

static const char help[] =
	"Usage: halfkey-endpoint keys --server NAME[:PORT] --ca FILE --cert FILE --key FILE --domain NAME\n"
	"                             [--peer ADDRESS]... [--inbound] [--watch] [OPTION]...\n"
	"       halfkey-endpoint keys --file FILE --format FORMAT --from ADDRESS [OPTION]...\n"
	"Prints this host's keys: secret, both sides. For stock IPsec hosts.\n"
	"\n"
	"      --peer ADDRESS     a fresh SPI to send to that receiver with; repeat for more\n"
	"      --inbound          the SPIs that others send to us with\n"
	"      --watch            stay connected, print what is pushed: new SPIs ahead of use, and\n"
	"                     with xfrm what goes; an outage of the server interrupts nothing\n"
	"  -k, --file FILE        a key file instead of a server\n"
	"      --format NAME      keys (default), xfrm, wireshark or strongswan\n"
	"      --from ADDRESS     our address, the sender of what goes out\n"
	"      --transport        xfrm: transport mode\n"
	"      --udp              xfrm: in UDP, port 4500\n"
	"      --reqid N          xfrm: request id (default: 1)\n"
	"  -o, --out FILE         write there, mode 0600, never over an existing file\n"
	"\n"
	"Example:\n"
	"  halfkey-endpoint keys --server keys.example --ca ca.pem --cert client.pem --key client.key \\\n"
	"    --domain office --peer 192.0.2.9 --from 192.0.2.1 --format xfrm | sh\n";

struct fetch {
	struct hk_key_client client;
	struct hk_key_formatting formatting;
	struct hk_address peers[PEERS];
	struct hk_key_spi held[PEERS]; /* the SPI printed last */
	bool asked[PEERS], served[PEERS];
	struct hk_key_news inbound;
	struct hk_error error; /* ours: trying again would not help */
	unsigned peers_count;
	bool watch, has_inbound, has_keys;
	const char *file, *out;
};

/* --- what the server brings --------------------------------------------------------------------- */

/* What ends here is not the connection's fault. */
static int flush(struct fetch *fetch, int status, struct hk_error *error)
{
	if (status >= 0)
		status = fflush(fetch->formatting.out) || ferror(fetch->formatting.out)
				 ? hk_error_set(error, EIO, "the keys cannot be written")
				 : 0;
	if (status)
		fetch->error = *error;
	return status;
}

static int print(struct fetch *fetch, const char *lines, struct hk_error *error)
{
	return flush(fetch, hk_key_format(&fetch->formatting, "key server", lines, error), error);
}

/* Our own master keys are of no use to a stock stack, and printed as key file lines alone. */
static int keys_came(void *context, const char *lines, struct hk_error *error)
{
	struct fetch *fetch = context;

	fetch->has_keys = true;
	return fetch->formatting.format == HK_FORMAT_KEYS ? print(fetch, lines, error) : 0;
}

/* The new one first, then the one before goes: at every moment there is one to send with. */
static int spi_came(void *context, const struct hk_key_spi *spi, const char *lines, struct hk_error *error)
{
	struct fetch *fetch = context;
	unsigned i;
	int status = print(fetch, lines, error);

	for (i = 0; i < fetch->peers_count && !status; i++) {
		if (memcmp(&fetch->peers[i], &spi->to, sizeof(spi->to)) != 0)
			continue;
		if (fetch->held[i].spi)
			hk_key_format_gone(
				&fetch->formatting, &fetch->formatting.from, &spi->to, fetch->held[i].spi);
		fetch->held[i] = *spi;
		fetch->served[i] = true;
	}
	return flush(fetch, status, error);
}

static int inbound_came(void *context, const char *lines, struct hk_error *error)
{
	struct fetch *fetch = context;
	int status = hk_key_news(&fetch->inbound, &fetch->formatting, lines, error);

	fetch->has_inbound = true;
	return flush(fetch, status, error);
}

static bool want(void *context, struct hk_address *to, __u32 *have)
{
	struct fetch *fetch = context;
	unsigned i;

	for (i = 0; i < fetch->peers_count; i++)
		if (!fetch->asked[i]) {
			fetch->asked[i] = true;
			*to = fetch->peers[i];
			*have = fetch->held[i].generation;
			return true;
		}
	return false;
}

static void started(void *context)
{
	struct fetch *fetch = context;

	memset(fetch->asked, 0, sizeof(fetch->asked));
}

static bool over(void *context)
{
	const struct fetch *fetch = context;
	bool all = fetch->has_keys && (!fetch->client.inbound || fetch->has_inbound);
	unsigned i;

	for (i = 0; i < fetch->peers_count; i++)
		all &= fetch->served[i];
	return fetch->error.text[0] || (all && !fetch->watch);
}

static int fetch_all(struct fetch *fetch, struct hk_error *error)
{
	struct hk_push_session session;
	int status;

	hk_push_wipe_json();
	fetch->client.tls = hk_push_tls(&fetch->client.target.files, false, error);
	if (!fetch->client.tls)
		return -EINVAL;
	fetch->client.context = fetch;
	fetch->client.keys = keys_came;
	fetch->client.spi = spi_came;
	fetch->client.arrived = inbound_came;
	fetch->client.want = want;
	fetch->client.over = over;
	fetch->client.started = started;
	session = hk_key_session(&fetch->client);
	if (fetch->watch)
		hk_push_stay(&session);
	status = fetch->watch ? 0 : hk_push_session(&session, error);
	if (fetch->error.text[0]) {
		*error = fetch->error;
		status = -EIO;
	}
	hk_key_news_free(&fetch->inbound);
	SSL_CTX_free(fetch->client.tls);
	return status;
}

static int convert(struct fetch *fetch, struct hk_error *error)
{
	struct hk_files files = {0};
	size_t size = 0;
	char *text;
	int status = hk_files_open(&files, HK_FILE_KEYS, ".", fetch->file, error);

	if (status)
		return status;
	text = hk_files_read(&files, fetch->file, FILE_MAX, &size, error);
	hk_files_close(&files);
	if (!text)
		return -EINVAL;
	status = hk_key_format(&fetch->formatting, fetch->file, text, error);
	if (!status && fetch->formatting.format != HK_FORMAT_KEYS)
		status = hk_error_set(error, ENOKEY, "%s: no explicit ESP keys in it", fetch->file);
	hk_wipe(text, size);
	free(text);
	return status < 0 ? status : 0;
}

/* --- command line ------------------------------------------------------------------------------ */

enum { OPT_PEER = 256, OPT_INBOUND, OPT_WATCH, OPT_FORMAT, OPT_FROM, OPT_TRANSPORT, OPT_UDP, OPT_REQID };

static const struct option options[] = {
	HK_PUSH_OPTIONS,
	{"peer", required_argument, NULL, OPT_PEER},
	{"inbound", no_argument, NULL, OPT_INBOUND},
	{"watch", no_argument, NULL, OPT_WATCH},
	{"file", required_argument, NULL, 'k'},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"from", required_argument, NULL, OPT_FROM},
	{"transport", no_argument, NULL, OPT_TRANSPORT},
	{"udp", no_argument, NULL, OPT_UDP},
	{"reqid", required_argument, NULL, OPT_REQID},
	{"out", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int take_value(struct fetch *fetch, int option, struct hk_error *error)
{
	__u64 number = 0;
	int format;

	switch (option) {
	case OPT_PEER:
		if (fetch->peers_count == PEERS ||
			hk_address_parse(optarg, &fetch->peers[fetch->peers_count++]))
			return hk_error_set(error, HK_EUSAGE, "peer '%s': must be an address, and at most %d",
				optarg, PEERS);
		return 0;
	case OPT_FROM:
		fetch->formatting.has_from = true;
		if (hk_address_parse(optarg, &fetch->formatting.from))
			return hk_error_set(error, HK_EUSAGE, "from '%s': must be an address", optarg);
		return 0;
	case OPT_FORMAT:
		format = hk_key_format_by_name(optarg);
		fetch->formatting.format = format < 0 ? 0 : (unsigned)format;
		return format < 0
			       ? hk_error_set(error, HK_EUSAGE,
					 "format '%s': must be keys, xfrm, wireshark or strongswan", optarg)
			       : 0;
	default:
		if (hk_number_parse(optarg, 0xffffffff, &number))
			return hk_error_set(error, HK_EUSAGE, "reqid '%s': must be a number", optarg);
		fetch->formatting.reqid = (unsigned)number;
		return 0;
	}
}

static int take_option(struct fetch *fetch, int option, char **argv, struct hk_error *error)
{
	if (hk_push_option(&fetch->client.target, option, optarg))
		return 0;
	switch (option) {
	case OPT_INBOUND: fetch->client.inbound = true; return 0;
	case OPT_WATCH: fetch->watch = true; return 0;
	case OPT_TRANSPORT: fetch->formatting.transport = true; return 0;
	case OPT_UDP: fetch->formatting.udp = true; return 0;
	case 'k': fetch->file = optarg; return 0;
	case 'o': fetch->out = optarg; return 0;
	case 'h': fputs(help, stdout); return 1;
	case ':': return hk_error_set(error, HK_EUSAGE, "%s needs a value: see --help", argv[optind - 1]);
	case '?': return hk_error_set(error, HK_EUSAGE, "%s: unknown option: see --help", argv[optind - 1]);
	default: return take_value(fetch, option, error);
	}
}

static int open_out(struct fetch *fetch, struct hk_error *error)
{
	int fd;

	fetch->formatting.out = stdout;
	if (!fetch->out)
		return 0;
	fd = open(fetch->out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	fetch->formatting.out = fd < 0 ? NULL : fdopen(fd, "w");
	return fetch->formatting.out
		       ? 0
		       : hk_error_set(error, errno, "%s: cannot be made: %s", fetch->out, strerror(errno));
}

static int run(struct fetch *fetch, struct hk_error *error)
{
	int status;

	if (!fetch->file == !fetch->client.target.server)
		return hk_error_set(error, HK_EUSAGE, "name a key server (--server) or a key file (--file)");
	if (fetch->client.target.server && !fetch->client.target.domain)
		return hk_error_set(error, HK_EUSAGE, "--server needs a --domain");
	status = open_out(fetch, error);
	if (!status)
		status = fetch->file ? convert(fetch, error) : fetch_all(fetch, error);
	if (fetch->formatting.out && fclose(fetch->formatting.out) && !status)
		status = hk_error_set(error, EIO, "the keys cannot be written");
	return status;
}

int hk_endpoint_keys(int argc, char **argv)
{
	static struct fetch fetch = {.formatting = {.reqid = 1}};
	struct hk_error error = {{0}};
	int status = 0, option;

	hk_log_init(HK_LOG_INFO, "keys");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	while (!status && (option = getopt_long(argc, argv, ":k:o:h", options, NULL)) != -1)
		status = take_option(&fetch, option, argv, &error);
	if (status == 1)
		return 0;
	if (!status && optind < argc)
		status = hk_error_set(&error, HK_EUSAGE, "%s: unexpected word: see --help", argv[optind]);
	if (!status)
		status = run(&fetch, &error);
	if (status)
		fprintf(stderr, "halfkey-endpoint keys: %s\n", error.text);
	return hk_exit_status(status);
}
