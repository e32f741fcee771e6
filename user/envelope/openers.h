/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The openers, for the table of envelope.c alone. */
#ifndef HK_ENVELOPE_OPENERS_H
#define HK_ENVELOPE_OPENERS_H

#include "user/envelope/envelope.h"

extern const struct hk_envelope_ops hk_psp_ops;
extern const struct hk_envelope_ops hk_esp_ops;

#endif
