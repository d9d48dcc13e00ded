/* SPDX-License-Identifier: ISC */
/*
 * secrets -- the master's part of conf/secrets.h: the file in the state directory.
 */
#ifndef CMD_SECRETS_H
#define CMD_SECRETS_H

#include "conf/secrets.h"

/*
 * Renew the secrets when it is time and put them among the files, under
 * SECRETS_NAME.  *renewed_r tells whether they are others than before.
 */
bool secrets_keep(struct slice state, int64_t now, struct files *, bool *renewed_r,
    struct error *why);

#endif
