// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey-endpoint tunnel`: plan, set up, run, report. */
#include <stdio.h>
#include <sys/prctl.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/tunnel.h"

static int run(struct hk_tunnel *tunnel, const struct hk_tunnel_config *config, struct hk_error *error)
{
	const struct hk_keeper_files files = {
		config->path, config->keys, config->state ? config->state : HK_STATE_DIRECTORY};
	char local[HK_ADDRESS_TEXT];
	int status = config->server ? 0 : hk_keeper_start(&tunnel->keeper, &files, error);

	if (!status)
		status = hk_tunnel_plan(tunnel, config, error);
	if (!status && config->prepare) {
		tunnel->running = true; /* the state is meant to stay */
		hk_log_info("%s: state is made for all SPIs: SIGHUP the tunnel", tunnel->device);
		return 0;
	}
	if (!status)
		status = hk_tunnel_setup(tunnel, config, error);
	if (status)
		return status;
	tunnel->running = true;
	hk_tunnel_announce(tunnel);
	hk_log_info("%s: ready at %s, MTU %u", tunnel->device, hk_address_format(&tunnel->local, local),
		tunnel->mtu);
	return hk_tunnel_run(tunnel, error);
}

int hk_endpoint_tunnel(int argc, char **argv)
{
	static struct hk_tunnel tunnel = {.tun = -1, .inlet = -1, .stats_fd = -1, .signals = -1};
	struct hk_tunnel_config *config = NULL;
	struct hk_error error = {{0}};
	int status;

	hk_log_init(HK_LOG_INFO, "tunnel");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before any key is in memory */
	tunnel.argc = argc;
	tunnel.argv = argv;
	status = hk_tunnel_config_read(&config, argc, argv, -1, &error);
	if (status == 1)
		return 0;
	if (!status) {
		tunnel.config = config;
		status = run(&tunnel, config, &error);
		hk_tunnel_close(&tunnel);
		hk_tunnel_config_free(
			(struct hk_tunnel_config *)tunnel.config); /* a reload may have put another there */
	}
	return hk_command_end("tunnel", status, &error);
}
