/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading comes first, in parallel: every file of the tree, every include in it. Then the graph is walked backwards from the
 * touched files. An include is held against a file only when its last component is that file's name, so nothing is resolved in advance.
 */
#include "kernel/reach.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "kernel/includes.h"
#include "kernel/index.h"
#include "kernel/kbuild.h"

/* No file that a compiler reads is larger; what is has been generated. */
#define MAX_FILE (64U << 20)
/* Files that a thread takes at a time. */
#define BATCH 64

typedef struct {
	char *path; /* in the tree; of a generated file: where it would be in the tree */
	char *read; /* the file; NULL: there is no text */
	gboolean makefile;
	gboolean uncertain; /* only one side has it */
	gboolean passing; /* of the patch: not worth remembering */
} Node;

typedef struct {
	guint node;
	KmIncludeKind kind;
	const char *name;
} Include;

typedef struct {
	const KmReachTree *tree;
	GPtrArray *nodes; /* of Node */
	GHashTable *by_path; /* path -> index + 1 */
	GPtrArray *readers; /* of Reader: they own the names of the includes */
	GHashTable *by_base; /* last component of an include's name -> GPtrArray of Include, not owned */
	GPtrArray *system; /* of char*: directories that come before all others for <name>, each with '/' at its end */
	const KmIndex *index; /* of an earlier build */
	guint next; /* node to be read next; atomic */
} Graph;

typedef struct {
	Graph *graph;
	GStringChunk *names;
	GArray *includes; /* of Include */
	GString *record; /* for the index of the next build */
	gboolean recording; /* the node at hand goes into it */
	gboolean fresh; /* some node was not in the index */
	char *buffer;
	gsize room;
	guint node;
} Reader;

void km_reach_free(KmReach *reach)
{
	if (!reach)
		return;
	g_ptr_array_unref(reach->sources);
	g_ptr_array_unref(reach->others);
	g_ptr_array_unref(reach->headers);
	g_free(reach);
}

static void node_free(Node *node)
{
	g_free(node->path);
	g_free(node->read);
	g_free(node);
}

static void reader_free(Reader *reader)
{
	g_string_chunk_free(reader->names);
	g_array_unref(reader->includes);
	g_string_free(reader->record, TRUE);
	g_free(reader->buffer);
	g_free(reader);
}

