/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The findings of `halfkey doctor`: what was looked at, how it is, what to do about it. */
#ifndef HK_CMD_FINDING_H
#define HK_CMD_FINDING_H

#include <halfkey/config.h>

#include "user/dataplane/device.h"

enum hk_finding_level { HK_FINDING_OK, HK_FINDING_WARN, HK_FINDING_FAIL };

struct hk_findings;

/* `todo` NULL: nothing to do. Formats fill `text`; subjects are short: "kernel", "port box-c". */
void hk_finding(struct hk_findings *findings, enum hk_finding_level level, const char *subject,
	const char *todo, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* doctor_host.c: kernel, bpffs, memory, rights, processor. `config` may be NULL. */
void hk_doctor_host(struct hk_findings *findings, const struct hk_config *config);
/* doctor_port.c: one interface. */
void hk_doctor_port(struct hk_findings *findings, const char *name, const struct hk_config *config);
/* Ports that must be alike: queues, MTU. */
void hk_doctor_pair(struct hk_findings *findings, const char *first, const char *second);

#endif
