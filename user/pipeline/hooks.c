// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hook chain: making, handing over and freeing it. See hooks.h; hooks_run.c
 * runs it. Nothing here is on the packet path.
 */
#include "user/pipeline/hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/pipeline/hooks_chain.h"

#define CLASSES_MAX 0xffff /* hk_hook_packet.delay_class is 16 bits wide */

static int domain_id(void *core, const char *name)
{
	const struct hk_config *config = core;
	unsigned i;

	for (i = 0; i < config->domains_count; i++)
		if (strcmp(config->domains[i].name, name) == 0)
			return config->domains[i].id;
	return -1;
}

static int open_settings(struct hk_hook_setup *setup, const struct hk_hook_config *row,
	const struct hk_files *files, struct hk_error *error)
{
	setup->settings_fd = -1;
	if (!row->settings)
		return 0;
	setup->settings_path = row->settings;
	setup->settings_fd = hk_files_get(files, row->settings);
	if (setup->settings_fd < 0)
		return hk_error_set(error, ENOENT,
			"hook \"%s\": its file \"%s\" was not opened: check its path", row->use,
			row->settings);
	return 0;
}

/* Classes and queues: what a hook that delays packets may ask for. */
static int check_delays(const struct hk_hook_chain *chain, const struct hk_hook_setup *setup, const char *use,
	const struct hk_config *config, struct hk_error *error)
{
	__u64 delayed = (__u64)chain->delayed_max + setup->delayed_max;

	if (!setup->class_count && !setup->delayed_max)
		return 0;
	if (config->mode != HK_MODE_INLINE)
		return hk_error_set(error, EINVAL,
			"hook \"%s\" delays packets, and mode %s cannot: set `mode: inline` or remove the "
			"hook",
			use, hk_mode_name(config->mode) ? hk_mode_name(config->mode) : "(none)");
	if (!setup->class_count || !setup->delayed_max)
		return hk_error_set(error, EPROTO,
			"hook \"%s\" asks for %u delay classes and %u delayed packets: both or none must be "
			"0",
			use, setup->class_count, setup->delayed_max);
	if ((__u64)chain->classes + setup->class_count > CLASSES_MAX)
		return hk_error_set(error, E2BIG,
			"hook \"%s\" brings the delay classes to %llu, more than %u: configure fewer", use,
			(unsigned long long)chain->classes + setup->class_count, CLASSES_MAX);
	if (delayed > config->frames / 2)
		return hk_error_set(error, E2BIG,
			"hook \"%s\": queues could hold %llu packets, more than half of the %u frames: lower "
			"the "
			"queue limits or raise `frames` to %llu",
			use, (unsigned long long)delayed, config->frames, 2 * (unsigned long long)delayed);
	return 0;
}

static int create_state(struct hk_hook_place *place, struct hk_hook_setup *setup, struct hk_error *error)
{
	char text[sizeof(error->text) - 96] = "";

	if (place->code.hook->create(setup, &place->state, text, sizeof(text)) == 0)
		return 0;
	text[sizeof(text) - 1] = '\0';
	place->state = NULL;
	return hk_error_set(error, EINVAL, "hook \"%s\": %s", place->use,
		text[0] ? text : "refused its settings, and said no more");
}

static int add_place(struct hk_hook_chain *chain, const struct hk_config *config,
	const struct hk_hook_config *row, const struct hk_files *files, unsigned workers,
	struct hk_error *error)
{
	struct hk_hook_place *place = &chain->places[chain->length];
	struct hk_hook_setup setup = {
		.abi = HK_HOOK_ABI,
		.worker_count = workers,
		.mode = config->mode,
		.class_base = chain->classes,
		.core = (void *)config,
		.domain_id = domain_id,
	};
	int code;

