// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey-endpoint keyserver`: runs it, shows its generations, orders a rotation. */
#include <errno.h>
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
	"usage: halfkey-endpoint keyserver -c FILE [--list [--json] | --rotate HOST [--domain NAME]]\n"
	"\n"
	"Draws master keys, rotates them, and pushes keys to hosts, boxes and readers by\n"
	"the role in their certificates: a box gets the encryption side alone. For PSP, ESP,\n"
	"EESP and WESP.\n";

static const char example[] =
	"\n"
	"SIGHUP reads configuration, certificates and revocation list again: who is revoked\n"
	"or no member any more is cut off. SIGUSR1 prints the counters and writes the `stats`\n"
	"file, SIGTERM ends it.\n"
	"\n"
	"example: halfkey-endpoint keyserver -c keyserver.yaml --list\n";

struct wishes {
	const char *config, *rotate, *domain;
	bool list, json;
};

/* --- what there is ------------------------------------------------------------------------------ */

static const char *time_text(__s64 when, char out[24])
{
	time_t seconds = (time_t)when;
	struct tm parts;

	if (!when || !gmtime_r(&seconds, &parts) || !strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &parts))
		return "-";
	return out;
}

struct listing {
	const struct hk_ks_config *config;
	struct hk_ks_store *store;
	json_t *rows; /* NULL: text */
	unsigned shown;
};

/* When the next event of its life is planned: in force, replaced, wiped. */
static __s64 planned(const struct hk_ks_domain *domain, const struct hk_ks_generation *row)
{
	return row->state == HK_KS_NEXT	     ? row->activates
	       : row->state == HK_KS_CURRENT ? row->activates + domain->lifetime
					     : row->ends;
}

static void show_row(const struct listing *listing, const struct hk_ks_domain *domain,
	const struct hk_ks_host *host, const struct hk_ks_generation *row, __u64 spis)
{
	static const char *const plans[] = {"in force from", "until", "wiped at"};
	static const __u8 label[32] = "halfkey keygen fingerprint";
	char fingerprint[17], made[24], plan[24], address[HK_ADDRESS_TEXT];
	__u8 bytes[8];

	hk_crypto_fingerprint(label, row->enc, 32, bytes); /* of 256 random bits: tests no guess */
	hk_hex_format(bytes, 8, fingerprint);
	hk_address_format(&host->receiver, address);
	if (listing->rows)
		json_array_append_new(listing->rows,
			json_pack("{s:s,s:s,s:s,s:I,s:i,s:s,s:I,s:I,s:I,s:I,s:s}", "domain", domain->name,
				"host", host->name, "receiver", address, "generation",
				(json_int_t)row->generation, "slot", (int)row->slot, "state",
				hk_ks_state_name(row->state), "made", (json_int_t)row->created, "in_force",
				(json_int_t)row->activates, "ends", (json_int_t)planned(domain, row), "spis",
				(json_int_t)spis, "fingerprint", fingerprint));
	else
		printf("%-12s %-16s generation %-9u slot %u  %-8s enc %s  %llu SPIs  made %s  %s %s\n",
			domain->name, host->name, row->generation, row->slot, hk_ks_state_name(row->state),
			fingerprint, (unsigned long long)spis, time_text(row->created, made),
			plans[row->state], time_text(planned(domain, row), plan));
}

static int show_host(struct listing *listing, const struct hk_ks_domain *domain,
	const struct hk_ks_host *host, struct hk_error *error)
{
	struct hk_ks_receiver receiver;
	__u64 spis = 0;
	unsigned i;
	int status = hk_ks_store_load(listing->store, domain->name, host->name, &receiver, error);

	for (i = 0; i < HK_KS_GENERATIONS && !status; i++) {
		if (!receiver.rows[i].generation)
			continue;
		status = hk_ks_store_count(
			listing->store, domain->name, host->name, receiver.rows[i].generation, &spis, error);
		if (!status)
			show_row(listing, domain, host, &receiver.rows[i], spis);
		listing->shown++;
	}
	hk_wipe(&receiver, sizeof(receiver));
	return status;
}

