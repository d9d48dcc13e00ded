/* SPDX-License-Identifier: ISC */
#include "tests/decorated.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const struct decoration ASCII = { S_INIT("[m]"), S_INIT("-- \nthe list"), S_INIT("=_B") };
static const struct decoration UTF_8 = { S_INIT("[m]"), S_INIT("-- \nL\xc3\xadsta\n"), S_INIT("=_B") };

/* The footers as parts, with the delimiters around them. */
#define PART "\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Disposition: inline\r\n\r\n-- \r\nthe list\r\n--"
#define PART_8 "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n" \
	"Content-Disposition: inline\r\n\r\n--=20\r\nL=C3=ADsta\r\n--"
#define END "\r\n--=_B" PART "=_B--\r\n"
#define END_8 "\r\n--=_B" PART_8 "=_B--\r\n"
#define MIME "MIME-Version: 1.0\r\n"
#define MIXED "Content-Type: multipart/mixed;\r\n\tboundary=\"=_B\"\r\n"
#define TYPE "Content-Type: "
#define CTE "Content-Transfer-Encoding: "

/* A header without its subject (it is always tagged), and a body; then both as they leave. */
static const struct {
	const struct decoration *what;
	const char *header, *body;
	enum decorate_choice choice;
	const char *reason, *new_header, *new_body;
} shapes[] = {
	/* text that is continued; NULL: the header is the same */
	{ &ASCII, "", "hi\r\n", DECORATE_APPENDED, "", NULL, "hi\r\n-- \r\nthe list\r\n" },
	{ &ASCII, "", "", DECORATE_APPENDED, "", NULL, "-- \r\nthe list\r\n" },
	{ &ASCII, "", "hi", DECORATE_APPENDED, "", NULL, "hi\r\n-- \r\nthe list\r\n" },
	{ &ASCII, "", "hi\n", DECORATE_APPENDED, "", NULL, "hi\n\r\n-- \r\nthe list\r\n" },
	{ &ASCII, "", "hi\r", DECORATE_APPENDED, "", NULL, "hi\r\r\n-- \r\nthe list\r\n" },
	{ &ASCII, TYPE "text/plain\r\n", "hi\r\n", DECORATE_APPENDED, "", NULL, "hi\r\n-- \r\nthe list\r\n" },
	{ &ASCII, TYPE "text/plain; charset=\"US-ASCII\"\r\n", "hi\r\n", DECORATE_APPENDED, "", NULL,
	    "hi\r\n-- \r\nthe list\r\n" },
	{ &ASCII, MIME TYPE "text/plain; charset=utf-8; format=fixed\r\n" CTE "8bit\r\n", "\xc3\xbc\r\n",
	    DECORATE_APPENDED, "", NULL, "\xc3\xbc\r\n-- \r\nthe list\r\n" },
	{ &UTF_8, TYPE "text/plain; charset=UTF-8\r\n" CTE "8bit\r\n", "\xc3\xbc\r\n",
	    DECORATE_APPENDED, "", NULL, "\xc3\xbc\r\n-- \r\nL\xc3\xadsta\r\n" },
	{ &ASCII, "Content-Disposition: inline\r\n", "hi\r\n", DECORATE_APPENDED, "", NULL, "hi\r\n-- \r\nthe list\r\n" },
	{ &ASCII, "Content-Length: 4\r\n", "hi\r\n", DECORATE_APPENDED, "", "", "hi\r\n-- \r\nthe list\r\n" },
	/* quoted-printable (RFC 2045 6.7) */
	{ &ASCII, CTE "quoted-printable\r\n", "a=3Db\r\n", DECORATE_APPENDED, "", NULL, "a=3Db\r\n--=20\r\nthe list\r\n" },
	{ &UTF_8, TYPE "text/plain; charset=utf-8\r\n" CTE "quoted-printable\r\n", "a", DECORATE_APPENDED, "", NULL,
	    "a\r\n--=20\r\nL=C3=ADsta\r\n" },
	{ &ASCII, CTE "quoted-printable\r\n", "a=\r\n", DECORATE_APPENDED, "", NULL, "a=\r\n\r\n--=20\r\nthe list\r\n" },
	{ &ASCII, CTE "quoted-printable\r\n", "a= \t\r\n", DECORATE_APPENDED, "", NULL, "a= \t\r\n\r\n--=20\r\nthe list\r\n" },
	{ &ASCII, CTE "quoted-printable\r\n", "a=", DECORATE_APPENDED, "", NULL, "a=\r\n\r\n--=20\r\nthe list\r\n" },
	{ &ASCII, CTE "quoted-printable\r\n", "a=\r\n\r\n", DECORATE_APPENDED, "", NULL, "a=\r\n\r\n--=20\r\nthe list\r\n" },
	{ &ASCII, CTE "quoted-printable\r\n", "a=\nb\r\n", DECORATE_APPENDED, "", NULL, "a=\nb\r\n--=20\r\nthe list\r\n" },
	{ &ASCII, CTE "quoted-printable\r\n", "a=\r\nb", DECORATE_APPENDED, "", NULL, "a=\r\nb\r\n--=20\r\nthe list\r\n" },
	/* base64: "hi\r\n" is aGkNCg==, "abc" YWJj, "-- \r\nthe list\r\n" LS0gDQp0aGUgbGlzdA0K */
	{ &ASCII, CTE "base64\r\n", "", DECORATE_APPENDED, "", NULL, "LS0gDQp0aGUgbGlzdA0K\r\n" },
	{ &ASCII, CTE "base64\r\n", "YWIK\r\n", DECORATE_APPENDED, "", NULL, "YWIK\r\nLS0gDQp0aGUgbGlzdA0K\r\n" },
	{ &ASCII, CTE "base64\r\n", "YWIK", DECORATE_APPENDED, "", NULL, "YWIK\r\nLS0gDQp0aGUgbGlzdA0K\r\n" },
	{ &ASCII, CTE "base64\r\n", "YWJj\r\n", DECORATE_APPENDED, "", NULL, "YWJj\r\nDQotLSANCnRoZSBsaXN0DQo=\r\n" },
	{ &ASCII, CTE "base64\r\n", "aGkNCg==\r\n", DECORATE_APPENDED, "", NULL, "aGkN\r\nCi0tIA0KdGhlIGxpc3QNCg==\r\n" },
	{ &ASCII, CTE "base64\r\n", "aGkNCg==\r\n\r\n", DECORATE_APPENDED, "", NULL, "aGkN\r\nCi0tIA0KdGhlIGxpc3QNCg==\r\n" },
	{ &ASCII, CTE "base64\r\n", "aGkN\r\nC g\r\n= =", DECORATE_APPENDED, "", NULL, "aGkN\r\nCi0tIA0KdGhlIGxpc3QNCg==\r\n" },
	{ &ASCII, CTE "base64\r\n", "YWJjZGU=\r\n", DECORATE_APPENDED, "", NULL, "YWJj\r\nZGUNCi0tIA0KdGhlIGxpc3QNCg==\r\n" },
	/* base64 that nobody can continue */
	{ &ASCII, CTE "base64\r\n", "YWJ\r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYWJ\r\n" END },
	{ &ASCII, CTE "base64\r\n", "YQ==YQ==\r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYQ==YQ==\r\n" END },
	{ &ASCII, CTE "base64\r\n", "YQ=\r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYQ=\r\n" END },
	{ &ASCII, CTE "base64\r\n", "YI==\r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYI==\r\n" END },
	{ &ASCII, CTE "base64\r\n", "YWJj=\r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYWJj=\r\n" END },
	{ &ASCII, CTE "base64\r\n", "YWJ/YWK=\r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYWJ/YWK=\r\n" END },             /* bits left over */
	{ &ASCII, CTE "base64\r\n", "YWJj\r\n-- \r\n", DECORATE_WRAPPED, "broken base64", MIME MIXED,
	    "--=_B\r\n" CTE "base64\r\n\r\nYWJj\r\n-- \r\n" END },
	/* text that is wrapped */
	{ &UTF_8, "", "hi\r\n", DECORATE_WRAPPED, "the footer is not ASCII", MIME MIXED, "--=_B\r\n\r\nhi\r\n" END_8 },
	{ &UTF_8, TYPE "text/plain; charset=utf-8\r\n", "hi", DECORATE_WRAPPED, "the footer is not ASCII", MIME MIXED,
	    "--=_B\r\n" TYPE "text/plain; charset=utf-8\r\n\r\nhi" END_8 },
	{ &UTF_8, TYPE "text/plain\r\n" CTE "base64\r\n", "", DECORATE_WRAPPED, "the footer is not ASCII", MIME MIXED,
	    "--=_B\r\n" TYPE "text/plain\r\n" CTE "base64\r\n\r\n" END_8 },
	{ &ASCII, MIME TYPE "text/plain; charset=iso-8859-1\r\n" CTE "8bit\r\n", "\xfc\r\n", DECORATE_WRAPPED,
	    "another charset", MIME MIXED CTE "8bit\r\n",
	    "--=_B\r\n" TYPE "text/plain; charset=iso-8859-1\r\n" CTE "8bit\r\n\r\n\xfc\r\n" END },
	{ &ASCII, TYPE "text/plain; format=flowed\r\nX: y\r\n", "a \r\nb\r\n", DECORATE_WRAPPED, "flowed text",
	    "X: y\r\n" MIME MIXED, "--=_B\r\n" TYPE "text/plain; format=flowed\r\n\r\na \r\nb\r\n" END },
	{ &ASCII, "Content-Disposition: attachment; filename=x\r\n", "a", DECORATE_WRAPPED, "the text is an attachment",
	    MIME MIXED, "--=_B\r\nContent-Disposition: attachment; filename=x\r\n\r\na" END },
	{ &ASCII, CTE "binary\r\n", "a\nb", DECORATE_WRAPPED, "the transfer encoding", MIME MIXED CTE "binary\r\n",
	    "--=_B\r\n" CTE "binary\r\n\r\na\nb" END },
	{ &ASCII, CTE "x-uuencode\r\n", "a", DECORATE_WRAPPED, "the transfer encoding", MIME MIXED,
	    "--=_B\r\n" CTE "x-uuencode\r\n\r\na" END },
	{ &ASCII, "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n", "a", DECORATE_WRAPPED, "a checksum", MIME MIXED,
	    "--=_B\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n\r\na" END },
	{ &ASCII, TYPE "text/plain (x)\r\n", "a", DECORATE_WRAPPED, "a doubtful header", MIME MIXED,
	    "--=_B\r\n" TYPE "text/plain (x)\r\n\r\na" END },
	{ &ASCII, TYPE "text\r\n", "a", DECORATE_WRAPPED, "a doubtful header", MIME MIXED, "--=_B\r\n" TYPE "text\r\n\r\na" END },
	{ &ASCII, TYPE "text/plain\r\n" TYPE "text/html\r\n", "a", DECORATE_WRAPPED, "a doubtful header", MIME MIXED,
	    "--=_B\r\n" TYPE "text/plain\r\n" TYPE "text/html\r\n\r\na" END },
	/* all that is no text/plain */
	{ &ASCII, TYPE "text/html\r\nContent-Length: 4\r\nContent-Language: de\r\n", "<p>", DECORATE_WRAPPED, "text/html",
	    MIME MIXED, "--=_B\r\n" TYPE "text/html\r\nContent-Language: de\r\n\r\n<p>" END },
	{ &ASCII, TYPE "multipart/alternative; boundary=b\r\n", "--b\r\n\r\nx\r\n--b--\r\n", DECORATE_WRAPPED,
	    "multipart/alternative", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n" END },
	{ &ASCII, TYPE "multipart/signed; micalg=pgp-sha256; boundary=b\r\n", "--b\r\n\r\nx\r\n--b--\r\n", DECORATE_WRAPPED,
	    "multipart/signed", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/signed; micalg=pgp-sha256; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n" END },
	{ &ASCII, TYPE "application/pkcs7-mime; smime-type=enveloped-data\r\n" CTE "base64\r\n", "YQ==\r\n", DECORATE_WRAPPED,
	    "application/pkcs7-mime", MIME MIXED,
	    "--=_B\r\n" TYPE "application/pkcs7-mime; smime-type=enveloped-data\r\n" CTE "base64\r\n\r\nYQ==\r\n" END },
	{ &ASCII, TYPE "message/rfc822\r\n", "A: b\r\n\r\nx", DECORATE_WRAPPED, "message/rfc822", MIME MIXED,
	    "--=_B\r\n" TYPE "message/rfc822\r\n\r\nA: b\r\n\r\nx" END },
	/* multipart/mixed gets a part */
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n\r\nx\r\n--b--\r\n", DECORATE_ADDED, "", NULL,
	    "--b\r\n\r\nx\r\n--b" PART "b--\r\n" },
	{ &UTF_8, TYPE "multipart/mixed; boundary=b\r\n" CTE "7bit\r\n", "--b\r\n\r\nx\r\n--b--\r\n", DECORATE_ADDED, "", NULL,
	    "--b\r\n\r\nx\r\n--b" PART_8 "b--\r\n" },
	{ &ASCII, TYPE "Multipart/MIXED; boundary=\"b c\"\r\n", "pre\r\n--b c \r\n\r\nx\r\n--b c-- \r\nepi\r\n--b c--\r\n",
	    DECORATE_ADDED, "", NULL, "pre\r\n--b c \r\n\r\nx\r\n--b c" PART "b c-- \r\nepi\r\n--b c--\r\n" },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n\r\nx\r\n--b--", DECORATE_ADDED, "", NULL,
	    "--b\r\n\r\nx\r\n--b" PART "b--" },
	/* never closed, at any place (RFC 2046 5.1.2) */
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n\r\nx\r\n", DECORATE_ADDED, "", NULL,
	    "--b\r\n\r\nx\r\n\r\n--b" PART "b--\r\n" },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n\r\nx", DECORATE_ADDED, "", NULL,
	    "--b\r\n\r\nx\r\n--b" PART "b--\r\n" },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n" TYPE "text/plain\r\n", DECORATE_ADDED, "", NULL,
	    "--b\r\n" TYPE "text/plain\r\n\r\n--b" PART "b--\r\n" },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b", DECORATE_ADDED, "", NULL, "--b\r\n--b" PART "b--\r\n" },
	/* what is inside is not looked at */
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n",
	    "--b\r\n" TYPE "multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n\r\n--b--\r\n", DECORATE_ADDED, "", NULL,
	    "--b\r\n" TYPE "multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n\r\n--b" PART "b--\r\n" },
	/* a multipart/mixed that is wrapped */
	{ &ASCII, TYPE "multipart/mixed\r\n", "x", DECORATE_WRAPPED, "no proper boundary", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/mixed\r\n\r\nx" END },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "no part\r\n", DECORATE_WRAPPED, "a multipart without parts",
	    MIME MIXED, "--=_B\r\n" TYPE "multipart/mixed; boundary=b\r\n\r\nno part\r\n" END },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b--\r\n", DECORATE_WRAPPED, "a multipart without parts",
	    MIME MIXED, "--=_B\r\n" TYPE "multipart/mixed; boundary=b\r\n\r\n--b--\r\n" END },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n\r\n--bc\r\n--b--\r\n", DECORATE_WRAPPED,
	    "lines that begin like delimiters", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--bc\r\n--b--\r\n" END },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n", "--b\r\n\r\n\n--b--\n\r\n--b--\r\n", DECORATE_WRAPPED,
	    "bare line ends", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\n--b--\n\r\n--b--\r\n" END },
	{ &ASCII, TYPE "multipart/mixed; boundary=b\r\n" CTE "base64\r\n", "LS1i", DECORATE_WRAPPED,
	    "an encoded multipart", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/mixed; boundary=b\r\n" CTE "base64\r\n\r\nLS1i" END },
	{ &ASCII, TYPE "multipart/mixed; boundary*0=a; boundary*1=b\r\n", "--ab\r\n\r\n--ab--\r\n", DECORATE_WRAPPED,
	    "a doubtful header", MIME MIXED,
	    "--=_B\r\n" TYPE "multipart/mixed; boundary*0=a; boundary*1=b\r\n\r\n--ab\r\n\r\n--ab--\r\n" END },
};

