/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every refusal of the outer parser, and what must not be refused, as rows of
 * frames.h: one file of cases/ for each envelope. HK_REASON_TO_WORKER is the good
 * packet.
 */
#ifndef TESTS_BPF_CASES_H
#define TESTS_BPF_CASES_H

#include <stddef.h>

#include "tests/bpf/cases/good.h"
#include "tests/bpf/cases/network.h"
#include "tests/bpf/cases/psp.h"
#include "tests/bpf/cases/esp.h"
#include "tests/bpf/cases/eesp.h"
#include "tests/bpf/cases/wesp.h"
#include "tests/bpf/cases/tss.h"
#include "tests/bpf/cases/inline.h"
#include "tests/bpf/cases/dtls.h"
#include "tests/bpf/cases/tls.h"

/* Row `index` of all of them; NULL behind the last. */
static inline const struct packet_case *packet_case(size_t index)
{
#define CASES(name)                                                          \
	{                                                                    \
		cases_##name, sizeof(cases_##name) / sizeof(cases_##name[0]) \
	}
	static const struct {
		const struct packet_case *rows;
		size_t count;
	} files[] = {CASES(good), CASES(network), CASES(psp), CASES(esp), CASES(eesp), CASES(wesp),
		CASES(tss), CASES(inline), CASES(dtls), CASES(tls)};
#undef CASES
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (index < files[i].count)
			return &files[i].rows[index];
		index -= files[i].count;
	}
	return NULL;
}

#endif
