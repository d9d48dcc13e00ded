/* SPDX-License-Identifier: ISC */
/*
 * faces -- the names by which other programs and people call a mail system:
 * mailq, newaliases, postqueue, postsuper, postcat, sendmail.  A link of that name to
 * chainmail is enough; each does what its words mean with our own commands.
 */
#ifndef CMD_FACES_H
#define CMD_FACES_H

/* What to run under that name (the last part of argv[0]), or NULL. */
int (*face_of(const char *name))(int argc, char **argv);

/* As getopt(); but what it does not know is told as complaint() tells it, here and nowhere else. */
int next_option(int argc, char **argv, const char *letters);

int face_sendmail(int argc, char **argv);       /* sendmail.c */

#endif
