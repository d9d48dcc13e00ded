/* SPDX-License-Identifier: ISC */
/*
 * rows -- what is kept beside mail, as text: rows of queue/state.h, a line of JSON
 * each.  The program that runs is asked; when nobody runs, it is the disk.
 */
#ifndef CMD_ROWS_H
#define CMD_ROWS_H

#include <stdio.h>

#include "cmd/control.h"

bool rows_dump(struct house *, FILE *to, struct error *why);

/*
 * Line by line, so many rows at once: what came before one that cannot be taken
 * stays.  `count_r` gets how many were read.
 */
bool rows_load(struct house *, FILE *from, size_t *count_r, struct error *why);

#endif
