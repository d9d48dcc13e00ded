/* SPDX-License-Identifier: ISC */
/*
 * events -- the closed table of log events (conf/events.def) for base/log.h:
 *
 *     struct log_line l = log_event(log, &EVENT_RECEIVED, id);
 */
#ifndef CONF_EVENTS_H
#define CONF_EVENTS_H

#include "base/log.h"

#define EVENT(id, ...) extern const struct event_kind EVENT_##id;
#include "conf/events.def"
#undef EVENT

/* All of them, by turn from 0; NULL at the end. */
const struct event_kind *event_nth(size_t turn);

#endif
