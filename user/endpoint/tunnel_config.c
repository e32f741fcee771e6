// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the user wants of a tunnel: a YAML file (-c), options, or both; options
 * add to the file or replace its values. Values stay strings here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/tunnel.h"
#include "user/endpoint/yaml.h"

static const char help[] = "usage: halfkey-endpoint tunnel [-c FILE] [OPTION]...\n"
			   "\n"
			   "Runs a TUN tunnel whose packets cross the network sealed with derived keys.\n";

static const char example[] =
	"\n"
	"Prints counters on SIGUSR1 and at the end; SIGTERM ends it. SIGHUP reads configuration and\n"
	"key file again, and not a packet is lost.\n"
	"\n"
	"example: halfkey-endpoint tunnel --first-use --keys client.keys --local 192.0.2.1 \\\n"
	"           --peer 192.0.2.9=10.9.0.9/32 --address 10.9.0.1/24\n";

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

/* --- the command line ---------------------------------------------------------------------------- */

static int take_text(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	(void)error;
	set((char **)((char *)into + option->place), text);
	return 0;
}

static int take_peer(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	(void)option, (void)error;
	add_peer(into, text);
	return 0;
}

static int take_address(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct hk_tunnel_device_config *device = &((struct hk_tunnel_config *)into)->device;

	(void)option, (void)error;
	append(&device->addresses, &device->addresses_count, text);
	return 0;
}

/* What a peer may have of its own and stands behind a --peer is that peer's; without one it is the file's
 * only peer's. */
static int take_wish(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct hk_tunnel_config *config = into;
	unsigned count, row = (unsigned)option->place, uses = hk_wish_rows(&count)[row].uses;
	bool one = config->peers_count > config->peers_listed || config->peers_listed == 1;

	if (config->draft)
		return 0;
	if ((uses & HK_USE_PEER) && one) {
		hk_wish_set(&config->peers[config->peers_count - 1].wishes, row, text);
		return 0;
	}
	if (!(uses & HK_USE_TUNNEL))
		return hk_error_set(error, HK_EUSAGE, "--%s %.40s: no --peer stands before it", option->name,
			text ? text : "");
	hk_wish_set(&config->wishes, row, text);
	return 0;
}

#define AT(member) offsetof(struct hk_tunnel_config, member)

static const struct hk_option options[] = {
	{"config", 'c', "FILE", AT(path), NULL, "YAML file, as keygen writes it; options override it"},
	{"keys", 'k', "FILE", AT(keys), take_text, "this host's key file (mode 0600)"},
	{"state", 0, "DIR", AT(state), take_text, "nonce state (default: /var/lib/halfkey-endpoint)"},
	{"server", 0, "NAME[:PORT]", AT(server), take_text, "a key server instead of --keys; with it:"},
	{"ca", 0, "FILE", AT(ca), take_text, "the CA of all certificates (PEM)"},
	{"cert", 0, "FILE", AT(cert), take_text, "this host's certificate"},
	{"key", 0, "FILE", AT(key), take_text, "its private key, mode 0600"},
	{"domain", 0, "NAME", AT(domain), take_text, "the domain at the key server"},
	{"first-use", 0, NULL, AT(first_use), NULL,
		"these keys never sealed anything: create their nonce state"},
	{"prepare", 0, NULL, AT(prepare), NULL,
		"with --first-use: create it and end; a tunnel that runs takes\nthe new keys on SIGHUP"},
	{"levels", 0, "NAME,...", AT(levels), take_text,
		"with level= lines in the key file: the levels, in their order"},
	{"local", 'l', "ADDRESS", AT(local), take_text, "this host's outer address, IPv4 or IPv6"},
	{"peer", 'p', "ADDRESS[=PREFIX,...]", 0, take_peer,
		"a peer's outer address and the inner prefixes behind it\n"
		"(default: everything); repeat for more peers"},
	{"envelope", 'e', "NAME", AT(envelope), take_text, "psp (default), or another below"},
	{"dev", 'd', "NAME", AT(device.name), take_text, "TUN device to make (default: hk0)"},
	{"mtu", 0, "N", AT(device.mtu), take_text,
		"its MTU (default: what fits an outer packet of 1500 bytes)"},
	{"address", 'a', "ADDR/LEN", 0, take_address, "inner address to set on it; repeat for more"},
	{"stats", 0, "FILE", AT(stats), take_text, "counters as JSON, written on SIGUSR1 and at the end"},
	{"user", 0, "NAME", AT(user), take_text, "whom to become after set-up (default: nobody)"},
	{0},
};

static const struct hk_command_line line = {
	help, example, options, HK_USE_TUNNEL | HK_USE_PEER, take_wish, false};

static int make(struct hk_tunnel_config **config, struct hk_error *error)
{
	*config = calloc(1, sizeof(**config));
	if (*config)
		return 0;
	hk_error_set(error, ENOMEM, "no memory for a configuration");
	return -ENOMEM;
}

/*
 * What the file says, if one is named, and above it the options, wherever -c stands among them: so
 * they are read twice.
 */
static int read_both(
	struct hk_tunnel_config **config, int argc, char **argv, int file, struct hk_error *error)
{
	const char *path;
	int status;

	(*config)->draft = true;
	status = hk_command_line_read(&line, *config, argc, argv, error);
	path = (*config)->path;
	hk_tunnel_config_free(*config);
	*config = NULL;
	if (!status)
		status = path ? load(config, path, file, error) : make(config, error);
	if (status)
		return status;
	(*config)->peers_listed = (*config)->peers_count;
	return hk_command_line_read(&line, *config, argc, argv, error);
}

int hk_tunnel_config_read(
	struct hk_tunnel_config **out, int argc, char **argv, int file, struct hk_error *error)
{
	struct hk_tunnel_config *config = NULL;
	int status = make(&config, error);
	unsigned i;

	if (!status)
		status = read_both(&config, argc, argv, file, error);
	if (!status && !config->path && !config->local)
		status = hk_error_set(
			error, HK_EUSAGE, "no local address: name a configuration (-c) or --local");
	if (status) {
		hk_tunnel_config_free(config);
		return status;
	}
	for (i = 0; i < config->peers_count; i++)
		config->peers[i].wishes.host = &config->wishes;
	*out = config;
	return 0;
}
