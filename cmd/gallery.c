/* SPDX-License-Identifier: ISC */
/*
 * `chainmail lab gallery [FILE]`: how our own sender fares with every domain of the
 * gallery (or of a scenario like it), as a table for people, JSON, TAP or JUnit.
 */
#include "cmd/cmd.h"
#include "cmd/gallery_table.h"
#include "conf/load.h"

enum { TABLE_MEMORY = 16 << 20 };

/* --- the run ---------------------------------------------------------------------------------- */

static int
play(struct scenario *sc, enum lab_form form, const char *directory)
{
	struct error why;
	struct world *w = world_new(sc, directory, &why);
	struct arena *arena;
	struct play p;
	int code;

	if (w == NULL)
		return lab_failed("gallery", &why);
	arena = arena_new(TABLE_MEMORY);
	if (play_run(&p, w, &why)) {
		struct gallery_row *rows = gallery_rows(sc, arena);

		gallery_judge(rows, &p, arena);
		code = gallery_tell(rows, form);
	} else {
		code = lab_failed("gallery", &why);
	}
	play_end(&p);
	arena_free(arena);
	world_free(w);
	return code;
}

static int
play_in_directory(struct scenario *sc, enum lab_form form)
{
	struct lab_place place;
	struct error why;
	int code;

	if (!lab_place_begin(&place, &why))
		return lab_failed("gallery", &why);
	code = play(sc, form, place.path);
	lab_place_end(&place);
	return code;
}

struct scenario *
lab_world(const char *file, struct files *files, int *code)
{
	struct reader reader = file != NULL ? disk_reader(files) : files_reader(files);
	struct scenario *sc;
	struct flaws flaws;

	if (file == NULL)
		gallery_files(files);
	flaws_begin(&flaws);
	sc = scenario_read(file != NULL ? slice(file) : GALLERY_NAME, &reader, &flaws);
	if (flaws.errors > 0) {
		*code = lab_flaws(&flaws);
		scenario_free(sc);
		sc = NULL;
	}
	flaws_end(&flaws);
	return sc;
}

int
lab_gallery(const char *file, enum lab_form form)
{
	struct files files = { 0 };
	struct scenario *sc;
	int code;

	lab_watchdog();
	if ((sc = lab_world(file, &files, &code)) != NULL)
		code = play_in_directory(sc, form);
	scenario_free(sc);
	files_free(&files);
	return code;
}
