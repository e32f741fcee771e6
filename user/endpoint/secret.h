/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory for keys at the end host: out of core files, locked where the system lets us, wiped when it goes. */
#ifndef HK_ENDPOINT_SECRET_H
#define HK_ENDPOINT_SECRET_H

#include <stddef.h>

/* `size` zero bytes, or NULL and errno. A lock that is refused is no error: keys may reach swap then. */
void *hk_secret_new(size_t size);
void hk_secret_free(void *memory, size_t size); /* NULL is fine */

/* A text that grows; what it held before it grew is wiped. Zero it to begin. */
struct hk_secret_text {
	char *data;
	size_t size, room;
	int failed; /* negative errno: something is missing in it */
};

void hk_secret_say(struct hk_secret_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* At most HK_SECRET_HEX bytes in hexadecimal digits. */
#define HK_SECRET_HEX 64
void hk_secret_say_hex(struct hk_secret_text *text, const void *bytes, size_t size);
void hk_secret_clear(struct hk_secret_text *text); /* empty again; wiped */
void hk_secret_text_free(struct hk_secret_text *text);

#endif
