// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey-endpoint tunnel`: plan, set up, run, report. */
#include <stdio.h>
#include <sys/prctl.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/tunnel.h"

static void announce(const struct hk_tunnel *tunnel)
{
	char local[HK_ADDRESS_TEXT], remote[HK_ADDRESS_TEXT];
	unsigned i, j;

	for (i = 0; i < tunnel->peers_count; i++)
		for (j = 0; j < tunnel->peers[i].spis_count; j++)
			hk_log_info("%s: to %s with SPI 0x%08x", tunnel->device,
				hk_address_format(&tunnel->peers[i].remote, remote),
				hk_sa_name(tunnel->peers[i].spis[j].sa)->spi);
	hk_log_info("%s: ready at %s, MTU %u", tunnel->device, hk_address_format(&tunnel->local, local),
		tunnel->mtu);
}

int hk_endpoint_tunnel(int argc, char **argv)
{
	struct hk_tunnel_config *config = NULL;
	static struct hk_tunnel tunnel;
	struct hk_error error = {{0}};
	int status;

	hk_log_init(HK_LOG_INFO, "tunnel");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before any key is in memory */
	status = hk_tunnel_config_read(&config, argc, argv, &error);
	if (status == 1)
		return 0;
	if (!status) {
		status = hk_tunnel_plan(&tunnel, config, &error);
		if (!status)
			status = hk_tunnel_open_state(&tunnel, config, &error);
		if (!status)
			status = hk_tunnel_setup(&tunnel, config, &error);
		if (!status) {
			tunnel.running = true;
			announce(&tunnel);
			status = hk_tunnel_run(&tunnel, &error);
		}
		hk_tunnel_close(&tunnel);
		hk_tunnel_config_free(config);
	}
	if (status)
		fprintf(stderr, "halfkey-endpoint tunnel: %s\n", error.text);
	return status ? 1 : 0;
}
