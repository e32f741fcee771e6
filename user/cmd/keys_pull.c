// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey keys pull`: the box's side of a key server. Stays connected, writes
 * each key set that is pushed into one file (0600, whole or not at all), has
 * halfkeyd read it, and only then confirms it. A set that holds anything but
 * what a box may hold is refused, whoever sent it.
 */
#include "user/cmd/keys_pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/log.h"
#include "user/cmd/command.h"
#include "user/keys/keyfile.h"
#include "user/push/push.h"

#define RETRY_MAX_S 16

struct pull {
	const char *server, *domain, *out, *socket, *instance;
	struct hk_push_files files;
	bool reload, once;
};

static const char help[] =
	"usage: halfkey keys pull --server NAME[:PORT] --ca FILE --cert FILE --key FILE\n"
	"                         --domain NAME --out FILE [--reload [-s SOCKET | -i INSTANCE]] [--once]\n"
	"\n"
	"Fetches the box's keys, the encryption side alone, from a key server and keeps FILE\n"
	"up to date until it is stopped. FILE is the domain's `keys`, or lies in its `keys-dir`.\n"
	"\n"
	"      --server NAME     the key server; its certificate must be for that name\n"
	"      --ca FILE         the CA of all certificates (PEM)\n"
	"      --cert FILE       our certificate, URI halfkey:box:NAME\n"
	"      --key FILE        its private key, mode 0600\n"
	"      --domain NAME     the domain at the key server\n"
	"  -o, --out FILE        where the keys go, mode 0600, replaced as a whole\n"
	"      --reload          have halfkeyd read its configuration again after each change\n"
	"      --once            end when the first set is in force\n"
	"  -i, --instance NAME   halfkeyd's instance (default: default)\n"
	"  -s, --socket PATH     its control socket\n"
	"\n"
	"example: halfkey keys pull --server keys.example --ca ca.pem --cert box.pem --key box.key \\\n"
	"           --domain tunnel --out /etc/halfkey/box.keys --reload\n";

/* --- the file --------------------------------------------------------------------------------- */

/* The server is asked for nothing else; this is for the day it errs, or is not ours any more. */
static int check_line(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	(void)context;
	if (line->side == HK_SIDE_ENC || line->side == HK_SIDE_SINGLE)
		return 0;
	return hk_error_set(error, EPERM,
		"the key server sent a key of a side that a box must not hold: nothing is written");
}

static int write_whole(int fd, const char *text, size_t size)
{
	ssize_t some;

	while (size) {
		some = write(fd, text, size);
		if (some < 0 && errno != EINTR)
			return -errno;
		text += some > 0 ? some : 0;
		size -= some > 0 ? (size_t)some : 0;
	}
	return fsync(fd) ? -errno : 0;
}

static void sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(directory);
}

/* Under another name first, then renamed: no reader ever sees half of it. */
static int replace(const char *path, const char *text, struct hk_error *error)
{
	char *draft = NULL;
	int fd = -1, status = asprintf(&draft, "%s.new", path) < 0 ? -ENOMEM : 0;

	if (!status) {
		(void)unlink(draft);
		fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		status = fd < 0 ? -errno : write_whole(fd, text, strlen(text));
	}
	if (fd >= 0)
		close(fd);
	if (!status && rename(draft, path))
		status = -errno;
	if (status && draft && fd >= 0)
		(void)unlink(draft);
	free(draft);
	if (status)
		return hk_error_set(error, -status, "%s: cannot be written: %s", path, strerror(-status));
	sync_directory(path);
	return 0;
}

static int reload(const struct pull *pull, struct hk_error *error)
{
	char *argv[4] = {(char *)"reload", NULL, NULL, NULL};
	int argc = 1;

	if (pull->socket || pull->instance) {
		argv[argc++] = (char *)(pull->socket ? "-s" : "-i");
		argv[argc++] = (char *)(pull->socket ? pull->socket : pull->instance);
	}
	optind = 0;
	if (hk_command_reload.run(argc, argv) == HK_EXIT_DONE)
		return 0;
	return hk_error_set(error, EIO, "%s is written, but halfkeyd did not take it", pull->out);
}

/* --- messages --------------------------------------------------------------------------------- */

