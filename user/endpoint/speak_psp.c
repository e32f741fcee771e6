// SPDX-License-Identifier: GPL-2.0-or-later
/* PSP as a speaker: its options and its row (speaker.h). The envelope is seal_psp.c's. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/speak.h"
#include "user/endpoint/speak_sa.h"

#define EVERYWHERE (HK_USE_SEAL | HK_USE_OPEN | HK_USE_TUNNEL)

static const struct hk_wish wishes_[] = {
	{"version", "N", EVERYWHERE, "PSP version: 5 (default), 4, 1 or 0"},
	{"spi", "NUMBER", HK_USE_SEAL | HK_USE_PEER, "SPI (default: the explicit keys for the receiver)"},
	{"transport", NULL, HK_USE_SEAL, "transport mode: inner addresses are the outer ones"},
	{"crypt-offset", "N", HK_USE_SEAL, "4-byte units sent in the clear behind the IV, 0 to 63"},
	{"cookie", "HEX", HK_USE_SEAL, "virtualization cookie, 16 hexadecimal digits"},
	{0},
};

static int judge_shape(struct hk_seal_shape *shape, const struct hk_wishes *wishes, struct hk_error *error)
{
	const char *cookie = hk_wish(wishes, "cookie");
	__u64 offset;

	/* A cookie is for the network to read: without more it stays readable. */
	if (hk_wish_number(wishes, "crypt-offset", cookie ? 2 : 0, HK_CRYPT_OFFSET_MAX, &offset, error))
		return -EINVAL;
	shape->crypt_offset = (__u8)offset;
	shape->cookie = cookie;
	if (cookie && hk_hex_parse(cookie, strlen(cookie), shape->cookie_bytes, 8))
		return hk_error_set(error, EINVAL, "cookie '%s': must be 16 hexadecimal digits", cookie);
	if (cookie && offset < 2)
		return hk_error_set(error, EINVAL, "crypt-offset '%llu': with a cookie it is at least 2",
			(unsigned long long)offset);
	return 0;
}

static int plan(struct hk_speech **out, const struct hk_wishes *wishes, const struct hk_address *local,
	struct hk_error *error)
{
	struct hk_sa_speech *psp;
	__u64 version;

	if (hk_wish_number(wishes, "version", HK_PSP_SPLIT_256, 15, &version, error))
		return -EINVAL;
	if (!hk_sa_profile(HK_ENVELOPE_PSP, (unsigned)version))
		return hk_error_set(error, EINVAL, "version '%llu': must be 0, 1 (single), 4 or 5 (split)",
			(unsigned long long)version);
	psp = calloc(1, sizeof(*psp));
	if (!psp)
		return hk_error_set(error, ENOMEM, "no memory for an envelope");
	psp->variant = (__u8)version;
	psp->shape.udp = true;
	psp->shape.transport = hk_wish_flag(wishes, "transport");
	if (local)
		psp->shape.source = *local;
	psp->speech.profile = (__u8)hk_sa_profile(HK_ENVELOPE_PSP, psp->variant);
	psp->speech.protocol = IPPROTO_UDP;
	psp->speech.port = HK_UDP_PORT_PSP;
	psp->speech.spread = true;
	if (judge_shape(&psp->shape, wishes, error)) {
		free(psp);
		return -EINVAL;
	}
	*out = &psp->speech;
	return 0;
}

static unsigned inner_max(const struct hk_speech *speech, unsigned room)
{
	(void)speech;
	return room - HK_PSP_HEADER_SIZE - HK_PSP_ICV_SIZE;
}

const struct hk_speaker hk_speak_psp = {
	.envelope = HK_ENVELOPE_PSP,
	.served = HK_SERVED_SPIS,
	.wishes = wishes_,
	.plan = plan,
	.inner_max = inner_max,
	HK_SPEAK_SA,
};