static void
add_header(struct buf *b, const struct header *h)
{
	for (size_t i = 0; i < h->count; i++)
		buf_add(b, h->fields[i].whole);
}

static void
check_shape(size_t i, size_t step)
{
	struct buf message = BUF(10000), want = BUF(10000), got = BUF(10000);
	const char *header = shapes[i].header, *flaw;
	struct error why = { 0 };
	struct decorated m;
	bool made;

	buf_printf(&message, "From: a@x.test\r\nSubject: s\r\n%s\r\n", header);
	buf_add(&message, slice(shapes[i].body));
	buf_printf(&want, "From: a@x.test\r\nSubject: [m] s\r\n%s\r\n",
	    shapes[i].new_header != NULL ? shapes[i].new_header : header);
	buf_add(&want, slice(shapes[i].new_body));
	made = decorated_make(&m, buf_slice(&message), shapes[i].what, step, &why);
	assert_case(made, i, why.text);
	add_header(&got, &m.edit.header);
	buf_add(&got, S("\r\n"));
	buf_add(&got, buf_slice(&m.body));
	assert_case(m.d.choice == shapes[i].choice, i, decorate_choice_name(m.d.choice));
	assert_slice(m.d.reason, shapes[i].reason);
	if (!slice_eq(buf_slice(&got), buf_slice(&want)))
		print_error("case %zu, step %zu:\n%.*s\n--- but wanted\n%.*s\n", i, step, FMT(buf_slice(&got)),
		    FMT(buf_slice(&want)));
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	flaw = decorated_flaw(&m);
	assert_case(flaw == NULL, i, flaw);
	decorated_free(&m);
	buf_free(&message);
	buf_free(&want);
	buf_free(&got);
}

