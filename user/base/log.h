/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: one line an event on standard error, with a time and a
 * level (and `<N>` priorities instead when systemd's journal reads it).
 * Never pass key bytes or opened plaintext. Any thread.
 */
#ifndef HK_BASE_LOG_H
#define HK_BASE_LOG_H

#include <stdarg.h>

enum hk_log_level { HK_LOG_ERROR, HK_LOG_WARN, HK_LOG_INFO, HK_LOG_DEBUG };

/* Lines below `level` are not written; `who` names the process, e.g. "starter". */
void hk_log_init(enum hk_log_level level, const char *who);
/* The same level under another name: for a forked process. */
void hk_log_rename(const char *who);

void hk_log(enum hk_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of a library's own words, at level debug: they matter only to someone who looks for them. */
void hk_log_library(const char *who, const char *format, va_list arguments);

#define hk_log_error(...) hk_log(HK_LOG_ERROR, __VA_ARGS__)
#define hk_log_warn(...)  hk_log(HK_LOG_WARN, __VA_ARGS__)
#define hk_log_info(...)  hk_log(HK_LOG_INFO, __VA_ARGS__)
#define hk_log_debug(...) hk_log(HK_LOG_DEBUG, __VA_ARGS__)

#endif
