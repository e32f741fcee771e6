/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which keys open a direction of a TLS connection: those that the keyring has for its
 * two ends, else what follows from its secret and the hellos' randoms. Beside tls.c, for it alone.
 */
#ifndef HK_ENVELOPE_TLS_KEYS_H
#define HK_ENVELOPE_TLS_KEYS_H

#include "user/envelope/streams.h"
#include "user/keys/keylog.h"
#include "user/keys/keyring.h"

struct hk_tls_tuple hk_tls_tuple_of(const struct hk_stream *stream);
/* Asked once per change of connections. Afterwards the stream is keyed, ignored, or has no key. */
void hk_tls_find_keys(struct hk_stream *stream, const struct hk_keyring *keyring);
/* By what the hellos said alone. The two directions may be two workers': what one of them saw may come later.
 */
void hk_tls_find_by_hello(struct hk_stream *stream, const struct hk_keyring *keyring);

#endif
