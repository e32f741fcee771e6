// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the user wants of a tunnel: a YAML file (-c), options, or both; options
 * add to the file or replace its values. Values stay strings here.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/tunnel.h"
#include "user/endpoint/yaml.h"

static const char help[] =
	"Usage: halfkey-endpoint tunnel [-c FILE] [OPTION]...\n"
	"Runs a TUN tunnel whose packets cross the network sealed with derived keys.\n"
	"\n"
	"  -c, --config FILE      YAML file, as keygen writes it; options below override it\n"
	"  -k, --keys FILE        this host's key file (mode 0600)\n"
	"      --state DIR        nonce state (default: /var/lib/halfkey-endpoint)\n"
	"      --server NAME[:PORT]   a key server instead of --keys; with it:\n"
	"      --ca, --cert, --key FILE   the CA, this host's certificate and its private key\n"
	"      --domain NAME      the domain at the key server\n"
	"      --first-use        these keys never sealed anything: create their nonce state\n"
	"      --prepare          with --first-use: create it and end; a tunnel that runs takes\n"
	"                         the new keys on SIGHUP\n"
	"      --levels NAME,...  with level= lines in the key file: the levels, in their order\n"
	"  -l, --local ADDRESS    this host's outer address, IPv4 or IPv6\n"
	"  -p, --peer ADDRESS[=PREFIX,...]\n"
	"                         a peer's outer address and the inner prefixes behind it\n"
	"                         (default: everything); repeat for more peers\n"
	"  -e, --envelope NAME    psp (default), or another below\n"
	"  -d, --dev NAME         TUN device to make (default: hk0)\n"
	"      --mtu N            its MTU (default: what fits an outer packet of 1500 bytes)\n"
	"  -a, --address ADDR/LEN inner address to set on it; repeat for more\n"
	"      --stats FILE       counters as JSON, written on SIGUSR1 and at the end\n"
	"      --user NAME        whom to become after set-up (default: nobody)\n"
	"\n"
	"Prints counters on SIGUSR1 and at the end; SIGTERM ends it. SIGHUP reads configuration and\n"
	"key file again, and not a packet is lost.\n";

static const char example[] =
	"\n"
	"Example:\n"
	"  halfkey-endpoint tunnel --first-use --keys client.keys --local 192.0.2.1 \\\n"
	"    --peer 192.0.2.9=10.9.0.9/32 --address 10.9.0.1/24\n";

#define TEXT(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, 4096)

static const cyaml_schema_value_t text_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 64)};

static const cyaml_schema_field_t device_fields[] = {
	TEXT("name", struct hk_tunnel_device_config, name),
	TEXT("mtu", struct hk_tunnel_device_config, mtu),
	CYAML_FIELD_SEQUENCE("addresses", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
		struct hk_tunnel_device_config, addresses, &text_entry, 0, 16),
	CYAML_FIELD_END,
};

/* Fields that every envelope has, then those of the speakers' rows. */
static cyaml_schema_field_t peer_fields[4 + HK_WISHES_MAX] = {
	CYAML_FIELD_STRING_PTR("remote", CYAML_FLAG_POINTER, struct hk_tunnel_peer_config, remote, 1, 64),
	CYAML_FIELD_SEQUENCE("routes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_tunnel_peer_config,
		routes, &text_entry, 0, HK_TUNNEL_ROUTES),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t peer_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct hk_tunnel_peer_config, peer_fields)};

static cyaml_schema_field_t config_fields[20 + HK_WISHES_MAX] = {
	TEXT("keys", struct hk_tunnel_config, keys),
	TEXT("state", struct hk_tunnel_config, state),
	TEXT("local", struct hk_tunnel_config, local),
	TEXT("envelope", struct hk_tunnel_config, envelope),
	TEXT("levels", struct hk_tunnel_config, levels),
	TEXT("server", struct hk_tunnel_config, server),
	TEXT("ca", struct hk_tunnel_config, ca),
	TEXT("cert", struct hk_tunnel_config, cert),
	TEXT("key", struct hk_tunnel_config, key),
	TEXT("domain", struct hk_tunnel_config, domain),
	TEXT("stats", struct hk_tunnel_config, stats),
	TEXT("user", struct hk_tunnel_config, user),
	CYAML_FIELD_MAPPING("device", CYAML_FLAG_OPTIONAL, struct hk_tunnel_config, device, device_fields),
	CYAML_FIELD_SEQUENCE("peers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct hk_tunnel_config,
		peers, &peer_entry, 0, HK_TUNNEL_PEERS),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct hk_tunnel_config, config_fields)};

