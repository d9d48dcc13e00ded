/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "queue/state.h"

enum { VALUE_MOST = 1 << 20 };

const char *const STATE_TABLES[] = { "sts", "tlsrpt", "left", "sealers", NULL };

/* --- writing ---------------------------------------------------------------------------- */

static void
set_bytes(json_t *row, const char *name, struct slice bytes)
{
	json_t *text = json_stringn(bytes.n > 0 ? bytes.p : "", bytes.n);
	bool plain = memchr(bytes.n > 0 ? bytes.p : "x", 0, bytes.n) == NULL;
	struct buf hex = BUF(2 * VALUE_MOST + 1);
	char key[20];

	if (text != NULL && plain) {
		json_object_set_new(row, name, text);
		return;
	}
	json_decref(text);
	for (size_t i = 0; i < bytes.n; i++)
		buf_printf(&hex, "%02x", (unsigned char)bytes.p[i]);
	snprintf(key, sizeof key, "%s_hex", name);
	json_object_set_new(row, key, json_stringn(hex.n > 0 ? hex.p : "", hex.n));
	buf_free(&hex);
}

struct dumping {
	const char *table;
	bool      (*row)(void *arg, json_t *);
	void       *arg;
	bool        stopped;
};

static bool
dump_one(void *arg, const struct kv_entry *e)
{
	struct dumping *d = arg;
	json_t *row = json_object();

	json_object_set_new(row, "table", json_string(d->table));
	set_bytes(row, "key", e->key);
	set_bytes(row, "value", e->value);
	if (e->expires > 0)
		json_object_set_new(row, "expires", json_integer(e->expires));
	d->stopped = !d->row(d->arg, row);
	return !d->stopped;
}

bool
state_dump(struct kv *kv, bool (*row)(void *, json_t *), void *arg, struct error *why)
{
	struct dumping d = { .row = row, .arg = arg };
	bool ok = true;

	for (size_t i = 0; ok && !d.stopped && (d.table = STATE_TABLES[i]) != NULL; i++)
		ok = kv_range(kv_table(kv, d.table), NONE, NONE, dump_one, &d, why);
	return ok;
}

/* --- reading ------------------------------------------------------------------------------ */

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
add_hex(struct buf *to, const char *hex)
{
	for (; *hex != '\0'; hex += 2) {
		int high = digit(hex[0]), low = high == -1 ? -1 : digit(hex[1]);

		if (low == -1)
			return false;
		buf_byte(to, (char)(high * 16 + low));
	}
	return true;
}

static bool
get_bytes(const json_t *row, const char *name, struct buf *to)
{
	const json_t *plain = json_object_get(row, name);
	const char *hex;
	char key[20];

	if (json_is_string(plain)) {
		buf_add(to, slice_of(json_string_value(plain), json_string_length(plain)));
		return !to->full;
	}
	snprintf(key, sizeof key, "%s_hex", name);
	hex = json_string_value(json_object_get(row, key));
	return hex != NULL && add_hex(to, hex) && !to->full;
}

static const char *
table_of(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "table"));

	for (size_t i = 0; name != NULL && STATE_TABLES[i] != NULL; i++)
		if (strcmp(name, STATE_TABLES[i]) == 0)
			return name;
	return NULL;
}

static bool
read_row(const json_t *row, struct buf *key, struct buf *value, struct error *why)
{
	const json_t *until = json_object_get(row, "expires");

	if (until != NULL && !json_is_integer(until))
		return error_set(why, "\"expires\" is no time in milliseconds");
	return (table_of(row) != NULL && get_bytes(row, "key", key) && key->n > 0 &&
	    get_bytes(row, "value", value)) ||
	    error_set(why, "a row that is none: it needs a table, a key and a value");
}

bool
state_check(const json_t *row, struct error *why)
{
	struct buf key = BUF(KV_KEY), value = BUF(VALUE_MOST);
	bool ok = read_row(row, &key, &value, why);

	buf_free(&key);
	buf_free(&value);
	return ok;
}

bool
state_load(struct kv *kv, const json_t *row, struct error *why)
{
	struct buf key = BUF(KV_KEY), value = BUF(VALUE_MOST);
	int64_t expires = json_integer_value(json_object_get(row, "expires"));
	bool ok = read_row(row, &key, &value, why);

	if (ok && expires > 0)
		ok = kv_put_until(kv_table(kv, table_of(row)), buf_slice(&key), buf_slice(&value), expires,
		    why);
	else if (ok)
		ok = kv_put(kv_table(kv, table_of(row)), buf_slice(&key), buf_slice(&value), why);
	buf_free(&key);
	buf_free(&value);
	return ok;
}
