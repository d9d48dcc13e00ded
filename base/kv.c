/* SPDX-License-Identifier: ISC */
#include <sys/stat.h>

#include <db.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/kv.h"
#include "base/pack.h"

enum {
	PATH_BYTES = 4096,
	PAGE_BYTES = 4096,
	LOG_BYTES = 1 << 20,            /* of one log file; its rest is zeroed at every start */
	LOG_MEMORY = 256 << 10,
	CHECKPOINT_KBYTES = 4 << 10,    /* less log than this is no reason for one */
	RANGE_BYTES = 1 << 20,          /* read at once */
	VALUE_BYTES = 64 << 20,         /* the longest value */
	ATTEMPTS = 3,                   /* to open before an environment is set aside */
	ASIDE_KEPT = 3,
	ROOM_BYTES = 4 << 20,           /* without so much room nothing is opened */
	EXPIRY_BYTES = 8,               /* in front of every value */
};

struct kv_table {
	struct kv  *kv;
	const char *name;
	DB         *db;
	struct buf  swept;              /* where the next kv_sweep() begins */
};

/*
 *     DIR             locked
 *     DIR/env         of Berkeley DB: logs, and a file a table
 *     DIR/opening     a byte for every attempt to open that has not come to its end
 *     DIR/doubt       something failed: look at everything before it is used
 *     DIR/damaged-N   set aside
 */
struct kv {
	const struct clock *clock;
	char           *dir;
	size_t          memory;
	int             lock;
	DB_ENV         *env;
	DB_TXN         *txn;            /* what was put since the last commit, or NULL */
	struct kv_table tables[KV_TABLES];
	size_t          count;
	bool            open, failed;
	struct buf      scratch;
	char           *aside;
	pthread_mutex_t lips;           /* guards `said`: a checkpoint has its own thread */
	char            said[160];      /* the last words of Berkeley DB */
};

/* --- names and errors ----------------------------------------------------- */

static const char *
path_in(const struct kv *kv, const char *name, char path[PATH_BYTES])
{
	bug_if((size_t)snprintf(path, PATH_BYTES, "%s/%s", kv->dir, name) >= PATH_BYTES);
	return path;
}

static void
listen_to(const DB_ENV *env, const char *prefix, const char *text)
{
	struct kv *kv = env->app_private;

	(void)prefix;
	pthread_mutex_lock(&kv->lips);
	snprintf(kv->said, sizeof kv->said, "%s", text);
	pthread_mutex_unlock(&kv->lips);
}

static bool
refuse(struct kv *kv, int code, const char *what, struct error *why)
{
	pthread_mutex_lock(&kv->lips);
	error_set(why, "%s: cannot %s: %s%s%s", kv->dir, what, db_strerror(code),
	    kv->said[0] ? "; " : "", kv->said);
	pthread_mutex_unlock(&kv->lips);
	if (why != NULL)
		why->number = code > 0 ? code : 0;
	return false;
}

