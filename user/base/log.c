// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's log: see log.h. One write() a line, so lines of processes never mix. */
#include "user/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum hk_log_level log_level = HK_LOG_INFO;
static const char *log_who = "halfkey";

void hk_log_init(enum hk_log_level level, const char *who)
{
	log_level = level;
	log_who = who;
}

void hk_log_rename(const char *who)
{
	log_who = who;
}

static int log_prefix(char *line, size_t size, enum hk_log_level level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	static const int priorities[] = {3, 4, 6, 7};
	struct timespec now;
	struct tm day;

	if (getenv("JOURNAL_STREAM"))
		return snprintf(line, size, "<%d>%s: ", priorities[level], log_who);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &day);
	return snprintf(line, size, "%02d:%02d:%02d.%03ld %s %s: ", day.tm_hour, day.tm_min, day.tm_sec,
		now.tv_nsec / 1000000, names[level], log_who);
}

void hk_log(enum hk_log_level level, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int length;

	if (level > log_level)
		return;
	length = log_prefix(line, sizeof(line), level);
	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof(line) - (size_t)length - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* nowhere left to say it */
}

void hk_log_library(const char *who, const char *format, va_list arguments)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	hk_log_debug("%s: %s", who, line);
}
