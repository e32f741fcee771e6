// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey-endpoint keyserver`: runs it, shows its generations, orders a rotation. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/keyserver.h"

static const char help[] =
	"Usage: halfkey-endpoint keyserver -c FILE [--list | --rotate HOST]\n"
	"Draws master keys, rotates them, and pushes keys to hosts, boxes and readers by\n"
	"the role in their certificates: a box gets the encryption side alone.\n"
	"\n"
	"  -c, --config FILE      YAML: listen, state, ca, cert, key, domains\n"
	"      --list             show each host's generations and their fingerprints, no keys\n"
	"      --rotate HOST      order new keys for HOST, or `all`, of a running server\n"
	"      --domain NAME      with --rotate: in this domain only\n"
	"\n"
	"SIGUSR1 prints the counters, SIGTERM ends it.\n"
	"\n"
	"Example:\n"
	"  halfkey-endpoint keyserver -c keyserver.yaml --list\n";

struct wishes {
	const char *config, *rotate, *domain;
	bool list;
};

static void show_time(const char *what, __s64 when)
{
	time_t seconds = (time_t)when;
	struct tm parts;
	char text[32];

	if (when && gmtime_r(&seconds, &parts) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts))
		printf("  %s %s", what, text);
}

static void show_row(const char *domain, const char *host, const struct hk_ks_generation *row)
{
	static const char *const states[] = {"next", "current", "previous"};
	static const __u8 label[32] = "halfkey keygen fingerprint";
	__u8 fingerprint[8];
	char text[17];

	hk_crypto_fingerprint(label, row->enc, 32, fingerprint); /* of 256 random bits: tests no guess */
	hk_hex_format(fingerprint, 8, text);
	printf("%-12s %-16s generation %-4u slot %u  %-8s enc %s", domain, host, row->generation, row->slot,
		states[row->state], text);
	show_time(row->state == HK_KS_NEXT ? "in force from" : "in force since", row->activates);
	show_time("until", row->ends);
	printf("\n");
}

static int show(const struct hk_ks_config *config, struct hk_ks_store *store, struct hk_error *error)
{
	struct hk_ks_receiver receiver;
	unsigned i, j, k;
	int status = 0;

	for (i = 0; i < config->domains_count; i++)
		for (j = 0; j < config->domains[i].hosts_count && !status; j++) {
			status = hk_ks_store_load(store, config->domains[i].name,
				config->domains[i].hosts[j].name, &receiver, error);
			for (k = 0; !status && k < HK_KS_GENERATIONS; k++)
				if (receiver.rows[k].generation)
					show_row(config->domains[i].name, config->domains[i].hosts[j].name,
						&receiver.rows[k]);
			hk_wipe(&receiver, sizeof(receiver));
		}
	return status;
}

static int order(const struct hk_ks_config *config, struct hk_ks_store *store, const struct wishes *wishes,
	struct hk_error *error)
{
	bool known = false;
	unsigned i, j;

	for (i = 0; i < config->domains_count; i++)
		for (j = 0; j < config->domains[i].hosts_count; j++)
			known |= (!strcmp(wishes->rotate, "all") ||
					 !strcmp(wishes->rotate, config->domains[i].hosts[j].name)) &&
				 (!wishes->domain || !strcmp(wishes->domain, config->domains[i].name));
	if (!known)
		return hk_error_set(error, ENOENT, "%s: no such host%s%s", wishes->rotate,
			wishes->domain ? " in domain " : "", wishes->domain ? wishes->domain : "");
	return hk_ks_store_order(store, wishes->domain ? wishes->domain : "all", wishes->rotate, error);
}

static int serve(const struct hk_ks_config *config, struct hk_ks_store *store, struct hk_error *error)
{
	struct hk_push_files files = {config->ca, config->cert, config->key, config->crl};
	static struct hk_ks ks;
	SSL_CTX *tls = hk_push_tls(&files, true, error);
	unsigned i;
	int status;

	if (!tls)
		return -EINVAL;
	for (i = 0; i < config->domains_count; i++)
		if (config->domains[i].profile == HK_PROFILE_SINGLE)
			hk_log_warn("domain %s is single: whoever holds its box's keys can forge",
				config->domains[i].name);
	ks.config = config;
	ks.store = store;
	status = hk_ks_start(&ks, error);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE); /* not everywhere allowed; then keys may reach swap */
	if (!status)
		status = hk_ks_run(&ks, tls, error);
	hk_ks_stop(&ks);
	SSL_CTX_free(tls);
	return status;
}

static int run(const struct wishes *wishes, struct hk_error *error)
{
	struct hk_ks_config *config = NULL;
	struct hk_ks_store *store = NULL;
	int status;

	if (!wishes->config)
		return hk_error_set(error, EINVAL, "no configuration: name it with -c");
	status = hk_ks_config_read(&config, wishes->config, error);
	if (!status)
		status = hk_ks_store_open(&store, config->state, !wishes->list && !wishes->rotate, error);
	if (!status)
		status = wishes->list	  ? show(config, store, error)
			 : wishes->rotate ? order(config, store, wishes, error)
					  : serve(config, store, error);
	hk_ks_store_close(store);
	hk_ks_config_free(config);
	return status;
}

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"list", no_argument, NULL, 'l'},
	{"rotate", required_argument, NULL, 'r'},
	{"domain", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

int hk_endpoint_keyserver(int argc, char **argv)
{
	struct wishes wishes = {0};
	struct hk_error error = {{0}};
	int status = 0, option;

	hk_log_init(HK_LOG_INFO, "keyserver");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before any key is in memory */
	umask(077);
	hk_push_wipe_json();
	while (!status && (option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': wishes.config = optarg; break;
		case 'l': wishes.list = true; break;
		case 'r': wishes.rotate = optarg; break;
		case 'd': wishes.domain = optarg; break;
		case 'h': fputs(help, stdout); return 0;
		default:
			status = hk_error_set(&error, EINVAL, "%s: %s: see --help", argv[optind - 1],
				option == ':' ? "needs a value" : "unknown option");
		}
	}
	if (!status && optind < argc)
		status = hk_error_set(&error, EINVAL, "%s: unexpected word: see --help", argv[optind]);
	if (!status)
		status = run(&wishes, &error);
	if (status)
		fprintf(stderr, "halfkey-endpoint keyserver: %s\n", error.text);
	return status ? 1 : 0;
}
