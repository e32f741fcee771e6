// SPDX-License-Identifier: GPL-2.0-or-later
/* Error sentences: see error.h. */
#include "user/base/error.h"

#include <stdarg.h>
#include <stdio.h>

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int hk_error_set(struct hk_error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (!error || error->text[0])
		return -code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	make_printable(error->text);
	return -code;
}

int hk_exit_status(int code)
{
	if (code >= 0)
		return 0;
	return code == -HK_EUSAGE ? 2 : 1;
}
