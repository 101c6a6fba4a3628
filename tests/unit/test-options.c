/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line as people type it: values glued to short options, and files of the usual odd kinds. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cmd/cmd.h"

typedef struct {
	int jobs;
	gboolean quiet;
	char *output;
	char *left; /* what is no option, joined by blanks */
} Parsed;

static gboolean parse(const char *line, Parsed *p, GError **error)
{
	const GOptionEntry entries[] = {
		{ "output", 'o', 0, G_OPTION_ARG_FILENAME, &p->output, "", "FILE" },
		{ "jobs", 'j', 0, G_OPTION_ARG_INT, &p->jobs, "", "N" },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &p->quiet, "", NULL },
		G_OPTION_ENTRY_NULL,
	};
	g_auto(GStrv) words = g_strsplit(line, " ", -1);
	g_autofree char **argv = g_memdup2(words, (g_strv_length(words) + 1) * sizeof(*words));
	char **args = argv;
	int argc = (int)g_strv_length(words);
	*p = (Parsed){ 0 };
	gboolean ok = km_cmd_parse(&argc, &args, "", "", entries, error);
	if (ok)
		p->left = g_strjoinv(" ", args + 1);
	return ok;
}

static void parsed_clear(Parsed *p)
{
	g_free(p->output);
	g_free(p->left);
}

static void assert_parsed(const char *line, int jobs, gboolean quiet, const char *output, const char *left)
{
	g_autoptr(GError) error = NULL;
	Parsed p;
	parse(line, &p, &error);
	g_assert_no_error(error);
	g_assert_cmpint(p.jobs, ==, jobs);
	g_assert_cmpint(p.quiet, ==, quiet);
	g_assert_cmpstr(p.output, ==, output);
	g_assert_cmpstr(p.left, ==, left);
	parsed_clear(&p);
}

static void test_glued(void)
{
	assert_parsed("build -j4 a", 4, FALSE, NULL, "a");
	assert_parsed("build -j 4 a", 4, FALSE, NULL, "a");
	assert_parsed("build -qj4 a", 4, TRUE, NULL, "a");
	assert_parsed("build a -oout.ko -j2 b", 2, FALSE, "out.ko", "a b");
	assert_parsed("build --jobs=3 -q a", 3, TRUE, NULL, "a");
	assert_parsed("build -oj4 a", 0, FALSE, "j4", "a");
}

static void test_not_glued(void)
{
	const char *const wrong[] = { "build -jx a", "build -x4 a", "build -q4 a", "build a -j", NULL };
	assert_parsed("build - a", 0, FALSE, NULL, "- a");
	assert_parsed("build -q -- -j4", 0, TRUE, NULL, "-- -j4");
	for (guint i = 0; wrong[i]; i++) {
		g_autoptr(GError) error = NULL;
		Parsed p;
		g_assert_false(parse(wrong[i], &p, &error));
		g_assert_error(error, KM_ERROR, KM_ERROR_USAGE);
		parsed_clear(&p);
	}
}

/* jansson gives NULL for what is not UTF-8. */
static void test_no_json(void)
{
	g_autoptr(GError) error = NULL;
	g_assert_false(km_cmd_print_json(json_string("\xff"), &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	g_assert_nonnull(strstr(error->message, "UTF-8"));
}

static void test_output_is_a_device(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-options", NULL);
	g_autofree char *fifo = g_build_filename(dir->path, "fifo", NULL);
	g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
	g_assert_false(km_write_file(fifo, "x", 1, &error));
	g_assert_error(error, KM_ERROR, KM_ERROR_FAILED);
	struct stat st;
	g_assert_cmpint(stat(fifo, &st), ==, 0);
	g_assert_true(S_ISFIFO(st.st_mode));
}

static void test_read_pipe(void)
{
	g_autoptr(GError) error = NULL;
	int ends[2];
	g_assert_cmpint(pipe(ends), ==, 0);
	g_assert_cmpint(write(ends[1], "words", 5), ==, 5);
	close(ends[1]);
	g_autofree char *path = g_strdup_printf("/dev/fd/%d", ends[0]);
	g_autoptr(GBytes) bytes = km_read_input(path, &error);
	g_assert_no_error(error);
	g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "words", 5);
	close(ends[0]);
	g_assert_null(km_read_input("/dev/zero", NULL));
	g_assert_null(km_read_input("/", NULL));
}

static void test_relative_tempdir(void)
{
	g_autoptr(KmTempDir) outer = km_tempdir_new(NULL, "test-options", NULL);
	g_autofree char *before = g_get_current_dir();
	g_assert_cmpint(g_chdir(outer->path), ==, 0);
	g_autoptr(KmTempDir) inner = km_tempdir_new(".", "inner", NULL);
	g_assert_cmpint(g_chdir(before), ==, 0);
	g_assert_true(g_path_is_absolute(inner->path));
	g_assert_true(g_file_test(inner->path, G_FILE_TEST_IS_DIR));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/options/glued", test_glued);
	g_test_add_func("/options/not-glued", test_not_glued);
	g_test_add_func("/options/no-json", test_no_json);
	g_test_add_func("/files/output-is-a-device", test_output_is_a_device);
	g_test_add_func("/files/read-pipe", test_read_pipe);
	g_test_add_func("/files/relative-tempdir", test_relative_tempdir);
	return g_test_run();
}