static void
every_shape_stays_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++)
		for (size_t step = 1; step < 12; step++)
			check_shape(i, step);
}

/* --- subjects ----------------------------------------------------------------- */

static const struct { const char *tag, *subject, *tagged; } subject_cases[] = {
	{ "[m]", "Subject: hello\r\n", "Subject: [m] hello\r\n" },
	{ "[m]", "SUBJECT:hello\r\n", "SUBJECT: [m] hello\r\n" },
	{ "[m]", "Subject :  hello \r\n", "Subject: [m] hello\r\n" },
	{ "[m]", "Subject:\r\n", "Subject: [m]\r\n" },
	{ "[m]", "Subject: \t\r\n", "Subject: [m]\r\n" },
	{ "[m]", "", "Subject: [m]\r\n" },
	{ "[m]", "Subject: Re: hello\r\n", "Subject: [m] Re: hello\r\n" },
	/* once, and not again in answers */
	{ "[m]", "Subject: [m] hello\r\n", "Subject: [m] hello\r\n" },
	{ "[m]", "Subject: Re: [m] hello\r\n", "Subject: Re: [m] hello\r\n" },
	{ "[m]", "Subject: AW: Re: [M] hello\r\n", "Subject: AW: Re: [M] hello\r\n" },
	{ "[m]", "Subject: Re: [other] [m] x\r\n", "Subject: Re: [other] [m] x\r\n" },
	{ "[m]", "Subject: =?utf-8?q?Re:_[m]_=C3=BC?=\r\n", "Subject: =?utf-8?q?Re:_[m]_=C3=BC?=\r\n" },
	{ "[m]", "Subject: =?utf-8?b?UmU6IFttXSDDvA==?=\r\n", "Subject: =?utf-8?b?UmU6IFttXSDDvA==?=\r\n" },
	{ "[a b]", "Subject: Re: [a\r\n b] x\r\n", "Subject: Re: [a\r\n b] x\r\n" },
	{ "[a b]", "Subject: =?utf-8?q?[a_?=\r\n =?utf-8?q?b]?= x\r\n", "Subject: =?utf-8?q?[a_?=\r\n =?utf-8?q?b]?= x\r\n" },
	{ "[m]", "Subject: [mm] x\r\n", "Subject: [m] [mm] x\r\n" },
	/* what is encoded stays so */
	{ "[m]", "Subject: =?utf-8?q?=C3=BC?=\r\n", "Subject: [m] =?utf-8?q?=C3=BC?=\r\n" },
	{ "[m]", "Subject: \xc3\xbc\r\n", "Subject: [m] \xc3\xbc\r\n" },
	/* folding */
	{ "[m]", "Subject: a\r\n b\r\n", "Subject: [m] a\r\n b\r\n" },
	{ "[m]", "Subject:\r\n a\r\n", "Subject: [m] a\r\n" },
	{ "[m]", "Subject: \r\n \r\n a\r\n", "Subject: [m] a\r\n" },
	{ "[m]", "Subject: 1234567890123456789012345678901234567890123456789012345678901234\r\n x\r\n",
	    "Subject: [m] 1234567890123456789012345678901234567890123456789012345678901234\r\n x\r\n" },
	{ "[m]", "Subject: 123456789012345678901234567890123456789012345678901234567890123456\r\n x\r\n",
	    "Subject: [m]\r\n 123456789012345678901234567890123456789012345678901234567890123456\r\n x\r\n" },
	/* a tag that is not ASCII (RFC 2047 6.2) */
	{ "[\xc3\xbc]", "Subject: x\r\n", "Subject: =?utf-8?q?=5B=C3=BC=5D?= x\r\n" },
	{ "[\xc3\xbc]", "Subject: =?utf-8?q?x?=\r\n", "Subject: =?utf-8?q?=5B=C3=BC=5D_?= =?utf-8?q?x?=\r\n" },
	{ "[\xc3\xbc]", "Subject: Re: =?utf-8?q?=5B=C3=BC=5D?= x\r\n", "Subject: Re: =?utf-8?q?=5B=C3=BC=5D?= x\r\n" },
	{ "[\xc3\xbc]", "", "Subject: =?utf-8?q?=5B=C3=BC=5D?=\r\n" },
	/* only the first one: whoever lets two pass has his reasons */
	{ "[m]", "Subject: a\r\nSubject: b\r\n", "Subject: [m] a\r\nSubject: b\r\n" },
	{ "", "Subject: a\r\n", "Subject: a\r\n" },
};

