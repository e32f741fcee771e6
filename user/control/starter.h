/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The starter: the small privileged process. Reads the configuration, opens
 * every path it names, loads and pins, makes UMEM and sockets, forks the
 * inspector and watches it; it never reads a key and never sees a packet.
 *
 *   attach (disarmed) ─► sockets ─► fork ─► "ready" ─► arm ─► watch ─┐
 *                          ▲                                        │ crash, hang
 *                          └──── settle the accounts, wait a little ◄┘
 *
 * SIGHUP reloads. SIGTERM and SIGINT disarm, let the inspector finish and
 * leave link and maps pinned with the fail policy in force.
 */
#ifndef HK_CONTROL_STARTER_H
#define HK_CONTROL_STARTER_H

/* Runs until it is told to stop; the exit status of halfkeyd. Refusals are logged. */
int hk_starter_run(const char *config_path);

#endif
