// SPDX-License-Identifier: GPL-2.0-or-later
/* The hosts that `halfkey-endpoint keygen` makes keys for: see keygen.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keygen.h"

/* Names of files, and of domains. */
bool hk_keygen_good_name(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return i > 0 && i < 32 && name[0] != '-';
}

/* Files of their own have these names. */
static bool is_taken(const char *name)
{
	return strcmp(name, "box") == 0 || strcmp(name, "readers") == 0 || strcmp(name, "levels") == 0;
}

/* What the route to an inner address, or to a prefix, is: two hosts with one cannot be told apart. */
static const char *route_of(const struct hk_keygen_host *host, unsigned index, char route[64])
{
	const char *inner = host->inner[index];
	size_t length = host->inner_is_address[index] ? strcspn(inner, "/") : strlen(inner);

	snprintf(route, 64, "%.*s", (int)length, inner);
	return route;
}

static int check_inner(const struct hk_keygen *keygen, const struct hk_keygen_host *host, unsigned index,
	struct hk_error *error)
{
	struct hk_prefix ours, theirs;
	char route[64], other[64];
	unsigned i, k;

	if (hk_prefix_parse(route_of(host, index, route), &ours))
		return hk_error_set(error, EINVAL, "peer '%s': inner '%s' must be ADDRESS/LENGTH or a prefix",
			host->name, host->inner[index]);
	for (i = 0; i < keygen->hosts_count; i++)
		for (k = 0; k < keygen->hosts[i].inner_count; k++) {
			hk_prefix_parse(route_of(&keygen->hosts[i], k, other), &theirs);
			if (memcmp(&ours, &theirs, sizeof(ours)) == 0)
				return hk_error_set(error, EINVAL,
					"peer '%s': inner '%s' is that of '%s' already: packets for it have "
					"one way",
					host->name, host->inner[index], keygen->hosts[i].name);
		}
	return 0;
}

/* ADDRESS/LENGTH: an address of the host; a prefix without host bits: a network behind it. */
static int add_inner(
	const struct hk_keygen *keygen, struct hk_keygen_host *host, const char *text, struct hk_error *error)
{
	const char *slash = strchr(text, '/');
	struct hk_prefix prefix;
	char alone[64];
	__u64 length;

	if (host->inner_count == HK_KEYGEN_INNER || strlen(text) >= sizeof(alone))
		return hk_error_set(
			error, EINVAL, "peer '%s': at most %d inner addresses", host->name, HK_KEYGEN_INNER);
	snprintf(alone, sizeof(alone), "%.*s", slash ? (int)(slash - text) : 0, text);
	if (!slash || hk_prefix_parse(alone, &prefix) ||
		hk_number_parse(slash + 1, hk_address_is_v4(&prefix.address) ? 32 : 128, &length))
		return hk_error_set(error, EINVAL, "peer '%s': inner '%s' must be ADDRESS/LENGTH or a prefix",
			host->name, text);
	snprintf(host->inner[host->inner_count], 64, "%s", text);
	host->inner_is_address[host->inner_count] =
		hk_prefix_parse(text, &prefix) != 0 || prefix.length == 128;
	return check_inner(keygen, host, host->inner_count++, error);
}

static int check_new(
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

static int add_host(struct hk_keygen *keygen, const char *value, bool fresh, struct hk_error *error)
{
	struct hk_keygen_host *host = &keygen->hosts[keygen->hosts_count];
	char text[1024], *address, *rest = NULL, *word;
	int status;

	if (strlen(value) >= sizeof(text))
		return hk_error_set(
			error, EINVAL, "peer '%.40s': longer than %zu bytes", value, sizeof(text) - 1);
	snprintf(text, sizeof(text), "%s", value);
	address = strchr(text, '=');
	if (!address)
		return hk_error_set(error, EINVAL, "peer '%s': must be NAME=ADDRESS[,INNER...]", value);
	*address++ = '\0';
	if (!hk_keygen_good_name(text) || is_taken(text))
		return hk_error_set(error, EINVAL,
			"peer '%s': a name is up to 31 letters, digits, '-' and '_', and none of box, "
			"readers, "
			"levels",
			text);
	snprintf(host->name, sizeof(host->name), "%.31s", text);
	host->fresh = fresh;
	word = strtok_r(address, ",", &rest);
	if (!word || hk_address_parse(word, &host->address))
		return hk_error_set(error, EINVAL, "peer '%s': '%s' must be an IPv4 or IPv6 address",
			host->name, word ? word : "");
	status = check_new(keygen, host, error);
	while (!status && (word = strtok_r(NULL, ",", &rest)))
		status = add_inner(keygen, host, word, error);
	if (!status)
		keygen->hosts_count++;
	return status;
}

static int drop_host(struct hk_keygen *keygen, const char *name, struct hk_error *error)
{
	unsigned i;

	for (i = 0; i < keygen->hosts_count; i++)
		if (strcmp(keygen->hosts[i].name, name) == 0)
			break;
	if (i == keygen->hosts_count)
		return hk_error_set(error, ENOENT, "--drop '%.40s': no peer of this name", name);
	keygen->hosts_count--;
	memmove(&keygen->hosts[i], &keygen->hosts[i + 1],
		(keygen->hosts_count - i) * sizeof(keygen->hosts[i]));
	memset(&keygen->hosts[keygen->hosts_count], 0, sizeof(keygen->hosts[i]));
	return 0;
}

bool hk_keygen_can_talk(const struct hk_keygen *keygen, unsigned a, unsigned b)
{
	return a != b &&
	       hk_address_is_v4(&keygen->hosts[a].address) == hk_address_is_v4(&keygen->hosts[b].address);
}

/* Every host needs somebody to talk to over its own IP version. */
static int judge(const struct hk_keygen *keygen, struct hk_error *error)
{
	unsigned i, j;
	bool found;

	if (keygen->hosts_count < 2)
		return hk_error_set(
			error, EINVAL, "%u peers: name at least two with --peer", keygen->hosts_count);
	for (i = 0; i < keygen->hosts_count; i++) {
		for (found = false, j = 0; j < keygen->hosts_count; j++)
			found |= hk_keygen_can_talk(keygen, i, j);
		if (!found)
			return hk_error_set(error, EINVAL,
				"peer '%s': no other peer has an outer address of its IP version",
				keygen->hosts[i].name);
	}
	return 0;
}

int hk_keygen_hosts(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	int status = 0;
	unsigned i;

	for (i = 0; !status && i < wishes->peers.count; i++)
		status = add_host(keygen, wishes->peers.row[i], i >= wishes->peers.old, error);
	for (i = 0; !status && i < wishes->dropped.count; i++)
		status = drop_host(keygen, wishes->dropped.row[i], error);
	return status ? status : judge(keygen, error);
}
