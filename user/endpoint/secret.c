// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory for keys at the end host: see secret.h. */
#include "user/endpoint/secret.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <halfkey/crypto.h>

#include "user/base/text.h"

#define ROOM_FIRST 65536

void *hk_secret_new(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	(void)mlock(memory, size);
	(void)madvise(memory, size, MADV_DONTDUMP);
	return memory;
}

void hk_secret_free(void *memory, size_t size)
{
	if (!memory)
		return;
	hk_wipe(memory, size);
	munmap(memory, size);
}

static int grow(struct hk_secret_text *text)
{
	size_t room = text->room ? 2 * text->room : ROOM_FIRST;
	char *data = hk_secret_new(room);

	if (!data)
		return -ENOMEM;
	if (text->size)
		memcpy(data, text->data, text->size);
	hk_secret_free(text->data, text->room);
	text->data = data;
	text->room = room;
	return 0;
}

void hk_secret_say(struct hk_secret_text *text, const char *format, ...)
{
	va_list arguments;
	int size;

	while (!text->failed) {
		va_start(arguments, format);
		size = vsnprintf(text->room ? text->data + text->size : NULL, text->room - text->size, format,
			arguments);
		va_end(arguments);
		if (size < 0) {
			text->failed = -EINVAL;
		} else if (text->size + (size_t)size < text->room) {
			text->size += (size_t)size;
			return;
		} else {
			text->failed = grow(text);
		}
	}
}

void hk_secret_say_hex(struct hk_secret_text *text, const void *bytes, size_t size)
{
	char digits[2 * HK_SECRET_HEX + 1];

	if (size > HK_SECRET_HEX) {
		text->failed = -EINVAL;
		return;
	}
	hk_hex_format(bytes, size, digits);
	hk_secret_say(text, "%s", digits);
	hk_wipe(digits, sizeof(digits));
}

void hk_secret_clear(struct hk_secret_text *text)
{
	if (text->size)
		hk_wipe(text->data, text->size);
	text->size = 0;
	text->failed = 0;
}

void hk_secret_text_free(struct hk_secret_text *text)
{
	hk_secret_free(text->data, text->room);
	memset(text, 0, sizeof(*text));
}
