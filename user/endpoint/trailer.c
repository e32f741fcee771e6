// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What ESP has behind its payload (RFC 4303 2.4), in every envelope that has it:
 *
 *   payload | padding 1 2 3.. | pad length 1 | next header 1
 */
#include "user/endpoint/sa.h"

__u32 hk_esp_padded(__u32 length, __u32 block)
{
	return (length + HK_ESP_TRAILER_SIZE + block - 1) / block * block;
}

void hk_esp_write_trailer(__u8 *text, __u32 length, __u32 padded, __u8 next_header)
{
	__u32 pad = padded - HK_ESP_TRAILER_SIZE - length, i;

	for (i = 0; i < pad; i++)
		text[length + i] = (__u8)(i + 1);
	text[padded - 2] = (__u8)pad;
	text[padded - 1] = next_header;
}

unsigned hk_esp_read_trailer(__u8 *text, __u32 length, struct hk_payload *payload)
{
	__u32 pad = text[length - 2], i;

	if (pad + HK_ESP_TRAILER_SIZE > length)
		return HK_REFUSAL_PADDING;
	for (i = 0; i < pad; i++)
		if (text[length - HK_ESP_TRAILER_SIZE - pad + i] != i + 1)
			return HK_REFUSAL_PADDING;
	payload->data = text;
	payload->length = length - HK_ESP_TRAILER_SIZE - pad;
	payload->next_header = text[length - 1];
	return HK_REFUSAL_NONE;
}
