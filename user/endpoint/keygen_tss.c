// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint keygen --envelope tss`: keys of a secure domain.
 *
 *   box.keys      for the box: the encryption side (split), or the single key
 *   hosts.keys    for every host of the domain: both sides
 *   domain.yaml   for halfkeyd's configuration
 *
 * Files of mode 0600, never over existing ones, all or none. Prints no key.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/tss.h"
#include "user/endpoint/newfile.h"

#define RECEIVERS_MAX 64
#define TEXT_MAX      8192

static const char help[] =
	"Usage: halfkey-endpoint keygen --envelope tss --out DIR --sdi N --tss SETUP --receiver PREFIX...\n"
	"Writes the keys of a UEC secure domain: box.keys for the box, hosts.keys for its hosts, and\n"
	"domain.yaml. Never overwrites a file. Prints a fingerprint, no keys.\n"
	"\n"
	"  -o, --out DIR          where to write; made (0700) when missing\n"
	"      --sdi N            secure domain, 0 to 16777215\n"
	"      --tss SETUP        how the domain does TSS: mode=cluster,ssi=yes,... (see "
	"docs/configuration.md)\n"
	"  -r, --receiver PREFIX  addresses of its hosts; may stand several times\n"
	"      --profile NAME     split (default): the box sees, cannot forge;\n"
	"                         single: the box holds the one key, and could forge\n"
	"      --slot N           AN, 0 (default) or 1\n"
	"      --generation N     generation of the key (default: 1)\n"
	"      --domain NAME      name in domain.yaml (default: fabric)\n";

struct wishes {
	const char *out, *sdi, *tss, *profile, *slot, *generation, *domain, *envelope;
	const char *receivers[RECEIVERS_MAX];
	unsigned receivers_count;
};

/* What they come to. */
struct plan {
	struct hk_tss_setup setup;
	__u32 sdi, generation;
	unsigned slot;
	bool split;
	__u8 enc[32], auth[32];
};

enum { OPT_SDI = 256, OPT_TSS, OPT_PROFILE, OPT_SLOT, OPT_GENERATION, OPT_DOMAIN };

static const struct option long_options[] = {
	{"out", required_argument, NULL, 'o'},
	{"receiver", required_argument, NULL, 'r'},
	{"envelope", required_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},
	{"sdi", required_argument, NULL, OPT_SDI},
	{"tss", required_argument, NULL, OPT_TSS},
	{"profile", required_argument, NULL, OPT_PROFILE},
	{"slot", required_argument, NULL, OPT_SLOT},
	{"generation", required_argument, NULL, OPT_GENERATION},
	{"domain", required_argument, NULL, OPT_DOMAIN},
	{NULL, 0, NULL, 0},
};

static const char **place_of(struct wishes *wishes, int option)
{
	switch (option) {
	case 'o': return &wishes->out;
	case 'e': return &wishes->envelope;
	case 'r':
		return wishes->receivers_count < RECEIVERS_MAX ? &wishes->receivers[wishes->receivers_count++]
							       : NULL;
	case OPT_SDI: return &wishes->sdi;
	case OPT_TSS: return &wishes->tss;
	case OPT_PROFILE: return &wishes->profile;
	case OPT_SLOT: return &wishes->slot;
	case OPT_GENERATION: return &wishes->generation;
	case OPT_DOMAIN: return &wishes->domain;
	default: return NULL;
	}
}

/* 0, 1 when help was printed, or negative errno and a sentence. */
static int read_wishes(struct wishes *wishes, int argc, char **argv, struct hk_error *error)
{
	int option;

	while ((option = getopt_long(argc, argv, ":o:r:e:h", long_options, NULL)) != -1) {
		const char **place = place_of(wishes, option);

		if (place) {
			*place = optarg;
		} else if (option == 'h') {
			fputs(help, stdout);
			return 1;
		} else {
			return hk_error_set(error, EINVAL,
				"%s: unknown option for tss, or without its value: see --envelope tss --help",
				argv[optind - 1]);
		}
	}
	return argc == optind ? 0 : hk_error_set(error, EINVAL, "%s: unexpected; options only", argv[optind]);
}

static int number(const char *what, const char *text, __u64 max, __u64 *out, struct hk_error *error)
{
	if (text && hk_number_parse(text, max, out))
		return hk_error_set(error, EINVAL, "--%s '%s': must be a number from 0 to %llu", what, text,
			(unsigned long long)max);
	return 0;
}

static int check_receivers(const struct wishes *wishes, struct hk_error *error)
{
	struct hk_prefix prefix;
	unsigned i;

	for (i = 0; i < wishes->receivers_count; i++)
		if (hk_prefix_parse(wishes->receivers[i], &prefix))
			return hk_error_set(error, EINVAL, "--receiver '%s': must be an address or a prefix",
				wishes->receivers[i]);
	return i ? 0 : hk_error_set(error, EINVAL, "no --receiver: whose packets does the box see?");
}

static int judge(struct plan *plan, const struct wishes *wishes, struct hk_error *error)
{
	__u64 sdi = 0, slot = 0, generation = 1;
	bool single = wishes->profile && strcmp(wishes->profile, "single") == 0;

	if (!wishes->out || !wishes->sdi || !wishes->tss) {
		hk_error_set(error, EINVAL, "--%s is missing",
			!wishes->out   ? "out"
			: !wishes->sdi ? "sdi"
				       : "tss");
		return -EINVAL;
	}
	if (wishes->profile && !single && strcmp(wishes->profile, "split") != 0)
		return hk_error_set(
			error, EINVAL, "--profile '%s': must be split or single", wishes->profile);
	if (hk_tss_setup_parse(&plan->setup, wishes->tss, error) ||
		number("sdi", wishes->sdi, HK_TSS_SDI_MAX, &sdi, error) ||
		number("slot", wishes->slot, 1, &slot, error) ||
		number("generation", wishes->generation, 0xffffffff, &generation, error))
		return -EINVAL;
	plan->split = !single;
	plan->sdi = (__u32)sdi;
	plan->slot = (unsigned)slot;
	plan->generation = (__u32)generation;
	return check_receivers(wishes, error);
}