static void
subjects_are_tagged_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(subject_cases); i++) {
		struct decoration what = { .tag = slice(subject_cases[i].tag) };
		struct buf message = BUF(10000), got = BUF(10000);
		struct decorated m, again;

		buf_printf(&message, "%s\r\nbody\r\n", subject_cases[i].subject);
		assert_true(decorated_make(&m, buf_slice(&message), &what, 100, NULL));
		add_header(&got, &m.edit.header);
		if (!slice_eq(buf_slice(&got), slice(subject_cases[i].tagged)))
			print_error("\"%.*s\"\n", FMT(buf_slice(&got)));
		assert_case(slice_eq(buf_slice(&got), slice(subject_cases[i].tagged)), i, subject_cases[i].subject);
		assert_int_equal(m.d.choice, DECORATE_LEFT);
		assert_slice(buf_slice(&m.body), "body\r\n");
		/* A second list by the same name changes nothing more. */
		buf_add(&got, S("\r\n"));
		assert_true(decorated_make(&again, buf_slice(&got), &what, 100, NULL));
		buf_clear(&message);
		add_header(&message, &again.edit.header);
		assert_case(slice_eq(buf_slice(&message), slice(subject_cases[i].tagged)), i, "again");
		decorated_free(&m);
		decorated_free(&again);
		buf_free(&message);
		buf_free(&got);
	}
}

