// SPDX-License-Identifier: GPL-2.0-or-later
/* ESP as a speaker: its options and its row (speaker.h). The envelope is seal_esp.c's. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/speak.h"
#include "user/endpoint/speak_sa.h"

#define EVERYWHERE (HK_USE_SEAL | HK_USE_OPEN | HK_USE_TUNNEL)

static const struct hk_wish wishes_[] = {
	{"suite", "NAME", EVERYWHERE, "ctr-hmac (default), gcm-split, cbc-hmac or gcm"},
	{"mkid", "N", EVERYWHERE, "MKID of the derivation context (default: 1)"},
	{"carrier", "NAME", HK_USE_SEAL | HK_USE_TUNNEL, "udp (port 4500, default) or ip (protocol 50)"},
	{"spi", "NUMBER", HK_USE_SEAL | HK_USE_PEER, "SPI (default: the explicit keys for the receiver)"},
	{"transport", NULL, HK_USE_SEAL, "transport mode: inner addresses are the outer ones"},
	{0},
};

static int plan(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	const char *name = hk_wish(wishes, "suite"), *carrier = hk_wish(wishes, "carrier");
	int suite = name ? hk_suite_by_name(name) : HK_SUITE_CTR_HMAC;
	bool ip = carrier && strcmp(carrier, "ip") == 0;
	struct hk_sa_speech *esp;
	__u64 mkid;

	if (suite <= 0)
		return hk_error_set(
			error, EINVAL, "suite '%s': must be ctr-hmac, gcm-split, cbc-hmac or gcm", name);
	if (hk_wish_number(wishes, "mkid", 1, 65535, &mkid, error))
		return -EINVAL;
	if (carrier && !ip && strcmp(carrier, "udp") != 0)
		return hk_error_set(
			error, EINVAL, "carrier '%s': must be udp (port 4500) or ip (protocol 50)", carrier);
	esp = calloc(1, sizeof(*esp));
	if (!esp)
		return hk_error_set(error, ENOMEM, "no memory for an envelope");
	esp->variant = (__u8)suite;
	esp->mkid = (__u16)mkid;
	esp->shape.udp = !ip;
	esp->shape.transport = hk_wish_flag(wishes, "transport");
	if (local)
		esp->shape.source = *local;
	esp->speech.profile = (__u8)hk_suite_profile((unsigned)suite);
	esp->speech.protocol = ip ? IPPROTO_ESP : IPPROTO_UDP;
	esp->speech.port = HK_UDP_PORT_ESP;
	*out = &esp->speech;
	return 0;
}

static unsigned inner_max(const struct hk_speech *speech, unsigned room)
{
	if (((const struct hk_sa_speech *)speech)->variant == HK_SUITE_CBC_HMAC)
		return (room - HK_ESP_HEADER_SIZE - HK_ESP_CBC_IV_SIZE - HK_ESP_ICV_SIZE) / 16 * 16 - 2;
	return (room - HK_ESP_HEADER_SIZE - HK_ESP_IV_SIZE - HK_ESP_ICV_SIZE) / 4 * 4 - 2;
}

const struct hk_speaker hk_speak_esp = {
	.envelope = HK_ENVELOPE_ESP,
	.served = HK_SERVED_SPIS,
	.wishes = wishes_,
	.plan = plan,
	.inner_max = inner_max,
	HK_SPEAK_SA,
};
