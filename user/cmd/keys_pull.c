// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey keys pull`: the box's side of a key server. Stays connected, puts
 * each key set that is pushed where halfkeyd has it (keys_put.h), and only then
 * confirms it.
 */
#include "user/cmd/keys_pull.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

#include "user/base/log.h"
#include "user/base/names.h"
#include "user/cmd/command.h"
#include "user/cmd/keys_put.h"
#include "user/push/session.h"

#define LOOK_EVERY_S 2 /* whether halfkeyd is still the one that got the keys */

struct pull {
	struct hk_push_target target;
	struct hk_key_place place;
	time_t looked;
	bool once, done;
};

static const char help[] =
	"usage: halfkey keys pull --server NAME[:PORT] --ca FILE --cert FILE --key FILE --domain NAME\n"
	"                         {--into DOMAIN | --out FILE [--reload]} [-s SOCKET | -i INSTANCE] "
	"[--once]\n"
	"\n"
	"Fetches the box's keys, the encryption side alone, from a key server and keeps halfkeyd\n"
	"up to date until it is stopped. A key set is confirmed when it is in force.\n"
	"\n"
	"      --server NAME     the key server; its certificate must be for that name\n"
	"      --ca FILE         the CA of all certificates (PEM)\n"
	"      --cert FILE       our certificate, URI halfkey:box:NAME\n"
	"      --key FILE        its private key, mode 0600\n"
	"      --domain NAME     the domain at the key server\n"
	"      --into DOMAIN     put them straight into that domain of the running halfkeyd; no file\n"
	"  -o, --out FILE        or into FILE, mode 0600, replaced as a whole: the domain's `keys`,\n"
	"                        or a file NAME.keys in its `keys-dir`\n"
	"      --reload          have halfkeyd read its configuration again after each change of FILE\n"
	"      --once            end when the first set is in force\n"
	"  -i, --instance NAME   halfkeyd's instance (default: default)\n"
	"  -s, --socket PATH     its control socket\n"
	"\n"
	"example: halfkey keys pull --server keys.example --ca ca.pem --cert box.pem --key box.key \\\n"
	"           --domain tunnel --into tunnel\n";

/* --- session ---------------------------------------------------------------------------------- */

static int take_set(void *context, long long serial, const char *lines, struct hk_error *error)
{
	struct pull *pull = context;
	int status = hk_keys_put(&pull->place, lines, error);

	if (status)
		return status;
	hk_log_info("key set %lld of domain %s is in %s", serial, pull->target.domain,
		pull->place.into ? "halfkeyd" : pull->place.file);
	pull->done = true;
	return 0;
}

/* Keys that were put into a process end with it: then a new session brings them again. */
static int look(void *context, struct hk_push_link *link, struct hk_error *error)
{
	struct pull *pull = context;
	time_t now = time(NULL);
	int status;

	(void)link;
	if (!pull->place.into || now - pull->looked < LOOK_EVERY_S)
		return 0;
	pull->looked = now;
	status = hk_keys_still_there(&pull->place, error);
	if (status)
		pull->place.holder.process = 0;
	return status;
}

static bool is_over(void *context)
{
	const struct pull *pull = context;

	return pull->once && pull->done;
}

static int run(struct pull *pull, struct hk_error *error)
{
	struct hk_push_session session = {.target = &pull->target,
		.role = HK_PUSH_BOX,
		.context = pull,
		.keys = take_set,
		.idle = look,
		.over = is_over};
	int status = 0;

	session.tls = hk_push_tls(&pull->target.files, false, error);
	if (!session.tls)
		return -EINVAL;
	if (pull->once)
		status = hk_push_session(&session, error);
	else
		hk_push_stay(&session);
	SSL_CTX_free(session.tls);
	return status;
}

/* --- command line ------------------------------------------------------------------------------ */

enum { OPT_RELOAD = 256, OPT_ONCE, OPT_INTO };

static const struct option options[] = {
	HK_PUSH_OPTIONS,
	{"into", required_argument, NULL, OPT_INTO},
	{"out", required_argument, NULL, 'o'},
	{"reload", no_argument, NULL, OPT_RELOAD},
	{"once", no_argument, NULL, OPT_ONCE},
	{"instance", required_argument, NULL, 'i'},
	{"socket", required_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static bool take_option(struct pull *pull, int option)
{
	if (hk_push_option(&pull->target, option, optarg))
		return true;
	switch (option) {
	case OPT_INTO: pull->place.into = optarg; return true;
	case 'o': pull->place.file = optarg; return true;
	case OPT_RELOAD: pull->place.reload = true; return true;
	case OPT_ONCE: pull->once = true; return true;
	case 'i': pull->place.daemon.instance = optarg; return true;
	case 's': pull->place.daemon.socket = optarg; return true;
	default: return false;
	}
}

int hk_keys_pull(int argc, char **argv)
{
	struct pull pull = {.place.daemon.command = "keys"};
	struct hk_error error = {{0}};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, ":o:i:s:h", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(help, stdout) < 0;
		if (!take_option(&pull, option))
			return hk_usage("keys", "pull: \"%.40s\" %s", argv[optind - 1],
				option == ':' ? "needs a value" : "is no option of it");
	}
	if (optind < argc)
		return hk_usage("keys", "\"%.40s\" is one argument too many", argv[optind]);
	if (pull.place.daemon.instance && hk_instance_check(pull.place.daemon.instance, &error))
		return hk_usage("keys", "%s", error.text);
	if (!pull.target.server || !pull.target.domain || !pull.place.file == !pull.place.into)
		return hk_usage("keys", "pull needs --server, --domain, and either --into or --out");
	if (pull.place.reload && !pull.place.file)
		return hk_usage(
			"keys", "pull: --reload goes with --out: what --into puts is in force at once");
	hk_log_init(HK_LOG_INFO, "keys");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	hk_push_wipe_json();
	return run(&pull, &error) ? hk_fail("keys", &error) : HK_EXIT_DONE;
}
