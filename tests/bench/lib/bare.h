/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The yardstick: intel-ipsec-mb doing the cryptographic work of a packet and
 * nothing else, the best way we know. No keyring, no metadata, no checks; all
 * offsets are the same for every frame and known beforehand.
 */
#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include "tests/bench/lib/stream.h"

struct bare;

struct bare *bare_new(const struct bench_case *kind); /* NULL: this CPU cannot */
void bare_free(struct bare *bare);
/* Derives and opens HK_CRYPTO_BATCH_MAX frames from `first`. Number of packets whose tag was wrong. */
unsigned bare_run(struct bare *bare, const struct stream *stream, unsigned first);
const __u8 *bare_plain(const struct bare *bare, unsigned index);

#endif
