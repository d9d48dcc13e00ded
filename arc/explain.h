/* SPDX-License-Identifier: ISC */
/*
 * explain -- how a verdict came about, as one tree of steps (auth/steps.h): what
 * text, JSON and hints of `chainmail verify --explain` are made of.
 *
 *     explain_begin()    behind verdict_begin(), before the body
 *     explain()          behind verdict_decide()
 *
 * Steps below the root, in this order; what stands in brackets may be missing:
 *
 *     spf        subject the domain; identity, alignment; the terms and questions below it
 *     dkim       one a signature; subject "domain/selector"; alignment; below it
 *                the key, the body, the header, and hints
 *     arc        subject how many sets; below it one "set" a hop, oldest first, with
 *                what it saw, the state of its two signatures, whether its sealer is
 *                trusted; then one "change" for each place where the body changed
 *     iprev      subject the address
 *     dmarc      subject the Author Domain; policy; the walks below it
 *     decision   what local policy makes of it
 *
 * Hints try a signature again, so this is not for a server under load.
 */
#ifndef ARC_EXPLAIN_H
#define ARC_EXPLAIN_H

#include "arc/verdict.h"
#include "auth/steps.h"

enum { EXPLAIN_LINES = 1000 };          /* from the end of the body, searched for a footer */

/* Steps lie in an arena of their own, so that they cost the evaluation no memory. */
void explain_begin(struct verdict *, struct bodies *, struct arena *steps);

/* Keys, bodies and facts are those of the verdict and still there.  NULL: the arena was too small. */
struct step *explain(struct verdict *, const struct trust *, struct arena *steps);

#endif