static void graph_clear(Graph *g)
{
	g_clear_pointer(&g->by_base, g_hash_table_unref);
	g_clear_pointer(&g->by_path, g_hash_table_unref);
	g_clear_pointer(&g->nodes, g_ptr_array_unref);
	g_clear_pointer(&g->readers, g_ptr_array_unref);
	g_clear_pointer(&g->system, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Graph, graph_clear)

/* ---- the files ---- */

/* Only what can be no C for certain: anything may be included. */
static gboolean can_include(const char *name)
{
	static const char *const never[] = { ".rst", ".txt", ".dts", ".dtsi", ".dtso", ".json", ".yaml", ".py",	 ".pl",
					     ".sh",  ".svg", ".rs",  ".csv",  ".o",    ".a",	".ko",	 ".cmd", ".d" };
	for (gsize i = 0; i < G_N_ELEMENTS(never); i++)
		if (g_str_has_suffix(name, never[i]))
			return FALSE;
	return *name != '.' && !g_str_has_prefix(name, "Kconfig");
}

static gboolean is_makefile(const char *name)
{
	return g_str_has_prefix(name, "Makefile") || g_str_has_prefix(name, "Kbuild");
}

/* kbuild makes x of x_shipped by copying. */
static char *path_as_included(const char *path)
{
	const char *shipped = g_str_has_suffix(path, "_shipped") ? "_shipped" : "";
	return g_strndup(path, strlen(path) - strlen(shipped));
}

static Node *add_node(Graph *g, const char *path, char *read, gboolean uncertain)
{
	Node *node = g_new0(Node, 1);
	g_autofree char *base = g_path_get_basename(path);
	node->path = path_as_included(path);
	node->read = read;
	node->makefile = is_makefile(base);
	node->uncertain = uncertain;
	g_ptr_array_add(g->nodes, node);
	if (!g_hash_table_contains(g->by_path, node->path))
		g_hash_table_insert(g->by_path, node->path, GUINT_TO_POINTER(g->nodes->len));
	return node;
}

/* Directories of the tree that hold no unit and nothing that one includes. */
static gboolean is_skipped(const Graph *g, const char *path, const char *name)
{
	if (*name == '.' || (!g->tree->outside && !strcmp(path, "Documentation")))
		return TRUE;
	return g->tree->arch && g_str_has_prefix(path, "arch/") && !strchr(path + strlen("arch/"), '/') &&
	       strcmp(path + strlen("arch/"), g->tree->arch);
}

static gboolean is_directory(const char *full, const char *dir)
{
	struct stat st;
	/* Links to directories would be walked twice, or for ever. A tree's own top may be one. */
	return !(*dir ? lstat(full, &st) : stat(full, &st)) && S_ISDIR(st.st_mode);
}

static void walk(Graph *g, const char *root, const char *dir)
{
	g_autofree char *full = g_build_filename(root, dir, NULL);
	g_autoptr(GDir) open = g_dir_open(full, 0, NULL);
	const char *name;
	while (open && (name = g_dir_read_name(open))) {
		g_autofree char *path = *dir ? g_strconcat(dir, "/", name, NULL) : g_strdup(name);
		g_autofree char *file = g_strconcat(root, "/", path, NULL);
		/* A name with an ending is hardly ever a directory: no need to ask. */
		gboolean plain = g_str_has_suffix(name, ".c") || g_str_has_suffix(name, ".h");
		if (!plain && is_directory(file, path)) {
			if (!is_skipped(g, path, name))
				walk(g, root, path);
		} else if (can_include(name)) {
			add_node(g, path, g_steal_pointer(&file), FALSE);
		}
	}
}

/* The patched text of a file is a node of its own under the same path. */
static void walk_patched(Graph *g, const char *dir)
{
	g_autofree char *full = g_build_filename(g->tree->patched, dir, NULL);
	g_autoptr(GDir) open = g_dir_open(full, 0, NULL);
	const char *name;
	while (open && (name = g_dir_read_name(open))) {
		g_autofree char *path = *dir ? g_strconcat(dir, "/", name, NULL) : g_strdup(name);
		g_autofree char *file = g_build_filename(full, name, NULL);
		if (g_file_test(file, G_FILE_TEST_IS_DIR))
			walk_patched(g, path);
		else
			add_node(g, path, g_steal_pointer(&file), !g_hash_table_contains(g->by_path, path))->passing =
				TRUE;
	}
}

static void walk_build(Graph *g)
{
	static const char *const dirs[] = { "include", "arch",	"drivers", "kernel",  "lib",  "security",
					    "net",     "fs",	"crypto",  "certs",   "init", "usr",
					    "mm",      "block", "sound",   "io_uring" };
	for (gsize i = 0; g->tree->build && i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *full = g_build_filename(g->tree->build, dirs[i], NULL);
		if (g_file_test(full, G_FILE_TEST_IS_DIR))
			walk(g, g->tree->build, dirs[i]);
	}
}

static gboolean collect(Graph *g, GError **error)
{
	if (!g_file_test(g->tree->source, G_FILE_TEST_IS_DIR))
		return km_fail(error, "cannot look for includes in %s: it is no directory", g->tree->source);
	walk(g, g->tree->source, "");
	if (!g->tree->build || strcmp(g->tree->build, g->tree->source))
		walk_build(g);
	if (g->tree->patched)
		walk_patched(g, "");
	return TRUE;
}

/* ---- their includes ---- */

static void add_include(KmIncludeKind kind, const char *name, gpointer data)
{
	Reader *reader = data;
	Include include = { .node = reader->node, .kind = kind };
	include.name = g_string_chunk_insert_const(reader->names, name);
	g_array_append_val(reader->includes, include);
	if (reader->recording)
		km_index_add_include(reader->record, kind, name);
}

/* The whole file in the reader's buffer; its size, or 0. */
static gsize read_text(Reader *reader, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	gsize size = 0;
	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size < MAX_FILE) {
		if (reader->room < (gsize)st.st_size) {
			g_free(reader->buffer);
			reader->room = 2 * (gsize)st.st_size;
			reader->buffer = g_malloc(reader->room);
		}
		gssize got;
		while (size < (gsize)st.st_size &&
		       (got = read(fd, reader->buffer + size, (gsize)st.st_size - size)) > 0)
			size += (gsize)got;
	}
	close(fd);
	return size;
}