static int show(
	const struct hk_ks_config *config, struct hk_ks_store *store, bool as_json, struct hk_error *error)
{
	struct listing listing = {config, store, as_json ? json_array() : NULL, 0};
	unsigned i, j;
	int status = 0;

	for (i = 0; i < config->domains_count; i++)
		for (j = 0; j < config->domains[i].hosts_count && !status; j++)
			status =
				show_host(&listing, &config->domains[i], &config->domains[i].hosts[j], error);
	if (listing.rows && !status) {
		json_dumpf(listing.rows, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	if (!listing.shown && !status)
		fprintf(stderr,
			"halfkey-endpoint keyserver: %s: holds no keys yet: the server makes them when it "
			"starts\n",
			config->state);
	json_decref(listing.rows);
	return status;
}

/* --- what shall be ------------------------------------------------------------------------------ */

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

static int serve(
	struct hk_ks_config **config, const char *path, struct hk_ks_store *store, struct hk_error *error)
{
	struct hk_push_files files = {(*config)->ca, (*config)->cert, (*config)->key, (*config)->crl};
	static struct hk_ks ks;
	SSL_CTX *tls = hk_push_tls(&files, true, error);
	int status;

	if (!tls)
		return -EINVAL;
	ks.config = *config;
	ks.store = store;
	status = hk_ks_start(&ks, error);
	(void)mlockall(MCL_CURRENT | MCL_FUTURE); /* not everywhere allowed; then keys may reach swap */
	if (!status) {
		status = hk_ks_run(&ks, path, &tls, error);
		hk_ks_report(&ks, true);
	}
	hk_ks_stop(&ks);
	SSL_CTX_free(tls);
	*config = (struct hk_ks_config *)(unsigned long)ks.config; /* a reload has brought another */
	return status;
}

static int run(const struct wishes *wishes, struct hk_error *error)
{
	struct hk_ks_config *config = NULL;
	struct hk_ks_store *store = NULL;
	int status;

	if (wishes->json && !wishes->list)
		return hk_error_set(error, HK_EUSAGE, "--json goes with --list");
	if (wishes->domain && !wishes->rotate)
		return hk_error_set(error, HK_EUSAGE, "--domain goes with --rotate");
	if (wishes->list && wishes->rotate)
		return hk_error_set(error, HK_EUSAGE, "--list and --rotate: one at a time");
	if (!wishes->config)
		return hk_error_set(error, HK_EUSAGE, "no configuration: name it with -c");
	status = hk_ks_config_read(&config, wishes->config, error);
	if (!status)
		status = hk_ks_store_open(&store, config->state, !wishes->list && !wishes->rotate, error);
	if (!status)
		status = wishes->list	  ? show(config, store, wishes->json, error)
			 : wishes->rotate ? order(config, store, wishes, error)
					  : serve(&config, wishes->config, store, error);
	hk_ks_store_close(store);
	hk_ks_config_free(config);
	return status;
}

static const struct hk_option options[] = {
	{"config", 'c', "FILE", offsetof(struct wishes, config), NULL,
		"YAML: listen, state, ca, cert, key, crl, stats, domains"},
	{"list", 0, NULL, offsetof(struct wishes, list), NULL,
		"show each host's generations: state, fingerprint, SPIs given\nout, times; no keys"},
	{"json", 'j', NULL, offsetof(struct wishes, json), NULL, "with --list: as JSON"},
	{"rotate", 0, "HOST", offsetof(struct wishes, rotate), NULL,
		"order new keys for HOST, or `all`, of a running server"},
	{"domain", 0, "NAME", offsetof(struct wishes, domain), NULL, "with --rotate: in this domain only"},
	{0},
};

int hk_endpoint_keyserver(int argc, char **argv)
{
	static const struct hk_command_line line = {.help = help, .example = example, .options = options};
	struct wishes wishes = {0};
	struct hk_error error = {{0}};
	int status;

	hk_log_init(HK_LOG_INFO, "keyserver");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before any key is in memory */
	umask(077);
	hk_push_wipe_json();
	status = hk_command_line_read(&line, &wishes, argc, argv, &error);
	if (!status)
		status = run(&wishes, &error);
	return hk_command_end("keyserver", status, &error);
}
