// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey-endpoint keygen`: the command line. See keygen.h for what is written. */
#include "user/endpoint/keygen.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/commands.h"

static const char help[] =
	"Usage: halfkey-endpoint keygen --out DIR --peer NAME=OUTER[,INNER...] --peer ... [OPTION]...\n"
	"Writes matching key files: one for the box, one for each host, all of mode 0600, and\n"
	"configuration to go with them. Never overwrites a file. Prints fingerprints, no keys.\n"
	"\n"
	"  -o, --out DIR          where to write; made (0700) when missing\n"
	"  -p, --peer NAME=OUTER[,INNER...]\n"
	"                         a host: its name, outer address, and inner addresses (10.9.0.1/24)\n"
	"                         or prefixes behind it (10.20.0.0/16); at least two hosts\n"
	"  -e, --envelope NAME    psp (default) or esp; tss has options of its own: --envelope tss --help\n"
	"      --profile NAME     split (default): the box sees, cannot forge;\n"
	"                         single: the box holds the one key, and could forge\n"
	"      --version N        PSP version (default: 5 split, 1 single)\n"
	"      --suite NAME       ESP suite (default: ctr-hmac split, gcm single)\n"
	"      --mkid N           ESP: MKID of the derivation context (default: 1)\n"
	"      --carrier NAME     ESP: udp (default) or ip, for the tunnel files\n"
	"      --slot N           master key slot: PSP 0 or 1, ESP 0 to 3 (default: 0)\n"
	"      --generation N     generation of the master keys (default: 1)\n"
	"      --spis N           SPIs per sender and receiver, 1 to 16 (default: 2)\n"
	"      --domain NAME      name in domain.yaml (default: tunnel)\n"
	"\n"
	"Example:\n"
	"  halfkey-endpoint keygen --out keys --peer client=192.0.2.1,10.9.0.1/24 \\\n"
	"    --peer server=192.0.2.9,10.9.0.9/24\n";

/* What was written on the command line, before it is judged together. */
struct wishes {
	const char *envelope, *profile, *version, *suite;
};

static int number(
	const char *what, const char *text, __u64 min, __u64 max, __u64 *out, struct hk_error *error)
{
	if (hk_number_parse(text, max, out) || *out < min)
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from %llu to %llu", what, text,
			(unsigned long long)min, (unsigned long long)max);
	return 0;
}

static bool good_name(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return i > 0 && i < 32 && strcmp(name, "box") != 0 && name[0] != '-';
}

/* ADDRESS/LENGTH: an address of the host; a prefix without host bits: a network behind it. */
static int add_inner(struct hk_keygen_host *host, const char *text, struct hk_error *error)
{
	const char *slash = strchr(text, '/');
	struct hk_prefix prefix;
	char alone[64];
	__u64 length;
	bool is_address;

	if (host->inner_count == HK_KEYGEN_INNER || strlen(text) >= sizeof(alone))
		return hk_error_set(
			error, EINVAL, "peer '%s': at most %d inner addresses", host->name, HK_KEYGEN_INNER);
	snprintf(alone, sizeof(alone), "%.*s", slash ? (int)(slash - text) : 0, text);
	if (!slash || hk_prefix_parse(alone, &prefix) ||
		hk_number_parse(slash + 1, hk_address_is_v4(&prefix.address) ? 32 : 128, &length))
		return hk_error_set(error, EINVAL, "peer '%s': inner '%s' must be ADDRESS/LENGTH or a prefix",
			host->name, text);
	is_address = hk_prefix_parse(text, &prefix) != 0 || prefix.length == 128;
	snprintf(host->inner[host->inner_count], 64, "%s", text);
	host->inner_is_address[host->inner_count++] = is_address;
	return 0;
}

static int check_new_host(
	const struct hk_keygen *keygen, const struct hk_keygen_host *host, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keygen->hosts_count; i++) {
		if (strcmp(keygen->hosts[i].name, host->name) == 0)
			return hk_error_set(
				error, EINVAL, "peer '%s' stands twice: every host needs a name", host->name);
		if (memcmp(&keygen->hosts[i].address, &host->address, sizeof(host->address)) == 0)
			return hk_error_set(error, EINVAL, "peer '%s': its address is that of '%s' already",
				host->name, keygen->hosts[i].name);
	}
	return 0;
}

