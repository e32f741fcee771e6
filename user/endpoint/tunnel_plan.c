// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From what the user wrote to a tunnel that can work: every value checked, keys
 * loaded, both directions made. Touches no network and no nonce state.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/endpoint/tunnel.h"

#define OUTER_MAX 1500
#define MTU_MIN	  1280 /* what IPv6 needs */

static int need_number(const char *what, const char *text, __u64 max, __u64 *out, struct hk_error *error)
{
	if (hk_number_parse(text, max, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be a number from 0 to %llu", what, text,
			(unsigned long long)max);
	return 0;
}

static int need_address(const char *what, const char *text, struct hk_address *out, struct hk_error *error)
{
	if (!text)
		return hk_error_set(
			error, EINVAL, "no %s: name it in the configuration or as an option", what);
	if (hk_address_parse(text, out))
		return hk_error_set(error, EINVAL, "%s '%s': must be an IPv4 or IPv6 address", what, text);
	return 0;
}

static int plan_speech(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	const char *name = config->envelope ? config->envelope : "psp";
	const struct hk_speaker *speaker = hk_speaker_find(name, error);

	if (!speaker)
		return -EINVAL;
	if (speaker->cargo)
		return hk_error_set(error, EINVAL,
			"envelope '%s': carries %s, so no tunnel can be made of it: use seal and open", name,
			speaker->cargo);
	return hk_speech_plan(
		&tunnel->speech, speaker, &config->wishes, HK_USE_TUNNEL, &tunnel->local, error);
}

unsigned hk_tunnel_mtu_for(const struct hk_tunnel *tunnel, unsigned outer)
{
	const struct hk_speech *speech = tunnel->speech;
	unsigned headers =
		(hk_address_is_v4(&tunnel->local) ? 20 : 40) + (speech->protocol == IPPROTO_UDP ? 8 : 0);

	return speech->speaker->inner_max(speech, outer - headers);
}

static int plan_device(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	const char *name = config->device.name ? config->device.name : "hk0";
	unsigned fits = hk_tunnel_mtu_for(tunnel, OUTER_MAX);
	__u64 mtu = fits;

	if (!*name || strlen(name) > 15 || strpbrk(name, "/% \t\n"))
		return hk_error_set(error, EINVAL,
			"device '%s': must be an interface name of at most 15 characters", name);
	if (config->device.mtu && need_number("mtu", config->device.mtu, 65535, &mtu, error))
		return -EINVAL;
	if (mtu < MTU_MIN || mtu > fits)
		return hk_error_set(error, EINVAL,
			"mtu '%llu': must be from %d (IPv6) to %u (so that an outer packet is at most %d "
			"bytes)",
			(unsigned long long)mtu, MTU_MIN, fits, OUTER_MAX);
	snprintf(tunnel->device, sizeof(tunnel->device), "%s", name);
	tunnel->mtu = (unsigned)mtu;
	return 0;
}

int hk_tunnel_keys(const struct hk_tunnel *tunnel, const struct hk_tunnel_config *config,
	struct hk_host_keys **out, struct hk_error *error)
{
	int fd;

	if (!tunnel->running)
		return hk_host_keys_load(out, config->keys, config->levels, error);
	fd = hk_keeper_keys(tunnel->keeper, error);
	return fd < 0 ? fd : hk_host_keys_load_fd(out, config->keys, fd, config->levels, error);
}

static int plan_keys(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	if (!config->keys && !config->server)
		return hk_error_set(error, EINVAL,
			"no key file and no key server: name one with --keys or --server, or in the "
			"configuration");
	return config->server ? hk_tunnel_server_plan(tunnel, config, error)
			      : hk_tunnel_keys(tunnel, config, &tunnel->keys, error);
}

/* With a key server SPIs come while it runs, each of them fresh. */
static int plan_senders(
	struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	int status = hk_tunnel_peers_plan(tunnel, config, &tunnel->peers, error);

	if (!status)
		status = plan_keys(tunnel, config, error);
	if (status || config->server)
		return status;
	status = hk_tunnel_peers_senders(tunnel, config, tunnel->keys, &tunnel->peers, error);
	return status ? status : hk_tunnel_peers_start(tunnel, config, &tunnel->peers, NULL, error);
}

int hk_tunnel_plan(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	struct hk_state_place place;
	char local[HK_ADDRESS_TEXT];
	int status = need_address("local address", config->local, &tunnel->local, error);

	tunnel->config = config;
	if (!status && config->prepare && (!config->first_use || config->server))
		status = hk_error_set(error, EINVAL,
			"--prepare: makes the state of keys that never sealed anything: with --first-use and "
			"a key file alone");
	if (!status)
		status = plan_speech(tunnel, config, error);
	if (!status)
		status = plan_device(tunnel, config, error);
	if (!status)
		status = plan_senders(tunnel, config, error);
	if (status)
		return status;
	place = hk_tunnel_place(tunnel, config, local);
	return hk_receiver_new(&tunnel->receiver, tunnel->speech, tunnel->keys, &place, error);
}

void hk_tunnel_close(struct hk_tunnel *tunnel)
{
	hk_tunnel_server_stop(tunnel);
	hk_tunnel_peers_free(&tunnel->peers, !tunnel->running);
	hk_receiver_free(tunnel->receiver);
	hk_speech_end(tunnel->speech);
	hk_host_keys_free(tunnel->keys);
	hk_keeper_stop(tunnel->keeper);
	/* Descriptors end with the process. */
}
