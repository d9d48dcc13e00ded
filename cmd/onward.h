/* SPDX-License-Identifier: ISC */
/*
 * onward -- `route --from`: what the next hop will find of a message of that
 * author when an alias or a list sends it on, and why a seal is needed.
 */
#ifndef CMD_ONWARD_H
#define CMD_ONWARD_H

#include <jansson.h>

#include "cmd/answers.h"
#include "conf/route.h"

/*
 * `end` is where the expansion of an address has led.  NULL: nothing is sent on,
 * it stays here or goes where it was sent to.
 */
json_t *onward_ask(struct answers *, const struct address *from, const struct reached *end);
void    onward_print(const json_t *);

#endif
