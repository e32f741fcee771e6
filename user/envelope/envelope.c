// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of openers: one row an envelope. */
#include "user/envelope/envelope.h"

#include "user/envelope/openers.h"

static const struct hk_envelope_ops *const envelopes[HK_ENVELOPE_MAX] = {
	[HK_ENVELOPE_PSP] = &hk_psp_ops,
	[HK_ENVELOPE_ESP] = &hk_esp_ops,
	[HK_ENVELOPE_INLINE] = &hk_inline_ops,
	[HK_ENVELOPE_TSS] = &hk_tss_ops,
	[HK_ENVELOPE_DTLS] = &hk_dtls_ops,
	[HK_ENVELOPE_EESP] = &hk_eesp_ops,
	[HK_ENVELOPE_WESP] = &hk_wesp_ops,
	[HK_ENVELOPE_TLS] = &hk_tls_ops,
};

const struct hk_envelope_ops *hk_envelope_ops(unsigned envelope)
{
	return envelope < HK_ENVELOPE_MAX ? envelopes[envelope] : NULL;
}
