// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint keys`: a host's keys from a key server or a key file, for
 * stacks that are not ours. With --watch it stays and prints what is pushed.
 */
#include <errno.h>
#include <fcntl.h>
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
	"usage: halfkey-endpoint keys --server NAME[:PORT] --ca FILE --cert FILE --key FILE --domain NAME\n"
	"                             [--peer ADDRESS]... [--inbound] [--watch] [OPTION]...\n"
	"       halfkey-endpoint keys --file FILE --format FORMAT --from ADDRESS [OPTION]...\n"
	"\n"
	"Prints this host's keys: secret, both sides. For stock IPsec hosts.\n";

static const char example[] =
	"\n"
	"example: halfkey-endpoint keys --server keys.example --ca ca.pem --cert client.pem --key client.key "
	"\\\n"
	"           --domain office --peer 192.0.2.9 --from 192.0.2.1 --format xfrm | sh\n";

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
	int status = 0;

	if (spi->context && fetch->formatting.format != HK_FORMAT_KEYS)
		status = hk_error_set(error, ENOTSUP,
			"the domain's envelope is one that no stock stack has: --format keys alone");
	status = status ? flush(fetch, status, error) : print(fetch, lines, error);

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

static int take_address(
	const struct hk_option *option, const char *text, struct hk_address *out, struct hk_error *error)
{
	if (hk_address_parse(text, out))
		return hk_error_set(error, HK_EUSAGE, "--%s \"%.60s\" is not an address", option->name, text);
	return 0;
}

static int take_peer(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct fetch *fetch = into;

	if (fetch->peers_count == PEERS)
		return hk_error_set(error, HK_EUSAGE, "--peer \"%.60s\": at most %d of them", text, PEERS);
	return take_address(option, text, &fetch->peers[fetch->peers_count++], error);
}

static int take_from(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct fetch *fetch = into;

	fetch->formatting.has_from = true;
	return take_address(option, text, &fetch->formatting.from, error);
}

static int take_format(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct fetch *fetch = into;
	int format = hk_key_format_by_name(text);

	if (format < 0)
		return hk_error_set(error, HK_EUSAGE,
			"--%s \"%.40s\" is not one of keys, xfrm, wireshark and strongswan", option->name,
			text);
	fetch->formatting.format = (unsigned)format;
	return 0;
}

static int take_reqid(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct fetch *fetch = into;
	__u64 number = 0;
	int status = hk_option_number(option, text, 0, 0xffffffff, &number, error);

	fetch->formatting.reqid = (unsigned)number;
	return status;
}

#define AT(member) offsetof(struct fetch, member)

static const struct hk_option options[] = {
	HK_PUSH_OPTIONS(struct fetch, client.target),
	{"peer", 0, "ADDRESS", 0, take_peer, "a fresh SPI to send to that receiver with; repeat for more"},
	{"inbound", 0, NULL, AT(client.inbound), NULL, "the SPIs that others send to us with"},
	{"watch", 0, NULL, AT(watch), NULL,
		"stay connected, print what is pushed: new SPIs ahead of use, and\n"
		"with xfrm what goes; an outage of the server interrupts nothing"},
	{"file", 'k', "FILE", AT(file), NULL, "a key file instead of a server"},
	{"format", 0, "NAME", 0, take_format, "keys (default), xfrm, wireshark or strongswan"},
	{"from", 0, "ADDRESS", 0, take_from, "our address, the sender of what goes out"},
	{"transport", 0, NULL, AT(formatting.transport), NULL, "xfrm: transport mode"},
	{"udp", 0, NULL, AT(formatting.udp), NULL, "xfrm: in UDP, port 4500"},
	{"reqid", 0, "N", 0, take_reqid, "xfrm: request id (default: 1)"},
	{"out", 'o', "FILE", AT(out), NULL, "write there, mode 0600, never over an existing file"},
	{0},
};

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
	static const struct hk_command_line line = {.help = help, .example = example, .options = options};
	static struct fetch fetch = {.formatting = {.reqid = 1}};
	struct hk_error error = {{0}};
	int status;

	hk_log_init(HK_LOG_INFO, "keys");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	status = hk_command_line_read(&line, &fetch, argc, argv, &error);
	if (!status)
		status = run(&fetch, &error);
	return hk_command_end("keys", status, &error);
}