static void
touch(const struct kv *kv, const char *name)
{
	char path[PATH_BYTES];
	int fd = open(path_in(kv, name, path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd == -1)
		return;
	file_write(fd, S("!"), NULL);
	close(fd);
}

/* From here on nothing is believed: Berkeley DB may have stopped in the middle. */
static bool
broken(struct kv *kv, int code, const char *what, struct error *why)
{
	kv->failed = true;
	touch(kv, "doubt");
	return refuse(kv, code, what, why);
}

static bool
usable(const struct kv *kv, struct error *why)
{
	return !kv->failed || error_set(why, "%s: failed before and was not opened again", kv->dir);
}

/* --- one entry ------------------------------------------------------------ */

static DBT
dbt_of(struct slice s)
{
	return (DBT){ .data = (void *)(uintptr_t)s.p, .size = (u_int32_t)s.n,
		.ulen = (u_int32_t)s.n, .flags = DB_DBT_USERMEM };
}

static bool
begin(struct kv *kv, struct error *why)
{
	int code;

	if (!usable(kv, why))
		return false;
	if (kv->txn != NULL)
		return true;
	code = kv->env->txn_begin(kv->env, NULL, &kv->txn, DB_TXN_WRITE_NOSYNC);
	return code == 0 || broken(kv, code, "begin a transaction", why);
}

/* Expiry and value as they are stored, into the scratch buf. */
static int
read_entry(struct kv_table *t, struct slice key)
{
	struct kv *kv = t->kv;
	DBT k = dbt_of(key);

	buf_clear(&kv->scratch);
	for (size_t room = 4096;;) {
		DBT v = { .data = buf_room(&kv->scratch, room), .ulen = (u_int32_t)room,
			.flags = DB_DBT_USERMEM };
		int code = t->db->get(t->db, kv->txn, &k, &v, 0);

		if (code == 0)
			kv->scratch.n = v.size;
		if (code != DB_BUFFER_SMALL || v.size > kv->scratch.ceiling)
			return code;
		room = v.size;
	}
}

static struct kv_entry
entry_of(struct slice key, struct slice stored)
{
	struct unpack u = { stored, false };
	int64_t expires = (int64_t)unpack_u64(&u);

	return (struct kv_entry){ key, u.left, expires };
}

static bool
expired(const struct kv *kv, const struct kv_entry *e)
{
	return e->expires != 0 && e->expires <= clock_now(kv->clock);
}

enum kv_answer
kv_get(struct kv_table *t, struct slice key, struct buf *value, struct error *why)
{
	struct kv_entry e;
	int code;

	bug_if(key.n == 0 || key.n > KV_KEY);
	if (!usable(t->kv, why))
		return KV_FAILED;
	code = read_entry(t, key);
	if (code == DB_NOTFOUND)
		return KV_NONE;
	if (code != 0) {
		broken(t->kv, code, "read", why);
		return KV_FAILED;
	}
	e = entry_of(key, buf_slice(&t->kv->scratch));
	if (expired(t->kv, &e))
		return KV_NONE;
	if (buf_add(value, e.value))
		return KV_FOUND;
	error_set(why, "%s: a value is longer than %zu bytes", t->kv->dir, value->ceiling);
	return KV_FAILED;
}

bool
kv_put_until(struct kv_table *t, struct slice key, struct slice value, int64_t expires,
    struct error *why)
{
	struct kv *kv = t->kv;
	DBT k = dbt_of(key), v;
	int code;

	bug_if(key.n == 0 || key.n > KV_KEY || value.n > VALUE_BYTES || expires < 0);
	if (!begin(kv, why))
		return false;
	buf_clear(&kv->scratch);
	pack_u64(&kv->scratch, (uint64_t)expires);
	buf_add(&kv->scratch, value);
	v = dbt_of(buf_slice(&kv->scratch));
	code = t->db->put(t->db, kv->txn, &k, &v, 0);
	return code == 0 || broken(kv, code, "write", why);
}

bool
kv_put(struct kv_table *t, struct slice key, struct slice value, struct error *why)
{
	return kv_put_until(t, key, value, 0, why);
}

bool
kv_delete(struct kv_table *t, struct slice key, struct error *why)
{
	DBT k = dbt_of(key);
	int code;

	bug_if(key.n == 0 || key.n > KV_KEY);
	if (!begin(t->kv, why))
		return false;
	code = t->db->del(t->db, t->kv->txn, &k, 0);
	return code == 0 || code == DB_NOTFOUND || broken(t->kv, code, "delete", why);
}

/* --- many entries --------------------------------------------------------- */

struct range {
	struct kv_table *table;
	struct slice     prefix;
	bool           (*each)(void *arg, const struct kv_entry *);
	void            *arg;
};

/* What one read brought; false when nothing more is wanted. */
static bool
give_bulk(const struct range *r, DBT *bulk)
{
	void *at, *key, *stored;
	u_int32_t key_n, stored_n;

	DB_MULTIPLE_INIT(at, bulk);
	for (;;) {
		struct kv_entry e;

		DB_MULTIPLE_KEY_NEXT(at, bulk, key, key_n, stored, stored_n);
		if (at == NULL)
			return true;
		e = entry_of(slice_of(key, key_n), slice_of(stored, stored_n));
		if (!slice_starts(e.key, r->prefix) || !r->each(r->arg, &e))
			return false;
	}
}

/* A page of entries at a time; the first key tells where to begin. */
static int
give_all(const struct range *r, DBC *cursor, DBT *key)
{
	u_int32_t step = key->size ? DB_SET_RANGE : DB_FIRST;
	size_t room = RANGE_BYTES;
	DBT bulk = { .data = must_alloc(room), .ulen = (u_int32_t)room, .flags = DB_DBT_USERMEM };
	int code;

	for (;;) {
		code = cursor->get(cursor, key, &bulk, step | DB_MULTIPLE_KEY);
		if (code == DB_BUFFER_SMALL && bulk.size <= 2 * (u_int32_t)VALUE_BYTES) {
			room = (2 * (size_t)bulk.size + 1023) / 1024 * 1024;
			bulk.data = must_grow(bulk.data, room);
			bulk.ulen = (u_int32_t)room;
			continue;
		}
		if (code != 0 || !give_bulk(r, &bulk))
			break;
		step = DB_NEXT;
	}
	free(bulk.data);
	return code == DB_NOTFOUND ? 0 : code;
}

/* All entries, the expired ones too. */
static bool
range(const struct range *r, struct slice from, struct error *why)
{
	struct kv *kv = r->table->kv;
	char first[KV_KEY + 1];
	DBT key = { .data = first, .ulen = sizeof first, .flags = DB_DBT_USERMEM };
	DBC *cursor;
	int code;

	if (!usable(kv, why))
		return false;
	if (from.n == 0)
		from = r->prefix;
	bug_if(from.n > sizeof first);
	if (from.n)
		memcpy(first, from.p, from.n);
	key.size = (u_int32_t)from.n;
	if ((code = r->table->db->cursor(r->table->db, kv->txn, &cursor, 0)) != 0)
		return broken(kv, code, "read", why);
	code = give_all(r, cursor, &key);
	cursor->close(cursor);
	return code == 0 || broken(kv, code, "read", why);
}

struct living_only {
	const struct kv *kv;
	bool           (*each)(void *arg, const struct kv_entry *);
	void            *arg;
};

static bool
give_living(void *arg, const struct kv_entry *e)
{
	const struct living_only *l = arg;

	return expired(l->kv, e) || l->each(l->arg, e);
}

bool
kv_range(struct kv_table *t, struct slice prefix, struct slice from,
    bool (*each)(void *arg, const struct kv_entry *), void *arg, struct error *why)
{
	struct living_only l = { t->kv, each, arg };
	struct range r = { t, prefix, give_living, &l };

	return range(&r, from, why);
}

struct walk {
	struct buf *cursor;
	size_t      left;
	bool      (*each)(void *arg, const struct kv_entry *);
	void       *arg;
};

static bool
walk_on(void *arg, const struct kv_entry *e)
{
	struct walk *w = arg;

	if (w->left > 0 && w->each(w->arg, e)) {
		w->left--;
		return true;
	}
	buf_add(w->cursor, e->key);             /* here the next one begins */
	return false;
}

bool
kv_walk(struct kv_table *t, struct buf *cursor, size_t most,
    bool (*each)(void *arg, const struct kv_entry *), void *arg, struct error *why)
{
	struct walk w = { cursor, most, each, arg };
	struct buf from = BUF(KV_KEY);
	bool ok;

	buf_add(&from, buf_slice(cursor));
	buf_clear(cursor);
	ok = kv_range(t, NONE, buf_slice(&from), walk_on, &w, why);
	buf_free(&from);
	return ok;
}

static bool
count_one(void *arg, const struct kv_entry *e)
{
	(void)e;
	++*(uint64_t *)arg;
	return true;
}

bool
kv_count(struct kv_table *t, uint64_t *count_r, struct error *why)
{
	uint64_t count = 0;

	if (!kv_range(t, NONE, NONE, count_one, &count, why))
		return false;
	*count_r = count;
	return true;
}

struct sweep {
	struct kv_table *table;
	size_t           left;
	struct buf       dead;          /* keys, each with its length in front */
};

static bool
look_at(void *arg, const struct kv_entry *e)
{
	struct sweep *s = arg;

	buf_clear(&s->table->swept);
	if (s->left == 0) {
		buf_add(&s->table->swept, e->key);      /* here the next one begins */
		return false;
	}
	s->left--;
	if (expired(s->table->kv, e))
		pack_slice(&s->dead, e->key);
	return true;
}

bool
kv_sweep(struct kv_table *t, size_t most, size_t *removed_r, struct error *why)
{
	struct sweep s = { t, most, BUF(most * (KV_KEY + 4)) };
	struct range r = { t, NONE, look_at, &s };
	char first[KV_KEY + 1];
	struct slice from = slice_of(first, t->swept.n);
	struct unpack dead;
	size_t removed = 0;
	bool ok;

	if (from.n)
		memcpy(first, t->swept.p, from.n);
	buf_clear(&t->swept);                   /* at the end: begin anew */
	ok = range(&r, from, why);
	dead = (struct unpack){ buf_slice(&s.dead), false };
	for (; ok && dead.left.n > 0; removed++)
		ok = kv_delete(t, unpack_slice(&dead), why);
	buf_free(&s.dead);
	if (ok && removed_r != NULL)
		*removed_r = removed;
	return ok;
}

struct seeking {
	struct kv_table *table;
	int              code;
};

static bool
seek_again(void *arg, const struct kv_entry *e)
{
	struct seeking *s = arg;

	s->code = read_entry(s->table, e->key);
	return s->code == 0;
}

/*
 * Every entry once in order and once by its key, so that the checksum of every
 * page is looked at.  (Berkeley DB's own verification took ten seconds over one
 * damaged page among forty.)
 */
static bool
read_twice(struct kv_table *t, struct error *why)
{
	struct seeking s = { t, 0 };
	struct range r = { t, NONE, seek_again, &s };

	return range(&r, NONE, why) &&
	    (s.code == 0 || broken(t->kv, s.code, "find what is there", why));
}

/* Without files or space left Berkeley DB sleeps for seconds and tries again; we go on. */
static int
yield_at_once(u_long seconds, u_long micros)
{
	struct timespec pause = { 0, (long)(micros < 1000 ? micros : 1000) * 1000 };

	(void)seconds;
	return nanosleep(&pause, NULL);
}

/* --- opening -------------------------------------------------------------- */

/*
 * Transactions without the lock subsystem: there is one thread and one
 * transaction, and no table of locks that a long transaction could fill.
 */
static bool
open_env(struct kv *kv, struct error *why)
{
	const u_int32_t how = DB_CREATE | DB_PRIVATE | DB_RECOVER | DB_THREAD |
	    DB_INIT_TXN | DB_INIT_LOG | DB_INIT_MPOOL;
	char home[PATH_BYTES];
	int code;

	if (!dir_make(path_in(kv, "env", home), 0700, why))
		return false;
	db_env_set_func_yield(yield_at_once);
	if ((code = db_env_create(&kv->env, 0)) != 0)
		return refuse(kv, code, "begin", why);
	kv->env->app_private = kv;
	kv->env->set_errcall(kv->env, listen_to);
	kv->env->set_msgcall(kv->env, NULL);
	if ((code = kv->env->set_cachesize(kv->env, 0, (u_int32_t)kv->memory, 1)) != 0 ||
	    (code = kv->env->set_lg_bsize(kv->env, LOG_MEMORY)) != 0 ||
	    (code = kv->env->set_lg_max(kv->env, LOG_BYTES)) != 0 ||
	    (code = kv->env->log_set_config(kv->env, DB_LOG_AUTO_REMOVE, 1)) != 0 ||
	    (code = kv->env->open(kv->env, home, how, 0600)) != 0)
		return refuse(kv, code, "open", why);
	return true;
}

static bool
open_table(struct kv *kv, struct kv_table *t, struct error *why)
{
	char file[128];
	int code;

	snprintf(file, sizeof file, "%s.db", t->name);
	if ((code = db_create(&t->db, kv->env, 0)) != 0)
		return refuse(kv, code, "begin a table", why);
	if ((code = t->db->set_pagesize(t->db, PAGE_BYTES)) != 0 ||
	    (code = t->db->set_flags(t->db, DB_CHKSUM)) != 0 ||
	    (code = t->db->open(t->db, NULL, file, NULL, DB_BTREE,
	    DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600)) != 0)
		return refuse(kv, code, "open a table", why);
	return true;
}

static bool
open_all(struct kv *kv, struct error *why)
{
	char path[PATH_BYTES];
	bool doubted = access(path_in(kv, "doubt", path), F_OK) == 0;

	if (!open_env(kv, why))
		return false;
	for (size_t i = 0; i < kv->count; i++)
		if (!open_table(kv, &kv->tables[i], why) ||
		    (doubted && !read_twice(&kv->tables[i], why)))
			return false;
	return !doubted || file_remove(path, why);
}

static void
close_all(struct kv *kv)
{
	if (kv->txn != NULL)
		kv->txn->abort(kv->txn);
	kv->txn = NULL;
	for (size_t i = 0; i < kv->count; i++) {
		if (kv->tables[i].db != NULL)
			kv->tables[i].db->close(kv->tables[i].db, kv->failed ? DB_NOSYNC : 0);
		kv->tables[i].db = NULL;
	}
	if (kv->env != NULL)
		kv->env->close(kv->env, 0);
	kv->env = NULL;
	kv->failed = false;
}

/* --- setting aside -------------------------------------------------------- */

static size_t
attempts_before(const struct kv *kv)
{
	char path[PATH_BYTES];
	struct stat st;

	return stat(path_in(kv, "opening", path), &st) == 0 ? (size_t)st.st_size : 0;
}

/* The highest N of the damaged-N that are there, or 0. */
static uint64_t
newest_aside(const struct kv *kv)
{
	DIR *dir = opendir(kv->dir);
	uint64_t newest = 0, n;

	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		struct slice name = slice(e->d_name);

		if (slice_starts(name, S("damaged-")) &&
		    slice_number(slice_skip(name, strlen("damaged-")), UINT32_MAX, &n) && n > newest)
			newest = n;
	}
	if (dir != NULL)
		closedir(dir);
	return newest;
}