static int take_set(
	const struct pull *pull, struct hk_push_link *link, const json_t *message, struct hk_error *error)
{
	const char *lines = hk_text_of(message, "lines");
	long long serial = hk_number_of(message, "serial");
	int status = hk_keyfile_read(pull->server, lines, error, check_line, NULL);

	if (!status)
		status = replace(pull->out, lines, error);
	if (!status && pull->reload)
		status = reload(pull, error);
	if (status)
		return status;
	hk_log_info("key set %lld of domain %s is in %s", serial, pull->domain, pull->out);
	return hk_push_send(link, json_pack("{s:s,s:I}", "op", "ack", "serial", (json_int_t)serial), error);
}

/* 1: a key set is in force; 0: something else; negative: over. */
static int take(
	const struct pull *pull, struct hk_push_link *link, const json_t *message, struct hk_error *error)
{
	const char *type = hk_text_of(message, "type");
	int status;

	if (strcmp(type, "ping") == 0)
		return hk_push_send(link, json_pack("{s:s}", "op", "pong"), error);
	if (strcmp(type, "refused") == 0)
		return hk_error_set(
			error, EACCES, "the key server refuses: %s", hk_text_of(message, "reason"));
	if (strcmp(type, "keys") != 0)
		return 0;
	status = take_set(pull, link, message, error);
	return status ? status : 1;
}

static int session(const struct pull *pull, SSL_CTX *tls, bool *worked, struct hk_error *error)
{
	struct hk_push_link *link;
	json_t *message;
	int status = hk_push_connect(&link, tls, pull->server, HK_PUSH_BOX, error);

	if (status)
		return status;
	status = hk_push_send(link, json_pack("{s:s,s:s}", "op", "subscribe", "domain", pull->domain), error);
	while (status >= 0 && !(status == 1 && pull->once)) {
		status = hk_push_receive(link, HK_PUSH_IDLE_S * 1000, &message, error);
		if (status == -ETIME)
			hk_error_set(error, ETIME, "the key server has gone silent");
		if (status)
			break;
		status = take(pull, link, message, error);
		*worked |= status == 1;
		json_decref(message);
	}
	hk_push_close(link);
	return status;
}

static int stay(const struct pull *pull, SSL_CTX *tls)
{
	unsigned delay = 1;

	for (;;) {
		struct hk_error error = {{0}};
		bool worked = false;
		int status = session(pull, tls, &worked, &error);

		if (status == 1)
			return HK_EXIT_DONE;
		if (pull->once)
			return hk_fail("keys", &error);
		delay = worked ? 1 : delay;
		hk_log_warn("%s; the keys in %s stay, next try in %u s", error.text, pull->out, delay);
		sleep(delay);
		delay = delay < RETRY_MAX_S ? delay * 2 : RETRY_MAX_S;
	}
}

/* --- command line ------------------------------------------------------------------------------ */

enum { OPT_SERVER = 256, OPT_CA, OPT_CERT, OPT_KEY, OPT_DOMAIN, OPT_RELOAD, OPT_ONCE };

static const struct option options[] = {
	{"server", required_argument, NULL, OPT_SERVER},
	{"ca", required_argument, NULL, OPT_CA},
	{"cert", required_argument, NULL, OPT_CERT},
	{"key", required_argument, NULL, OPT_KEY},
	{"domain", required_argument, NULL, OPT_DOMAIN},
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
	switch (option) {
	case OPT_SERVER: pull->server = optarg; return true;
	case OPT_CA: pull->files.ca = optarg; return true;
	case OPT_CERT: pull->files.cert = optarg; return true;
	case OPT_KEY: pull->files.key = optarg; return true;
	case OPT_DOMAIN: pull->domain = optarg; return true;
	case 'o': pull->out = optarg; return true;
	case OPT_RELOAD: pull->reload = true; return true;
	case OPT_ONCE: pull->once = true; return true;
	case 'i': pull->instance = optarg; return true;
	case 's': pull->socket = optarg; return true;
	default: return false;
	}
}

int hk_keys_pull(int argc, char **argv)
{
	struct pull pull = {0};
	struct hk_error error = {{0}};
	SSL_CTX *tls;
	int option, status;

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
	if (!pull.server || !pull.domain || !pull.out)
		return hk_usage("keys", "pull needs --server, --domain and --out");
	hk_log_init(HK_LOG_INFO, "keys");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	hk_push_wipe_json();
	tls = hk_push_tls(&pull.files, false, &error);
	if (!tls)
		return hk_fail("keys", &error);
	status = stay(&pull, tls);
	SSL_CTX_free(tls);
	return status;
}
