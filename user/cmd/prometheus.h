/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's `status` and `stats` as Prometheus text (exposition format
 * 0.0.4), for node_exporter's textfile collector or any HTTP server in front.
 */
#ifndef HK_CMD_PROMETHEUS_H
#define HK_CMD_PROMETHEUS_H

#include <stdio.h>
#include <jansson.h>

void hk_prometheus_print(FILE *out, const json_t *status, const json_t *stats);

#endif
