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
	"                         [--reader]\n"
	"\n"
	"Fetches the box's keys, the encryption side alone, from a key server and keeps halfkeyd\n"
	"up to date until it is stopped. A key set is confirmed when it is in force.\n"
	"The certificate has the URI halfkey:box:NAME.\n";

static const char example[] =
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
		.role = pull->place.reader ? HK_PUSH_READER : HK_PUSH_BOX,
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

#define AT(member) offsetof(struct pull, member)

static const struct hk_option options[] = {
	HK_PUSH_OPTIONS(struct pull, target),
	{"into", 0, "DOMAIN", AT(place.into), NULL,
		"put them straight into that domain of the running halfkeyd; no file"},
	{"out", 'o', "FILE", AT(place.file), NULL,
		"or into FILE, mode 0600, replaced as a whole: the domain's `keys`,\n"
		"or a file NAME.keys in its `keys-dir`"},
	{"reload", 0, NULL, AT(place.reload), NULL,
		"have halfkeyd read its configuration again after each change of FILE"},
	{"once", 0, NULL, AT(once), NULL, "end when the first set is in force"},
	{"reader", 0, NULL, AT(place.reader), NULL,
		"the keys that verify reader tags instead, with a certificate of URI\n"
		"halfkey:reader:NAME; they stand beside the others"},
	{"instance", 'i', "NAME", AT(place.daemon.instance), NULL, "halfkeyd's instance (default: default)"},
	{"socket", 's', "PATH", AT(place.daemon.socket), NULL, "its control socket"},
	{0},
};

static int judge(const struct pull *pull, struct hk_error *error)
{
	const struct hk_key_place *place = &pull->place;

	if (place->daemon.instance && hk_instance_check(place->daemon.instance, error))
		return -HK_EUSAGE;
	if (!pull->target.server || !pull->target.domain || !place->file == !place->into)
		return hk_error_set(
			error, HK_EUSAGE, "name a --server and its --domain, and either --into or --out");
	if (place->reload && !place->file)
		return hk_error_set(
			error, HK_EUSAGE, "--reload goes with --out: what --into puts is in force at once");
	return 0;
}

int hk_keys_pull(int argc, char **argv)
{
	struct pull pull = {.place.daemon.command = "keys"};
	struct hk_error error = {{0}};
	int status = hk_options_read(options, &pull, argc, argv, &error);

	if (status == 1) {
		hk_options_help(help, options, example);
		return HK_EXIT_DONE;
	}
	if (!status)
		status = hk_options_end(argc, argv, &error);
	if (!status)
		status = judge(&pull, &error);
	if (status)
		return hk_usage("keys pull", "%s", error.text);
	hk_log_init(HK_LOG_INFO, "keys");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	hk_push_wipe_json();
	return run(&pull, &error) ? hk_fail("keys", &error) : HK_EXIT_DONE;
}
