// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the configuration's reader. Whatever the text, it is taken
 * with all its promises kept, or refused with one printable sentence.
 * With WRITE_SEEDS it writes the corpus to begin with: the reference's examples.
 *
 * SOURCES: user/control/config.c user/control/domains.c user/control/values.c user/base/outline.c
 * SOURCES: user/control/domains_join.c user/control/outlets.c user/control/policy.c
 * SOURCES: user/control/schema*.c user/control/replace.c
 * SOURCES: user/base/error.c user/base/files.c user/base/text.c user/base/names.c user/base/nearest.c
 * SOURCES: user/base/complaint.c
 * SOURCES: -lcyaml -lyaml
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halfkey/crypto.h>

#include "tests/fuzz/fuzz.h"
#include "user/control/config.h"
#include "user/envelope/envelope.h"

/* What the reader needs of other rooms: a wipe, and whether an envelope can be opened. */
void hk_wipe(void *memory, size_t size)
{
	explicit_bzero(memory, size);
}

const struct hk_envelope_ops *hk_envelope_ops(unsigned envelope)
{
	static const struct hk_envelope_ops some;

	return envelope ? &some : NULL;
}

#ifndef WRITE_SEEDS
static void check_sentence(const char *text)
{
	demand(strncmp(text, "fuzz.yaml:", 10) == 0, "a refusal that does not name the file");
	for (; *text; text++)
		demand((unsigned char)*text >= 0x20 && *text != 0x7f,
			"a refusal that could steer a terminal");
}

static void check_domain(const struct hk_domain_config *domain)
{
	unsigned i;

	demand(domain->name && domain->keys && domain->receivers_count, "half a domain");
	demand(domain->id < HK_DOMAINS_MAX, "a domain id beyond its bound");
	demand(domain->envelope == HK_ENVELOPE_ESP || domain->suite == HK_SUITE_NONE,
		"a suite in a domain that has none");
	demand(domain->envelope != HK_ENVELOPE_ESP || domain->suite != HK_SUITE_NONE,
		"an ESP domain without a suite");
	demand(domain->envelope != HK_ENVELOPE_EESP || domain->eesp.sn || domain->eesp.iv,
		"an EESP domain without a nonce");
	for (i = 0; i < domain->receivers_count; i++)
		demand(domain->receivers[i].length <= 128, "a prefix longer than an address");
}

static void check_config(const struct hk_config *config)
{
	struct hk_error error = {""};
	unsigned i;

	demand(config->ports_count <= HK_PORTS_MAX, "too many ports");
	demand(config->frames && !(config->frames & (config->frames - 1)), "frames that are no power of two");
	demand(config->hooks_count <= HK_HOOKS_MAX && config->domains_count <= HK_DOMAINS_MAX, "too many");
	demand(config->control[0] == '/', "a relative socket");
	for (i = 0; i < HK_REASON_COUNT; i++)
		demand(config->policy[i] <= HK_ACTION_DROP, "an action that nobody defines");
	for (i = 0; i < config->domains_count; i++)
		check_domain(&config->domains[i]);
	demand(hk_config_can_replace(config, config, &error) == 0, "cannot replace itself");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hk_error error = {""};
	struct hk_config *config = NULL;
	int code;

	code = hk_config_parse(
		&config, "fuzz.yaml", (const char *)data, size, HK_CONFIG_DAEMON, NULL, &error);
	demand((code == 0) == (config != NULL), "neither taken nor refused");
	if (code)
		check_sentence(error.text);
	else
		check_config(config);
	hk_config_free(config);
	return 0;
}
#else
static char reference[1 << 16];

/* Every fenced YAML block of the reference is one seed. */
int main(int argc, char **argv)
{
	FILE *file = fopen("docs/configuration.md", "r");
	char *start = reference, *end;
	unsigned count = 0;

	if (argc < 2 || !file || !fread(reference, 1, sizeof(reference) - 1, file))
		return 1;
	fclose(file);
	while ((start = strstr(start, "```yaml\n")) && (end = strstr(start + 8, "```"))) {
		start += 8;
		if (write_seed(argv[1], count++, start, (size_t)(end - start)))
			return 1;
		start = end + 3;
	}
	return count ? 0 : 1;
}
#endif