/* --- limits -------------------------------------------------------------------- */

static void
what_is_put_on_is_checked(void **state)
{
	static const struct { const char *tag, *footer; bool good; } cases[] = {
		{ "", "", true }, { "[m]", "-- \nx\ty\n", true }, { "\xc3\xbc", "\xc3\xbc", true },
		{ "a\nb", "", false }, { "\x7f", "", false }, { "\xfc", "", false },
		{ "", "a\rb", false }, { "", "\x1b[0m", false }, { "", "\xfc", false },
	};
	struct buf b = BUF(20000);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error why = { 0 };
		bool good = decoration_check(slice(cases[i].tag), slice(cases[i].footer), &why);

		assert_case(good == cases[i].good && (why.text[0] == '\0') == good, i, why.text);
	}
	for (int i = 0; i < FOOTER_LINE_MOST; i++)
		buf_byte(&b, 'x');
	assert_true(decoration_check(S(""), buf_slice(&b), NULL));
	buf_byte(&b, 'x');
	assert_false(decoration_check(S(""), buf_slice(&b), NULL));
	buf_clear(&b);
	for (int i = 0; i < FOOTER_MOST; i++)
		buf_byte(&b, '\n');
	assert_true(decoration_check(S(""), buf_slice(&b), NULL));
	buf_byte(&b, '\n');
	assert_false(decoration_check(S(""), buf_slice(&b), NULL));
	assert_true(decoration_check(slice_head(buf_slice(&b), 0), S(""), NULL));
	memset(b.p, 'x', TAG_MOST + 1);
	assert_true(decoration_check(slice_head(buf_slice(&b), TAG_MOST), S(""), NULL));
	assert_false(decoration_check(slice_head(buf_slice(&b), TAG_MOST + 1), S(""), NULL));
	buf_free(&b);
}

