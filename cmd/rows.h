/* SPDX-License-Identifier: ISC */
/*
 * rows -- asking about what is kept beside mail.  The program that runs is asked;
 * when nobody runs, it is the disk.
 */
#ifndef CMD_ROWS_H
#define CMD_ROWS_H

#include <stdio.h>

#include "cmd/control.h"

/* What queue_kept() does, wherever it is done. */
bool rows_ask(struct house *, const struct queue_request *, json_t *rows,
    bool (*each)(void *arg, json_t *row), void *arg, size_t *count_r, struct error *why);

/* All of it as text (queue/state.h), a row a line. */
bool rows_dump(struct house *, FILE *to, struct error *why);

/*
 * Line by line, so many rows at once: what came before one that cannot be taken
 * stays.  `count_r` gets how many were read.  0, or *why and its exit code: EX_DATAERR
 * of a row that is none.
 */
int rows_load(struct house *, FILE *from, size_t *count_r, struct error *why);

#endif