static void add_key(const struct plan *plan, const char *side, const __u8 *key, char *text, size_t room)
{
	size_t used = strlen(text);
	char hex[65];

	hk_hex_format(key, 32, hex);
	snprintf(text + used, room - used, "id=%u slot=%u generation=%u side=%s key=%s\n", plan->sdi,
		plan->slot, plan->generation, side, hex);
	hk_wipe(hex, sizeof(hex));
}

static __attribute__((format(printf, 3, 4))) void say(char *text, size_t room, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, room - used, format, arguments);
	va_end(arguments);
}

/* "a+b" as a YAML list. */
static void say_list(char *text, size_t room, char *words)
{
	char *rest = NULL, *word;
	const char *before = "[";

	for (word = strtok_r(words, "+", &rest); word; word = strtok_r(NULL, "+", &rest)) {
		say(text, room, "%s\"%s\"", before, word);
		before = ", ";
	}
	say(text, room, "]\n");
}

/* The words of --tss as a YAML mapping: its keys and values are the same. */
static void say_setup(const char *setup, char *text, size_t room)
{
	char copy[1024], *rest = NULL, *word, *value;

	snprintf(copy, sizeof(copy), "%s", setup); /* it was parsed: it fits */
	for (word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		value = strchr(word, '=');
		*value++ = '\0';
		say(text, room, "      %s: ", word);
		if (strcmp(word, "servers") == 0)
			say_list(text, room, value);
		else
			say(text, room, "%s\n", value);
	}
}

static void say_domain(const struct wishes *wishes, const struct plan *plan, char *text, size_t room)
{
	unsigned i;

	say(text, room, "domains:\n  - name: %s\n    envelope: tss\n    profile: %s\n    keys: box.keys\n",
		wishes->domain ? wishes->domain : "fabric", plan->split ? "split" : "single");
	say(text, room, "    receivers: [");
	for (i = 0; i < wishes->receivers_count; i++)
		say(text, room, "%s\"%s\"", i ? ", " : "", wishes->receivers[i]);
	say(text, room, "]\n    tss:\n");
	say_setup(wishes->tss, text, room);
}

static int write_file(const char *directory, const char *name, const char *text, struct hk_error *error)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return hk_newfile_write(path, 0600, text, strlen(text), error);
}

/* All files, or none. */
static int write_files(const struct wishes *wishes, struct plan *plan, struct hk_error *error)
{
	static const char *const names[] = {"box.keys", "hosts.keys", "domain.yaml"};
	static char texts[3][TEXT_MAX];
	char path[600];
	unsigned i;
	int status = 0;

	add_key(plan, plan->split ? "enc" : "single", plan->enc, texts[0], TEXT_MAX);
	add_key(plan, plan->split ? "enc" : "single", plan->enc, texts[1], TEXT_MAX);
	if (plan->split)
		add_key(plan, "auth", plan->auth, texts[1], TEXT_MAX);
	say_domain(wishes, plan, texts[2], TEXT_MAX);
	if (mkdir(wishes->out, 0700) && errno != EEXIST)
		status = hk_error_set(error, errno, "%s: cannot be made: %s", wishes->out, strerror(errno));
	for (i = 0; i < 3 && !status; i++)
		status = write_file(wishes->out, names[i], texts[i], error);
	if (status && i)
		for (i--; i--;) {
			snprintf(path, sizeof(path), "%s/%s", wishes->out, names[i]);
			unlink(path);
		}
	hk_wipe(texts, sizeof(texts));
	return status;
}

int hk_endpoint_keygen_tss(int argc, char **argv)
{
	static const __u8 label[32] = "halfkey keygen";
	struct wishes wishes = {0};
	struct hk_error error = {{0}};
	struct plan plan = {0};
	__u8 fingerprint[8];
	char text[17];
	int status = read_wishes(&wishes, argc, argv, &error);

	if (status == 1)
		return 0;
	if (!status)
		status = judge(&plan, &wishes, &error);
	if (!status && (RAND_priv_bytes(plan.enc, 32) != 1 || RAND_priv_bytes(plan.auth, 32) != 1))
		status = hk_error_set(&error, EIO, "no random bytes");
	if (!status && wishes.out) /* judge() has seen to it */
		status = write_files(&wishes, &plan, &error);
	hk_crypto_fingerprint(label, plan.enc, 32, fingerprint);
	hk_hex_format(fingerprint, 8, text);
	hk_wipe(plan.enc, sizeof(plan.enc));
	hk_wipe(plan.auth, sizeof(plan.auth));
	if (status)
		fprintf(stderr, "halfkey-endpoint keygen: %s\n", error.text);
	else
		printf("%s: box.keys, hosts.keys and domain.yaml of SDI %u, slot %u (%s), fingerprint %s\n%s",
			wishes.out, plan.sdi, plan.slot, plan.split ? "split" : "single", text,
			plan.split ? "" : "The box holds the one key: it verifies, and it could forge.\n");
	return status ? 1 : 0;
}
