/* SPDX-License-Identifier: ISC */
/*
 * notify -- tells the service manager how we are (sd_notify(3), Type=notify).
 */
#ifndef CMD_NOTIFY_H
#define CMD_NOTIFY_H

/* "READY=1", "STOPPING=1", …; nothing happens where nobody asked (NOTIFY_SOCKET). */
void notify(const char *state);

#endif
