// SPDX-License-Identifier: GPL-2.0-or-later
/* Inspections: see inspection.h. */
#include "user/pipeline/inspection.h"

#include <errno.h>
#include <stdlib.h>

static int index_domains(struct hk_inspection *inspection, struct hk_error *error)
{
	const struct hk_config *config = inspection->config;
	const struct hk_domain_config *domain;
	unsigned i;

	for (i = 0; i < config->domains_count; i++) {
		domain = &config->domains[i];
		if (domain->id >= HK_DOMAINS_MAX || inspection->domains[domain->id])
			return hk_error_set(error, EINVAL,
				"domain '%s' has number %u: it is taken or not below %u", domain->name,
				domain->id, HK_DOMAINS_MAX);
		inspection->domains[domain->id] = domain;
	}
	return 0;
}

int hk_inspection_new(struct hk_inspection **out, const struct hk_config *config,
	const struct hk_files *files, struct hk_arena *arena, unsigned workers, struct hk_error *error)
{
	struct hk_inspection *inspection = calloc(1, sizeof(*inspection));
	int result;

	if (!inspection)
		return hk_error_set(error, ENOMEM, "no memory for the inspection");
	inspection->config = config;
	result = index_domains(inspection, error);
	if (!result)
		result = hk_keyring_new(&inspection->keyring, arena, config, files, error);
	if (!result)
		result = hk_hook_chain_new(&inspection->hooks, config, files, workers, error);
	if (result) {
		hk_inspection_free(inspection);
		return result;
	}
	*out = inspection;
	return 0;
}

void hk_inspection_adopt(struct hk_inspection *now, struct hk_inspection *previous)
{
	if (!previous)
		return;
	hk_keyring_adopt(now->keyring, previous->keyring);
	hk_hook_chain_adopt(now->hooks, previous->hooks);
}

void hk_inspection_free(struct hk_inspection *inspection)
{
	if (!inspection)
		return;
	if (inspection->hooks)
		hk_hook_chain_free(inspection->hooks);
	hk_keyring_free(inspection->keyring);
	free(inspection);
}