/* What an earlier build read. Either way the node is recorded for the next one. */
static gboolean recall(Reader *reader, const Node *node)
{
	struct stat st;
	if (node->passing || stat(node->read, &st) || !S_ISREG(st.st_mode))
		return FALSE;
	reader->recording = km_index_add_file(reader->record, node->read, &st);
	if (km_index_tell(reader->graph->index, node->read, &st, add_include, reader))
		return TRUE;
	reader->fresh = TRUE;
	return FALSE;
}

static void read_node(Reader *reader, const Node *node)
{
	reader->recording = FALSE;
	if (!node->read || recall(reader, node))
		return;
	gsize size = read_text(reader, node->read);
	if (!size)
		return;
	if (node->makefile)
		km_includes_read_makefile(reader->buffer, size, add_include, reader);
	else
		km_includes_read(reader->buffer, size, add_include, reader);
}

static gpointer read_nodes(gpointer data)
{
	Reader *reader = data;
	Graph *g = reader->graph;
	for (;;) {
		guint first = g_atomic_int_add(&g->next, BATCH);
		if (first >= g->nodes->len)
			return NULL;
		for (guint i = first; i < MIN(first + BATCH, g->nodes->len); i++) {
			reader->node = i;
			read_node(reader, g->nodes->pdata[i]);
		}
	}
}

static void read_all(Graph *g, guint jobs)
{
	g_autoptr(GPtrArray) threads = g_ptr_array_new();
	for (guint i = 0; i < jobs; i++) {
		Reader *reader = g_new0(Reader, 1);
		reader->graph = g;
		reader->names = g_string_chunk_new(1 << 16);
		reader->includes = g_array_new(FALSE, FALSE, sizeof(Include));
		reader->record = g_string_new(NULL);
		g_ptr_array_add(g->readers, reader);
		g_ptr_array_add(threads, g_thread_new("includes", read_nodes, reader));
	}
	for (guint i = 0; i < threads->len; i++)
		g_thread_join(threads->pdata[i]);
}

/* Read what has changed since an earlier build, or all, and remember it for the next one. */
static void read_includes(Graph *g, guint jobs)
{
	gint64 started = g_get_real_time();
	g_autoptr(KmIndex) index = km_index_read(g->tree->memory);
	g_autoptr(GPtrArray) records = g_ptr_array_new();
	gboolean fresh = FALSE;
	g->index = index;
	read_all(g, jobs);
	g->index = NULL;
	for (guint i = 0; i < g->readers->len; i++) {
		const Reader *reader = g->readers->pdata[i];
		g_ptr_array_add(records, reader->record);
		fresh |= reader->fresh;
	}
	if (fresh && g->tree->memory)
		km_index_write(g->tree->memory, records, started);
}

static const char *last_component(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash ? slash + 1 : name;
}

