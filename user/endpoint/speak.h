/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of the table in speakers.c, each in its own file. */
#ifndef HK_ENDPOINT_SPEAK_H
#define HK_ENDPOINT_SPEAK_H

#include "user/endpoint/speaker.h"

extern const struct hk_speaker hk_speak_psp, hk_speak_esp, hk_speak_eesp, hk_speak_wesp, hk_speak_tss,
	hk_speak_inline, hk_speak_dtls;

#endif