/* Appends what envelopes take in this place; `values` is where a struct hk_wishes has them. */
static void add_wishes(cyaml_schema_field_t *fields, unsigned uses, size_t values)
{
	static const cyaml_schema_field_t end = CYAML_FIELD_END;
	const cyaml_schema_field_t field = TEXT("", struct hk_wishes, values[0]);
	unsigned count, i;
	const struct hk_wish *rows = hk_wish_rows(&count);

	while (fields->key)
		fields++;
	for (i = 0; i < count; i++) {
		if (!(rows[i].uses & uses))
			continue;
		*fields = field;
		fields->key = rows[i].name;
		fields->data_offset = (uint32_t)(values + i * sizeof(char *));
		fields++;
	}
	*fields = end;
}

static void complete_schema(void)
{
	static bool done;

	if (done)
		return;
	add_wishes(config_fields, HK_USE_TUNNEL, offsetof(struct hk_tunnel_config, wishes.values));
	add_wishes(peer_fields, HK_USE_PEER, offsetof(struct hk_tunnel_peer_config, wishes.values));
	done = true;
}

static int load(struct hk_tunnel_config **out, const char *path, int file, struct hk_error *error)
{
	int code;

	complete_schema();
	code = hk_yaml_load((void **)out, "a tunnel configuration", &config_schema, path, file, error);
	if (code)
		return code;
	hk_yaml_resolve(&(*out)->keys, path);
	hk_yaml_resolve(&(*out)->state, path);
	hk_yaml_resolve(&(*out)->stats, path);
	hk_yaml_resolve(&(*out)->ca, path);
	hk_yaml_resolve(&(*out)->cert, path);
	hk_yaml_resolve(&(*out)->key, path);
	return 0;
}

void hk_tunnel_config_free(struct hk_tunnel_config *config)
{
	complete_schema();
	hk_yaml_free(&config_schema, config);
}

static char *copy(const char *text)
{
	char *out = strdup(text);

	if (!out)
		abort(); /* at start, out of memory */
	return out;
}

static void set(char **place, const char *value)
{
	free(*place);
	*place = copy(value);
}

static void append(char ***list, unsigned *count, const char *value)
{
	char **grown = realloc(*list, (*count + 1) * sizeof(**list));

	if (!grown)
		abort();
	*list = grown;
	grown[(*count)++] = copy(value);
}

/* ADDRESS[=PREFIX,...] */
static void add_peer(struct hk_tunnel_config *config, const char *value)
{
	struct hk_tunnel_peer_config *grown, *peer;
	char *text = copy(value), *routes = strchr(text, '='), *rest = NULL, *word;

	grown = realloc(config->peers, (config->peers_count + 1) * sizeof(*grown));
	if (!grown)
		abort();
	config->peers = grown;
	peer = &grown[config->peers_count++];
	memset(peer, 0, sizeof(*peer));
	if (routes)
		*routes++ = '\0';
	peer->remote = copy(text);
	for (word = routes ? strtok_r(routes, ",", &rest) : NULL; word; word = strtok_r(NULL, ",", &rest))
		append(&peer->routes, &peer->routes_count, word);
	free(text);
}

enum {
	OPT_STATE = 256,
	OPT_FIRST_USE,
	OPT_PREPARE,
	OPT_LEVELS,
	OPT_SERVER,
	OPT_CA,
	OPT_CERT,
	OPT_KEY,
	OPT_DOMAIN,
	OPT_MTU,
	OPT_STATS,
	OPT_USER,
	OPT_WISHES /* rows of hk_wish_rows() from here on */
};

#define OWN_OPTIONS (sizeof(own_options) / sizeof(own_options[0]))

static const struct option own_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"keys", required_argument, NULL, 'k'},
	{"state", required_argument, NULL, OPT_STATE},
	{"levels", required_argument, NULL, OPT_LEVELS},
	{"server", required_argument, NULL, OPT_SERVER},
	{"ca", required_argument, NULL, OPT_CA},
	{"cert", required_argument, NULL, OPT_CERT},
	{"key", required_argument, NULL, OPT_KEY},
	{"domain", required_argument, NULL, OPT_DOMAIN},
	{"first-use", no_argument, NULL, OPT_FIRST_USE},
	{"prepare", no_argument, NULL, OPT_PREPARE},
	{"local", required_argument, NULL, 'l'},
	{"peer", required_argument, NULL, 'p'},
	{"envelope", required_argument, NULL, 'e'},
	{"dev", required_argument, NULL, 'd'},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"address", required_argument, NULL, 'a'},
	{"stats", required_argument, NULL, OPT_STATS},
	{"user", required_argument, NULL, OPT_USER},
	{"help", no_argument, NULL, 'h'},
};