/* The boundary must not be in what it bounds; a caller takes another one. */
static void
a_boundary_that_stands_in_the_post_is_noticed(void **state)
{
	static const struct { const char *message, *footer, *boundary; bool good; } cases[] = {
		{ TYPE "text/html\r\n\r\n--B\r\n", "f", "B", false },
		{ TYPE "text/html\r\n\r\n--Bx\r\n", "f", "B", false },
		{ TYPE "text/html\r\n\r\n--B", "f", "B", false },
		{ TYPE "text/html\r\n\r\n--B--", "f", "B", false },
		{ TYPE "text/html\r\n\r\n --B\r\n", "f", "B", true },
		{ "\r\n--B\r\n", "f", "B", true },                      /* it is not needed here */
		{ TYPE "text/html\r\n\r\nx", "f\n--B\n", "B", false },
		{ "\r\nx", "f", "", false }, { "\r\nx", "f", "a ", false }, { "\r\nx", "f", "a\"b", false },
		{ "\r\nx", "f", "a'()+_,-./:=? b", true },
		{ "\r\nx", "f", "1234567890123456789012345678901234567890123456789012345678901234567890", true },
		{ "\r\nx", "f", "12345678901234567890123456789012345678901234567890123456789012345678901", false },
		/* theirs, in our footer: not where they could end it */
		{ TYPE "multipart/mixed; boundary=evil\r\n\r\n--evil\r\n\r\n--evil--\r\n", "--evil--", "B", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct decoration what = { NONE, slice(cases[i].footer), slice(cases[i].boundary) };
		struct error why = { 0 };
		struct decorated m;
		bool made = decorated_make(&m, slice(cases[i].message), &what, 7, &why);

		assert_case(made == cases[i].good, i, why.text);
		assert_case(!cases[i].good || decorated_flaw(&m) == NULL, i, "flaw");
		if (i == COUNT(cases) - 1)
			assert_slice(m.d.reason, "the boundary stands in the footer");
		decorated_free(&m);
	}
}

static void
a_full_arena_is_an_outcome(void **state)
{
	struct slice message = S(TYPE "text/html\r\nSubject: x\r\n\r\n<p>");
	struct header h;
	bool done = false;

	(void)state;
	assert_true(header_parse(&h, slice_head(message, header_length(message)), arena, NULL));
	for (size_t ceiling = 0; ceiling < 20000 && !done; ceiling += 50) {
		struct arena *small = arena_new(ceiling);
		struct error why = { 0 };
		struct decorate d;
		struct edit e;

		if (decorate_begin(&d, &ASCII, &h, small, &why)) {
			decorate_look(&d, S("<p>"));
			edit_begin(&e, &h, small);
			done = decorate_plan(&d, &e, &why);
		}
		assert_true(done || why.text[0] != '\0');
		arena_free(small);
	}
	assert_true(done);
}

/* Two passes over a body that nobody holds. */
static void
a_large_body_streams(void **state)
{
	static char piece[1 << 16];
	const uint64_t rounds = 1 << 12;        /* 256 MiB */
	struct header h;
	struct decorate d;
	struct edit e;
	uint64_t written = 0;

	(void)state;
	memset(piece, 'x', sizeof piece);
	memcpy(piece + sizeof piece - 2, "\r\n", 2);
	assert_true(header_parse(&h, S(TYPE "text/html\r\n"), arena, NULL));
	assert_true(decorate_begin(&d, &ASCII, &h, arena, NULL));
	for (uint64_t i = 0; i < rounds; i++)
		decorate_look(&d, slice_of(piece, sizeof piece));
	edit_begin(&e, &h, arena);
	assert_true(decorate_plan(&d, &e, NULL));
	for (uint64_t i = 0; i < rounds; i++) {
		struct slice input = slice_of(piece, sizeof piece), out;

		while (decorate_next(&d, &input, &out))
			written += out.n;
	}
	assert_true(written == d.size && written > rounds * sizeof piece);
	assert_true(arena_spent(arena) < 8192);
}

/* --- edit ------------------------------------------------------------------------- */

static bool is_x(const struct field *f) { return slice_startsi(f->name, S("x-")); }

static void
a_header_is_edited(void **state)
{
	struct header h;
	struct edit e;
	struct buf b = BUF(1000);

	(void)state;
	assert_true(header_parse(&h, S("X-A: 1\r\nB: 2\r\n more\r\nx-c: 3\r\nD: no end"), arena, NULL));
	edit_begin(&e, &h, arena);
	edit_remove(&e, is_x);
	edit_add(&e, S("E: 5\r\n"));
	edit_replace(&e, header_find(&e.header, "b"), S("F:6\r\n"));
	add_header(&b, &e.header);
	assert_slice(buf_slice(&b), "F:6\r\nD: no end\r\nE: 5\r\n");
	assert_int_equal(edit_size(&e), b.n);
	assert_slice(e.header.fields[0].name, "F");
	assert_slice(e.header.fields[0].value, "6");
	assert_int_equal(h.count, 4);                   /* the first one is as it was */
	assert_slice(h.fields[3].whole, "D: no end");
	for (int i = 0; i < 100; i++)
		edit_add(&e, S("G: 7\r\n"));
	assert_true(e.full);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_stays_valid),
		cmocka_unit_test(subjects_are_tagged_once),
		cmocka_unit_test(what_is_put_on_is_checked),
		cmocka_unit_test(a_boundary_that_stands_in_the_post_is_noticed),
		cmocka_unit_test_setup_teardown(a_full_arena_is_an_outcome, setup, teardown),
		cmocka_unit_test_setup_teardown(a_large_body_streams, setup, teardown),
		cmocka_unit_test_setup_teardown(a_header_is_edited, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