static bool
set_aside(struct kv *kv, struct error *why)
{
	uint64_t n = newest_aside(kv) + 1;
	char from[PATH_BYTES], to[PATH_BYTES], name[64];

	snprintf(name, sizeof name, "damaged-%llu", (unsigned long long)n);
	if (!file_rename(path_in(kv, "env", from), path_in(kv, name, to), why) ||
	    !file_remove(path_in(kv, "opening", from), why) ||
	    !file_remove(path_in(kv, "doubt", from), why))
		return false;
	free(kv->aside);
	kv->aside = must_copy(to, strlen(to));
	if (n <= ASIDE_KEPT)
		return true;
	snprintf(name, sizeof name, "damaged-%llu", (unsigned long long)(n - ASIDE_KEPT));
	return dir_remove(path_in(kv, name, from), why);
}

/* A full or read-only disk is no reason to set aside what is good. */
static bool
has_room(struct kv *kv, struct error *why)
{
	char path[PATH_BYTES];
	int fd = open(path_in(kv, "room", path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool ok;

	if (fd == -1)
		return error_sys(why, "cannot create %s", path);
	ok = fallocate(fd, 0, 0, ROOM_BYTES) == 0 || errno == EOPNOTSUPP ||
	    error_sys(why, "cannot open %s", kv->dir);
	close(fd);
	return file_remove(path, why) && ok;
}

static bool
world_refused(int number)
{
	return number == ENOSPC || number == EDQUOT || number == EROFS || number == EACCES ||
	    number == EPERM || number == EMFILE || number == ENFILE || number == ENOMEM;
}

/*
 * Recovery may bring the program down (one of 25 torn disks did, by SIGSEGV):
 * the byte in `opening` stays behind, and the third time nobody tries again.
 */
static bool
open_or_replace(struct kv *kv, struct error *why)
{
	char path[PATH_BYTES];
	struct error refused = { 0 };

	if (attempts_before(kv) < ATTEMPTS) {
		touch(kv, "opening");
		if (open_all(kv, &refused))
			return file_remove(path_in(kv, "opening", path), why);
		close_all(kv);
		if (world_refused(refused.number)) {
			file_remove(path_in(kv, "opening", path), NULL);
			return error_set(why, "%s", refused.text);
		}
	}
	return set_aside(kv, why) && open_all(kv, why);
}

static bool
throw_away(struct kv *kv, struct error *why)
{
	char path[PATH_BYTES];

	return dir_remove(path_in(kv, "env", path), why) &&
	    file_remove(path_in(kv, "opening", path), why) &&
	    file_remove(path_in(kv, "doubt", path), why);
}

struct kv *
kv_open(const struct kv_options *o, struct error *why)
{
	struct kv *kv = must_alloc(sizeof *kv);

	pthread_mutex_init(&kv->lips, NULL);
	kv->clock = o->clock;
	kv->memory = o->memory;
	kv->dir = must_copy(o->dir, strlen(o->dir));
	kv->lock = -1;
	kv->scratch = BUF(VALUE_BYTES + EXPIRY_BYTES);
	for (; o->tables[kv->count] != NULL; kv->count++) {
		bug_if(kv->count == KV_TABLES);
		kv->tables[kv->count] = (struct kv_table){ .kv = kv,
			.name = o->tables[kv->count], .swept = BUF(KV_KEY + 1) };
	}
	kv->open = dir_make(kv->dir, 0700, why) && dir_lock(kv->dir, &kv->lock, why) && has_room(kv, why) &&
	    (!o->anew || throw_away(kv, why)) && open_or_replace(kv, why);
	if (kv->open)
		return kv;
	kv_close(kv);
	return NULL;
}

void
kv_close(struct kv *kv)
{
	if (kv == NULL)
		return;
	if (kv->txn != NULL)
		kv->txn->abort(kv->txn);
	kv->txn = NULL;
	if (kv->open && !kv->failed)
		kv->env->txn_checkpoint(kv->env, 0, 0, 0);      /* the next start is short */
	close_all(kv);
	for (size_t i = 0; i < kv->count; i++)
		buf_free(&kv->tables[i].swept);
	if (kv->lock != -1)
		close(kv->lock);
	buf_free(&kv->scratch);
	pthread_mutex_destroy(&kv->lips);
	free(kv->aside);
	free(kv->dir);
	free(kv);
}

bool
kv_sound(const struct kv *kv)
{
	return !kv->failed;
}

const char *
kv_aside(const struct kv *kv)
{
	return kv->aside;
}

struct kv_table *
kv_table(struct kv *kv, const char *name)
{
	for (size_t i = 0; i < kv->count; i++)
		if (strcmp(kv->tables[i].name, name) == 0)
			return &kv->tables[i];
	bug(__FILE__, __LINE__, name);
}

/* --- durability ----------------------------------------------------------- */

bool
kv_commit(struct kv *kv, enum kv_commit how, struct error *why)
{
	DB_TXN *txn = kv->txn;
	int code;

	if (!usable(kv, why))
		return false;
	if (txn == NULL && how == KV_SYNC) {    /* earlier quick commits, then */
		code = kv->env->log_flush(kv->env, NULL);
		return code == 0 || broken(kv, code, "flush", why);
	}
	if (txn == NULL)
		return true;
	kv->txn = NULL;
	code = txn->commit(txn, how == KV_SYNC ? DB_TXN_SYNC : DB_TXN_WRITE_NOSYNC);
	return code == 0 || broken(kv, code, "commit", why);
}

bool
kv_checkpoint(struct kv *kv, struct error *why)
{
	int code = kv->env->txn_checkpoint(kv->env, CHECKPOINT_KBYTES, 0, 0);

	return code == 0 || refuse(kv, code, "bring pages to the disk", why);
}