	code = hk_hook_code_load(&place->code, row->use, files, error);
	if (code)
		return code;
	chain->length++; /* from here on hk_hook_chain_free() cleans the place */
	place->use = strdup(row->use);
	if (!place->use)
		return hk_error_set(error, ENOMEM, "hook \"%s\": out of memory", row->use);
	code = open_settings(&setup, row, files, error);
	if (code)
		return code;
	code = create_state(place, &setup, error);
	if (code)
		return code;
	code = check_delays(chain, &setup, row->use, config, error);
	if (code)
		return code;
	place->class_base = chain->classes;
	place->class_count = setup.class_count;
	place->delayed_max = setup.delayed_max;
	chain->flow_verdicts |= !setup.per_packet;
	chain->classes += setup.class_count;
	chain->delayed_max += setup.delayed_max;
	return 0;
}

int hk_hook_chain_new(struct hk_hook_chain **out, const struct hk_config *config,
	const struct hk_files *files, unsigned workers, struct hk_error *error)
{
	struct hk_hook_chain *chain;
	int code = 0;
	unsigned i;

	*out = NULL;
	if (config->hooks_count > HK_HOOKS_MAX)
		return hk_error_set(error, E2BIG, "%u hooks are configured, at most %u fit: remove some",
			config->hooks_count, HK_HOOKS_MAX);
	chain = calloc(1, sizeof(*chain));
	if (!chain)
		return hk_error_set(error, ENOMEM, "hooks: out of memory");
	for (i = 0; i < config->hooks_count && !code; i++)
		code = add_place(chain, config, &config->hooks[i], files, workers ? workers : 1, error);
	if (code) {
		hk_hook_chain_free(chain);
		return code;
	}
	*out = chain;
	return 0;
}

/* Each place hands its state to one place of the same code: rows of one hook keep their order. */
void hk_hook_chain_adopt(struct hk_hook_chain *now, struct hk_hook_chain *previous)
{
	bool taken[HK_HOOKS_MAX] = {false};
	unsigned i, j;

	if (!now || !previous)
		return;
	for (i = 0; i < now->length; i++) {
		struct hk_hook_place *place = &now->places[i];

		for (j = 0; j < previous->length; j++) {
			if (taken[j] || strcmp(place->use, previous->places[j].use) != 0 ||
				!hk_hook_code_same(&place->code, &previous->places[j].code))
				continue;
			taken[j] = true;
			if (place->code.hook->adopt)
				place->code.hook->adopt(place->state, previous->places[j].state);
			break;
		}
	}
}

void hk_hook_chain_free(struct hk_hook_chain *chain)
{
	unsigned i;

	if (!chain)
		return;
	for (i = chain->length; i-- > 0;) {
		struct hk_hook_place *place = &chain->places[i];

		if (place->state)
			place->code.hook->destroy(place->state);
		hk_hook_code_unload(&place->code);
		free(place->use);
	}
	free(chain);
}

unsigned hk_hook_chain_length(const struct hk_hook_chain *chain)
{
	return chain->length;
}

const char *hk_hook_chain_name(const struct hk_hook_chain *chain, unsigned index)
{
	return index < chain->length ? chain->places[index].code.hook->name : NULL;
}

const char *hk_hook_chain_summary(const struct hk_hook_chain *chain, unsigned index)
{
	const char *summary = index < chain->length ? chain->places[index].code.hook->summary : NULL;

	return summary ? summary : "";
}

unsigned hk_hook_chain_classes(const struct hk_hook_chain *chain)
{
	return chain->classes;
}

bool hk_hook_chain_flow_verdicts(const struct hk_hook_chain *chain)
{
	return chain->flow_verdicts;
}

unsigned hk_hook_chain_delayed_max(const struct hk_hook_chain *chain)
{
	return chain->delayed_max;
}

size_t hk_hook_chain_stats(
	const struct hk_hook_chain *chain, unsigned index, struct hk_hook_stat *out, size_t max)
{
	const struct hk_hook_place *place = index < chain->length ? &chain->places[index] : NULL;
	size_t count = place && place->code.hook->stats ? place->code.hook->stats(place->state, out, max) : 0;
	size_t i;

	if (count > max)
		count = max;
	for (i = 0; i < count; i++)
		out[i].name[sizeof(out[i].name) - 1] = '\0';
	return count;
}