static int add_host(struct hk_keygen *keygen, const char *value, struct hk_error *error)
{
	struct hk_keygen_host *host = &keygen->hosts[keygen->hosts_count];
	char text[512], *address, *rest = NULL, *word;
	int status;

	if (keygen->hosts_count == HK_KEYGEN_HOSTS || strlen(value) >= sizeof(text))
		return hk_error_set(error, EINVAL, "peer '%.40s': at most %d peers", value, HK_KEYGEN_HOSTS);
	snprintf(text, sizeof(text), "%s", value);
	address = strchr(text, '=');
	if (!address)
		return hk_error_set(error, EINVAL, "peer '%s': must be NAME=ADDRESS[,INNER...]", value);
	*address++ = '\0';
	if (!good_name(text))
		return hk_error_set(error, EINVAL,
			"peer '%s': a name is up to 31 letters, digits, '-' and '_', not 'box'", text);
	snprintf(host->name, sizeof(host->name), "%.31s", text);
	word = strtok_r(address, ",", &rest);
	if (!word || hk_address_parse(word, &host->address))
		return hk_error_set(error, EINVAL, "peer '%s': '%s' must be an IPv4 or IPv6 address",
			host->name, word ? word : "");
	status = check_new_host(keygen, host, error);
	while (!status && (word = strtok_r(NULL, ",", &rest)))
		status = add_inner(host, word, error);
	if (!status)
		keygen->hosts_count++;
	return status;
}

static int judge_variant(struct hk_keygen *keygen, const struct wishes *wishes, struct hk_error *error)
{
	bool split = keygen->profile == HK_PROFILE_SPLIT;
	__u64 version = split ? HK_PSP_SPLIT_256 : HK_PSP_GCM_256;
	int suite = split ? HK_SUITE_CTR_HMAC : HK_SUITE_GCM;
	const char *wish = keygen->envelope == HK_ENVELOPE_PSP ? wishes->version : wishes->suite;

	if (keygen->envelope == HK_ENVELOPE_PSP && wishes->suite)
		return hk_error_set(error, EINVAL, "suite '%s': PSP has versions, not suites", wishes->suite);
	if (keygen->envelope == HK_ENVELOPE_ESP && wishes->version)
		return hk_error_set(
			error, EINVAL, "version '%s': ESP has suites, not versions", wishes->version);
	if (wishes->version && number("version", wishes->version, 0, 15, &version, error))
		return -EINVAL;
	if (wishes->suite)
		suite = hk_suite_by_name(wishes->suite);
	keygen->variant = keygen->envelope == HK_ENVELOPE_PSP ? (__u8)version : (__u8)(suite > 0 ? suite : 0);
	if (hk_sa_profile(keygen->envelope, keygen->variant) != keygen->profile)
		return hk_error_set(error, EINVAL, "'%s' is not of the profile '%s': %s", wish,
			hk_profile_name(keygen->profile),
			keygen->envelope == HK_ENVELOPE_PSP
				? "split has versions 4 and 5, single 0 and 1"
				: "split has ctr-hmac, gcm-split and cbc-hmac, single gcm");
	return 0;
}

/* Every host needs somebody to talk to over its own IP version. */
static int judge_hosts(const struct hk_keygen *keygen, struct hk_error *error)
{
	unsigned i, j;
	bool found;

	if (keygen->hosts_count < 2)
		return hk_error_set(
			error, EINVAL, "%u peers: name at least two with --peer", keygen->hosts_count);
	for (i = 0; i < keygen->hosts_count; i++) {
		for (found = false, j = 0; j < keygen->hosts_count; j++)
			found |= j != i && hk_address_is_v4(&keygen->hosts[i].address) ==
						   hk_address_is_v4(&keygen->hosts[j].address);
		if (!found)
			return hk_error_set(error, EINVAL,
				"peer '%s': no other peer has an outer address of its IP version",
				keygen->hosts[i].name);
	}
	return 0;
}

static int judge(struct hk_keygen *keygen, const struct wishes *wishes, struct hk_error *error)
{
	int envelope = wishes->envelope ? hk_envelope_by_name(wishes->envelope) : HK_ENVELOPE_PSP;

	if (envelope != HK_ENVELOPE_PSP && envelope != HK_ENVELOPE_ESP)
		return hk_error_set(error, EINVAL, "envelope '%s': must be psp or esp", wishes->envelope);
	if (wishes->profile && strcmp(wishes->profile, "split") != 0 &&
		strcmp(wishes->profile, "single") != 0)
		return hk_error_set(error, EINVAL, "profile '%s': must be split or single", wishes->profile);
	keygen->envelope = (__u8)envelope;
	keygen->profile = wishes->profile && wishes->profile[1] == 'i' ? HK_PROFILE_SINGLE : HK_PROFILE_SPLIT;
	if (keygen->slot > (envelope == HK_ENVELOPE_PSP ? 1 : 3))
		return hk_error_set(error, EINVAL, "slot '%u': PSP has 0 and 1, ESP 0 to 3", keygen->slot);
	if (strcmp(keygen->carrier, "udp") != 0 && strcmp(keygen->carrier, "ip") != 0)
		return hk_error_set(error, EINVAL, "carrier '%s': must be udp or ip", keygen->carrier);
	if (!good_name(keygen->domain))
		return hk_error_set(
			error, EINVAL, "domain '%s': up to 31 letters, digits, '-' and '_'", keygen->domain);
	if (!keygen->out)
		return hk_error_set(error, EINVAL, "no directory to write to: name it with --out");
	if (judge_variant(keygen, wishes, error))
		return -EINVAL;
	return judge_hosts(keygen, error);
}

