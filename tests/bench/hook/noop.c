// SPDX-License-Identifier: GPL-2.0-or-later
/* A hook that does nothing: what the batch ABI itself costs. */
#include <halfkey/hook.h>

static int create(struct hk_hook_setup *setup, void **state, char *error, size_t error_size)
{
	setup->per_packet = 1;
	(void)error;
	(void)error_size;
	*state = NULL;
	return 0;
}

static int process(void *state, unsigned worker, struct hk_hook_batch *batch)
{
	(void)state;
	(void)worker;
	(void)batch;
	return 0;
}

static void destroy(void *state)
{
	(void)state;
}

const struct hk_hook hk_hook = {
	.abi = HK_HOOK_ABI,
	.packet_size = sizeof(struct hk_hook_packet),
	.name = "noop",
	.summary = "does nothing",
	.create = create,
	.process = process,
	.destroy = destroy,
};
