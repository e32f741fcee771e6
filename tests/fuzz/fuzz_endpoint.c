// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the key server's configuration, and with it the YAML reader
 * that the tunnel has as well. What is taken is whole and within its bounds; a
 * refusal names the file.
 *
 * SOURCES: user/endpoint/keyserver_config.c user/endpoint/yaml.c user/base/outline.c
 * SOURCES: user/base/complaint.c user/base/nearest.c user/base/text.c user/base/names.c user/base/error.c
 * SOURCES: -lcyaml -lyaml
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "user/endpoint/keyserver.h"

/* Of sa.c: single where one key does both. */
unsigned hk_sa_profile(unsigned envelope, unsigned variant)
{
	if (envelope == HK_ENVELOPE_PSP)
		return variant > 1 ? HK_PROFILE_SPLIT : HK_PROFILE_SINGLE;
	return variant == HK_SUITE_GCM ? HK_PROFILE_SINGLE : HK_PROFILE_SPLIT;
}

/* Of keyserver_spis.c: a bound that the times must keep. */
__s64 hk_ks_spis_last(const struct hk_ks_domain *domain)
{
	return domain->envelope == HK_ENVELOPE_PSP ? 1 << 24 : 1 << 23;
}

#ifdef WRITE_SEEDS

#define FILES "listen: '127.0.0.1:4780'\nstate: s\nca: ca.pem\ncert: c.pem\nkey: k.pem\n"

int main(int argc, char **argv)
{
	static const char *const seeds[] = {FILES
		"domains:\n - name: d\n   envelope: psp\n   profile: split\n   version: 4\n   lifetime: 1h\n"
		"   ahead: 5m\n   grace: 30s\n   hosts:\n    - {name: a, address: 192.0.2.1}\n"
		"    - {name: b, address: '2001:db8::1'}\n   boxes: [box]\n   readers: [r]\n",
		FILES "crl: x.pem\nstats: st.json\ndomains:\n - {name: e, envelope: esp, profile: single, "
		      "suite: gcm, mkid: 7, delegation: 1d, hosts: [{name: a, address: 192.0.2.1}]}\n"};

	return write_texts(argc, argv, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

#else

static void check_domain(const struct hk_ks_domain *domain)
{
	unsigned i, j;

	demand(domain->name && domain->hosts_count && domain->hosts_count <= HK_KS_HOSTS, "half a domain");
	demand(domain->boxes_count <= HK_KS_NAMES && domain->readers_count <= HK_KS_NAMES, "too many names");
	demand(domain->profile == hk_sa_profile(domain->envelope, domain->variant), "another profile");
	demand(domain->ahead + domain->lifetime <= hk_ks_spis_last(domain), "SPIs that come round");
	demand(domain->lifetime > 0 && domain->ahead >= 0 && domain->grace >= 0, "times that do not go on");
	demand(domain->delegation >= HK_KS_UNLIMITED, "an end that is none");
	for (i = 0; i < domain->hosts_count; i++) {
		demand(strlen(domain->hosts[i].name) < HK_PUSH_NAME, "a name beyond its bound");
		for (j = 0; j < i; j++)
			demand(strcmp(domain->hosts[i].name, domain->hosts[j].name) != 0 &&
					memcmp(&domain->hosts[i].receiver, &domain->hosts[j].receiver, 16) !=
						0,
				"a host that stands twice");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1;
	struct hk_error error = {""};
	struct hk_ks_config *config;
	char path[64];
	unsigned i;

	if (file < 0)
		file = memfd_create("config", MFD_CLOEXEC);
	demand(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size, "no file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (hk_ks_config_read(&config, path, &error)) {
		demand(strncmp(error.text, path, strlen(path)) == 0, "a refusal without its file");
		return 0;
	}
	demand(config->domains_count <= HK_KS_DOMAINS, "too many domains");
	for (i = 0; i < config->domains_count; i++)
		check_domain(&config->domains[i]);
	hk_ks_config_free(config);
	return 0;
}

#endif