enum {
	OPT_PROFILE = 256,
	OPT_VERSION,
	OPT_SUITE,
	OPT_MKID,
	OPT_CARRIER,
	OPT_SLOT,
	OPT_GENERATION,
	OPT_SPIS,
	OPT_DOMAIN
};

static const struct option options[] = {
	{"out", required_argument, NULL, 'o'},
	{"peer", required_argument, NULL, 'p'},
	{"envelope", required_argument, NULL, 'e'},
	{"profile", required_argument, NULL, OPT_PROFILE},
	{"version", required_argument, NULL, OPT_VERSION},
	{"suite", required_argument, NULL, OPT_SUITE},
	{"mkid", required_argument, NULL, OPT_MKID},
	{"carrier", required_argument, NULL, OPT_CARRIER},
	{"slot", required_argument, NULL, OPT_SLOT},
	{"generation", required_argument, NULL, OPT_GENERATION},
	{"spis", required_argument, NULL, OPT_SPIS},
	{"domain", required_argument, NULL, OPT_DOMAIN},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int take_number(struct hk_keygen *keygen, int option, struct hk_error *error)
{
	__u64 value = 0;

	switch (option) {
	case OPT_MKID:
		if (number("mkid", optarg, 0, 65535, &value, error))
			return -EINVAL;
		keygen->mkid = (__u16)value;
		return 0;
	case OPT_SLOT:
		if (number("slot", optarg, 0, 3, &value, error))
			return -EINVAL;
		keygen->slot = (__u8)value;
		return 0;
	case OPT_GENERATION:
		if (number("generation", optarg, 0, 0xffffffff, &value, error))
			return -EINVAL;
		keygen->generation = (__u32)value;
		return 0;
	default:
		if (number("spis", optarg, 1, 16, &value, error))
			return -EINVAL;
		keygen->spis = (unsigned)value;
		return 0;
	}
}

static int take_option(
	struct hk_keygen *keygen, struct wishes *wishes, int option, char **argv, struct hk_error *error)
{
	switch (option) {
	case 'o': keygen->out = optarg; return 0;
	case 'p': return add_host(keygen, optarg, error);
	case 'e': wishes->envelope = optarg; return 0;
	case OPT_PROFILE: wishes->profile = optarg; return 0;
	case OPT_VERSION: wishes->version = optarg; return 0;
	case OPT_SUITE: wishes->suite = optarg; return 0;
	case OPT_CARRIER: keygen->carrier = optarg; return 0;
	case OPT_DOMAIN: keygen->domain = optarg; return 0;
	case OPT_MKID:
	case OPT_SLOT:
	case OPT_GENERATION:
	case OPT_SPIS: return take_number(keygen, option, error);
	case 'h': fputs(help, stdout); return 1;
	case ':': return hk_error_set(error, EINVAL, "%s needs a value: see --help", argv[optind - 1]);
	default: return hk_error_set(error, EINVAL, "%s: unknown option: see --help", argv[optind - 1]);
	}
}

int hk_endpoint_keygen(int argc, char **argv)
{
	static struct hk_keygen keygen = {
		.mkid = 1, .generation = 1, .spis = 2, .domain = "tunnel", .carrier = "udp"};
	struct wishes wishes = {0};
	struct hk_error error = {{0}};
	int status = 0, option;

	if (hk_endpoint_wants_tss(argc, argv))
		return hk_endpoint_keygen_tss(argc, argv);
	while (!status && (option = getopt_long(argc, argv, ":o:p:e:h", options, NULL)) != -1)
		status = take_option(&keygen, &wishes, option, argv, &error);
	if (status == 1)
		return 0;
	if (!status && optind < argc)
		status = hk_error_set(&error, EINVAL, "%s: unexpected word: see --help", argv[optind]);
	if (!status)
		status = judge(&keygen, &wishes, &error);
	if (!status)
		status = hk_keygen_write(&keygen, &error);
	hk_wipe(&keygen, sizeof(keygen));
	if (status)
		fprintf(stderr, "halfkey-endpoint keygen: %s\n", error.text);
	return status ? 1 : 0;
}