static void sort_by_base(Graph *g)
{
	for (guint r = 0; r < g->readers->len; r++) {
		const Reader *reader = g->readers->pdata[r];
		for (guint i = 0; i < reader->includes->len; i++) {
			Include *include = &g_array_index(reader->includes, Include, i);
			const char *base = last_component(include->name);
			GPtrArray *list = g_hash_table_lookup(g->by_base, base);
			if (!list)
				g_hash_table_insert(g->by_base, (char *)base, list = g_ptr_array_new());
			g_ptr_array_add(list, include);
		}
	}
}

/* ---- the walk back ---- */

static const Node *find(const Graph *g, const char *path)
{
	guint index = GPOINTER_TO_UINT(g_hash_table_lookup(g->by_path, path));
	return index ? g->nodes->pdata[index - 1] : NULL;
}

static gboolean ends_with_path(const char *path, const char *ending)
{
	return g_str_has_suffix(path, ending) &&
	       (strlen(path) == strlen(ending) || path[strlen(path) - strlen(ending) - 1] == '/');
}

/* "../../x/y.h" is looked for from directories we do not know: "x/y.h" is what is certain. */
static char *certain_part(const char *name)
{
	char *path = km_tree_path("", name);
	return path ? path : g_strdup(name);
}

/* kbuild names the kernel's own include directories first on the command line of every unit. */
static gboolean is_system(const Graph *g, const char *name, const char *path, gboolean *certain)
{
	gboolean same = FALSE;
	*certain = FALSE;
	for (guint i = 0; i < g->system->len; i++) {
		g_autofree char *full = g_strconcat(g->system->pdata[i], name, NULL);
		const Node *node = find(g, full);
		*certain |= node && !node->uncertain;
		same |= !strcmp(full, path);
	}
	return same;
}

/* Can this include mean the file path? */
static gboolean can_mean(const Graph *g, const Include *include, const char *path)
{
	const Node *from = g->nodes->pdata[include->node];
	if (include->kind == KM_INCLUDE_QUOTE) {
		g_autofree char *dir = g_path_get_dirname(from->path);
		g_autofree char *near = km_tree_path(dir, include->name);
		if (near && !strcmp(near, path))
			return TRUE;
		const Node *node = near ? find(g, near) : NULL;
		if (node && !node->uncertain)
			return FALSE;
	}
	g_autofree char *name = certain_part(include->name);
	gboolean certain = FALSE;
	if ((include->kind == KM_INCLUDE_QUOTE || include->kind == KM_INCLUDE_ANGLE) &&
	    !g_str_has_prefix(include->name, "..")) {
		if (is_system(g, name, path, &certain))
			return TRUE;
		if (certain)
			return FALSE;
	}
	return ends_with_path(path, name);
}

static void reach_path(Graph *g, GQueue *queue, GHashTable *seen, const char *path)
{
	if (g_hash_table_add(seen, (char *)path))
		g_queue_push_tail(queue, (char *)path);
}

/* What a makefile gives its directory: the top one, those of scripts/ and the architecture's first one give it to all. */
static char *realm(const Graph *g, const char *makefile)
{
	g_autofree char *dir = g_path_get_dirname(makefile);
	g_autofree char *arch = g_strconcat("arch/", g->tree->arch ? g->tree->arch : "", NULL);
	gboolean whole = !strcmp(dir, ".") || !strcmp(dir, "scripts") || !strcmp(dir, arch);
	return whole ? g_strdup("") : g_strconcat(dir, "/", NULL);
}

static void reach_realm(Graph *g, GQueue *queue, GHashTable *seen, const char *makefile)
{
	g_autofree char *dir = realm(g, makefile);
	for (guint i = 0; i < g->nodes->len; i++) {
		const Node *node = g->nodes->pdata[i];
		if (!node->makefile && g_str_has_prefix(node->path, dir))
			reach_path(g, queue, seen, node->path);
	}
}