static struct option long_options[OWN_OPTIONS + HK_WISHES_MAX + 1];
static const char short_options[] = ":c:k:l:p:e:d:a:h";

/* Where an option's value goes; NULL: not a plain string. */
static char **place_of(struct hk_tunnel_config *config, int option)
{
	switch (option) {
	case 'k': return &config->keys;
	case 'l': return &config->local;
	case 'e': return &config->envelope;
	case 'd': return &config->device.name;
	case OPT_SERVER: return &config->server;
	case OPT_CA: return &config->ca;
	case OPT_CERT: return &config->cert;
	case OPT_KEY: return &config->key;
	case OPT_DOMAIN: return &config->domain;
	case OPT_STATE: return &config->state;
	case OPT_LEVELS: return &config->levels;
	case OPT_MTU: return &config->device.mtu;
	case OPT_STATS: return &config->stats;
	case OPT_USER: return &config->user;
	default: return NULL;
	}
}

/* What a peer may have of its own and stands behind a --peer is that peer's. */
static int apply_wish(struct hk_tunnel_config *config, unsigned row, struct hk_error *error)
{
	unsigned count;
	const struct hk_wish *wish = &hk_wish_rows(&count)[row];

	if ((wish->uses & HK_USE_PEER) && config->peers_count) {
		hk_wish_set(&config->peers[config->peers_count - 1].wishes, row, optarg);
		return 0;
	}
	if (!(wish->uses & HK_USE_TUNNEL))
		return hk_error_set(error, HK_EUSAGE, "--%s %s: no --peer stands before it", wish->name,
			optarg ? optarg : "");
	hk_wish_set(&config->wishes, row, optarg);
	return 0;
}

static int apply(struct hk_tunnel_config *config, int option, char **argv, struct hk_error *error)
{
	char **place = place_of(config, option);

	if (place) {
		set(place, optarg);
		return 0;
	}
	if (option >= OPT_WISHES)
		return apply_wish(config, (unsigned)(option - OPT_WISHES), error);
	switch (option) {
	case 'c': return 0; /* read first, see below */
	case 'p': add_peer(config, optarg); return 0;
	case 'a': append(&config->device.addresses, &config->device.addresses_count, optarg); return 0;
	case OPT_FIRST_USE: config->first_use = true; return 0;
	case OPT_PREPARE: config->prepare = true; return 0;
	case ':': return hk_error_set(error, HK_EUSAGE, "%s needs a value: see --help", argv[optind - 1]);
	default: return hk_error_set(error, HK_EUSAGE, "%s: unknown option: see --help", argv[optind - 1]);
	}
}

static void print_help(void)
{
	fputs(help, stdout);
	hk_wishes_help(HK_USE_TUNNEL | HK_USE_PEER, stdout);
	fputs(example, stdout);
}

/* The file named by -c, wherever it stands, before any option is applied to what it says. */
static int read_file(struct hk_tunnel_config **out, int argc, char **argv, int file, struct hk_error *error)
{
	const char *path = NULL;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (option == 'c')
			path = optarg;
		if (option == 'h') {
			print_help();
			return 1;
		}
	}
	if (path) {
		option = load(out, path, file, error);
		if (option)
			return option;
		(*out)->path = path;
		return 0;
	}
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : hk_error_set(error, ENOMEM, "no memory for a configuration");
}

int hk_tunnel_config_read(
	struct hk_tunnel_config **out, int argc, char **argv, int file, struct hk_error *error)
{
	struct hk_tunnel_config *config = NULL;
	int status, option;
	unsigned i;

	memcpy(long_options, own_options, sizeof(own_options));
	hk_wish_options(
		long_options + OWN_OPTIONS, HK_WISHES_MAX + 1, HK_USE_TUNNEL | HK_USE_PEER, OPT_WISHES);
	status = read_file(&config, argc, argv, file, error);
	if (status)
		return status;
	optind = 0;
	while (!status && (option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
		status = apply(config, option, argv, error);
	if (!status && optind < argc)
		status = hk_error_set(error, HK_EUSAGE, "%s: unexpected word: see --help", argv[optind]);
	if (!status && !config->path && !config->local)
		status = hk_error_set(error, HK_EUSAGE,
			"no local address: name a configuration (-c) or --local: see --help");
	for (i = 0; i < config->peers_count; i++)
		config->peers[i].wishes.host = &config->wishes;
	if (status)
		hk_tunnel_config_free(config);
	else
		*out = config;
	return status;
}
