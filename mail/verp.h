/* SPDX-License-Identifier: ISC */
/*
 * verp -- one envelope sender for each member of a list, so that a bounce names
 * whom it is about: list-bounces+user=dom.example@list.example.
 *
 * Nothing in the member's local part needs to be escaped: what stands before it
 * is known, and what stands behind the last "=" is the domain.
 *
 * Such an address proves nothing, anybody can write one.  It may be counted
 * against a member; a single bounce must never put him off the list.
 */
#ifndef MAIL_VERP_H
#define MAIL_VERP_H

#include "mail/address.h"

/*
 * The sender for a member.  False when it does not fit the 64 octets of a local
 * part (RFC 5321 4.5.3.1.1), or the arena is full: then `bounces` itself is used.
 */
bool verp_make(const struct address *bounces, const struct address *member, struct arena *,
    struct address *sender_r);

/*
 * The member that a bounce to `recipient` is about.  False when it is not one of
 * these addresses.  Others may have changed the case of letters.
 */
bool verp_member(const struct address *bounces, const struct address *recipient, struct arena *,
    struct address *member_r);

#endif