static void reach_includers(Graph *g, GQueue *queue, GHashTable *seen, const char *path)
{
	const GPtrArray *list = g_hash_table_lookup(g->by_base, last_component(path));
	for (guint i = 0; list && i < list->len; i++) {
		const Include *include = list->pdata[i];
		const Node *from = g->nodes->pdata[include->node];
		if (!from->makefile && g_hash_table_contains(seen, from->path))
			continue;
		if (!can_mean(g, include, path))
			continue;
		if (from->makefile)
			reach_realm(g, queue, seen, from->path);
		else
			reach_path(g, queue, seen, from->path);
	}
}

/* kbuild's compiler of ASN.1 writes this include into headers that do not exist before a build. */
static void add_generated(Graph *g)
{
	guint count = g->nodes->len;
	for (guint i = 0; i < count; i++) {
		const Node *node = g->nodes->pdata[i];
		if (!g_str_has_suffix(node->path, ".asn1"))
			continue;
		g_autofree char *header = g_strconcat(node->path, ".h", NULL);
		Reader *reader = g->readers->pdata[0];
		if (find(g, header))
			continue;
		add_node(g, header, NULL, FALSE);
		reader->node = g->nodes->len - 1;
		reader->recording = FALSE;
		add_include(KM_INCLUDE_ANGLE, "linux/asn1_decoder.h", reader);
	}
}

static GHashTable *walk_back(Graph *g, const char *const *paths)
{
	g_autoptr(GQueue) queue = g_queue_new();
	GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);
	for (; *paths; paths++)
		reach_path(g, queue, seen, *paths);
	while (!g_queue_is_empty(queue))
		reach_includers(g, queue, seen, g_queue_pop_head(queue));
	return seen;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static KmReach *make_result(const Graph *g, GHashTable *seen)
{
	KmReach *reach = g_new0(KmReach, 1);
	reach->sources = g_ptr_array_new_with_free_func(g_free);
	reach->others = g_ptr_array_new_with_free_func(g_free);
	reach->headers = g_ptr_array_new_with_free_func(g_free);
	reach->scanned = g->nodes->len;
	GHashTableIter iter;
	gpointer path;
	g_hash_table_iter_init(&iter, seen);
	while (g_hash_table_iter_next(&iter, &path, NULL)) {
		if (g_str_has_suffix(path, ".c"))
			g_ptr_array_add(reach->sources, g_strdup(path));
		else if (g_str_has_suffix(path, ".S") || g_str_has_suffix(path, ".uc"))
			g_ptr_array_add(reach->others, g_strdup(path));
		else
			g_ptr_array_add(reach->headers, g_strdup(path));
	}
	g_ptr_array_sort(reach->headers, compare_names);
	g_ptr_array_sort(reach->sources, compare_names);
	g_ptr_array_sort(reach->others, compare_names);
	return reach;
}

static void add_system(Graph *g)
{
	static const char *const below[] = { "include/", "include/generated/", "include/uapi/",
					     "include/generated/uapi/" };
	for (gsize i = 0; i < G_N_ELEMENTS(below); i++) {
		if (g->tree->arch)
			g_ptr_array_add(g->system, g_strconcat("arch/", g->tree->arch, "/", below[i], NULL));
		g_ptr_array_add(g->system, g_strdup(below[i]));
	}
}

KmReach *km_reach(const KmReachTree *tree, const char *const *paths, guint jobs, GError **error)
{
	g_auto(Graph) g = { .tree = tree };
	g.nodes = g_ptr_array_new_with_free_func((GDestroyNotify)node_free);
	g.by_path = g_hash_table_new(g_str_hash, g_str_equal);
	g.readers = g_ptr_array_new_with_free_func((GDestroyNotify)reader_free);
	g.by_base = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
	g.system = g_ptr_array_new_with_free_func(g_free);
	if (!collect(&g, error))
		return NULL;
	if (!tree->outside)
		add_system(&g);
	read_includes(&g, jobs ? jobs : g_get_num_processors());
	add_generated(&g);
	sort_by_base(&g);
	g_autoptr(GHashTable) seen = walk_back(&g, paths);
	return make_result(&g, seen);
}
