/* SPDX-License-Identifier: ISC */
/*
 * job -- run blocking or heavy work off the loop; finish on the loop.
 *
 * `work` runs in a pool thread and touches only what `arg` owns; `done` runs
 * later on the loop's thread.  A job cannot be cancelled: who goes away first
 * leaves `arg` to its done().  With no threads the work is done on the loop,
 * one job a turn, in order: for the lab, where the same clock and seed must
 * give the same bytes.
 */
#ifndef NET_JOB_H
#define NET_JOB_H

#include "net/loop.h"

struct jobs;

struct jobs *jobs_start(struct loop *, unsigned threads);
void         jobs_stop(struct jobs *);          /* waits for all jobs, calls their done() */
void         job(struct jobs *, void (*work)(void *), void (*done)(void *), void *arg);

#endif
