/* SPDX-License-Identifier: ISC */
/*
 * hint -- what would make a broken signature whole again: for people who look
 * for the one who broke it.  (The hint about the body is bodies_without_tail()
 * in auth/canon.h.)
 *
 * Of a concluded DKIM-Signature or ARC-Message-Signature in the header that the
 * order is of.  A hint says nothing about the verdict and costs one or two
 * verifications, which are not counted.
 */
#ifndef AUTH_HINT_H
#define AUTH_HINT_H

#include "auth/signature.h"

/* Does it verify over the header, whatever became of the body? */
bool hint_header(const struct signature *, const struct field_order *, const struct verifier *);

/*
 * Would it, if the Subject had not been given a "[tag] " in front?  Then
 * *subject_r is the Subject as it was signed.
 */
bool hint_subject(const struct signature *, const struct field_order *, const struct verifier *,
    struct arena *, struct slice *subject_r);

#endif
