/* SPDX-License-Identifier: ISC */
/* Which role may see which files: the promises of DESIGN, read off the table. */
#include "cmd/role.h"
#include "unit.h"

#define ROLE(r) (1u << ROLE_##r)

enum {
	MAIL = ROLE(SMTPD) | ROLE(QUEUE) | ROLE(DELIVERY),
	ALL = MAIL | ROLE(WEB),
	DNS = ROLE(SMTPD) | ROLE(DELIVERY),
};

static const unsigned who[FILE_PURPOSES] = {
	[FILE_CONFIG] = ALL,
	[FILE_TLS_CERTIFICATE] = ROLE(SMTPD), [FILE_TLS_KEY] = ROLE(SMTPD),
	[FILE_WEB_CERTIFICATE] = ROLE(WEB), [FILE_WEB_KEY] = ROLE(WEB),
	[FILE_SIGNING_KEY] = ROLE(QUEUE),               /* who talks to strangers holds none */
	[FILE_ROOTS] = ROLE(DELIVERY),
	[FILE_ANCHOR] = DNS, [FILE_FACTS] = DNS, [FILE_NAMESERVERS] = DNS,
	[FILE_ALIASES] = MAIL, [FILE_MEMBERS] = MAIL, [FILE_USERS] = MAIL, [FILE_TRUST] = MAIL,
	[FILE_LISTS] = MAIL,
	[FILE_SECRETS] = ROLE(SMTPD) | ROLE(QUEUE),
};

static void
each_role_sees_what_it_needs_and_no_more(void **state)
{
	(void)state;
	for (enum file_purpose p = 0; p < FILE_PURPOSES; p++)
		for (unsigned role = 0; role < ROLE_NUMBERS; role++)
			assert_case((ROLE_KINDS[role].purposes >> p & 1) == (who[p] >> role & 1), role,
			    file_purpose_name(p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_role_sees_what_it_needs_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
