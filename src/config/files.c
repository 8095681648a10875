/* files: the main file and what it includes. Globs are relative to the including file; an included file
 * includes nothing. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/config_internal.h"

enum { FILE_CEILING = 16 << 20, FILES_MAX = 1000 };

static const struct yaml_node *read_text(struct loader *l, const char *kept, struct str text)
{
    const struct yaml_node *top;
    diags_add_source(l->d, kept, text);
    top = yaml_read(l->a, kept, text, l->d);
    if (!top) return NULL;
    if (top->kind == YAML_MAP) return top;
    yaml_error(l->d, top, "a configuration is a map that starts with `version: 1`");
    return NULL;
}

static const struct yaml_node *read_one(struct loader *l, const char *path, const struct yaml_node *from)
{
    struct str text;
    struct err err;
    const char *kept = str_dup_c(l->a, str_c(path));
    if (file_read(l->a, kept, FILE_CEILING, &text, &err) < 0) {
        if (from)
            yaml_error(l->d, from, "%s", err.msg);
        else
            diag_add(l->d, DIAG_ERROR, kept, 0, 0, "%s", err.msg)->hint = STR("name the configuration with -c FILE");
        return NULL;
    }
    return read_text(l, kept, text);
}

/* Is it the first time this file is met? Globs overlap, and one may match the main file. */
static bool is_new(struct loader *l, const char *path)
{
    struct file_id *ids = l->file_ids;
    struct stat st;
    if (!path || stat(path, &st) != 0) return true; /* reading it says why */
    for (size_t k = 0; k < l->file_id_count; k++)
        if (ids[k].device == st.st_dev && ids[k].inode == st.st_ino) return false;
    if (l->file_id_count < FILES_MAX) ids[l->file_id_count++] = (struct file_id){ st.st_dev, st.st_ino };
    return true;
}

static void add_file(struct loader *l, const struct yaml_node *top, bool included)
{
    l->c->files[l->c->file_count++] = (struct rule_file){ top, included };
}

static const char *full_path(struct loader *l, struct str path)
{
    bool whole = (path.n && path.p[0] == '/') || str_eq_c(l->c->dir, ".");
    return whole ? str_dup_c(l->a, path) : str_printf(l->a, STR_FMT "/" STR_FMT, STR_ARG(l->c->dir), STR_ARG(path)).p;
}

static void include_file(struct loader *l, const char *path, const struct yaml_node *n)
{
    const struct yaml_node *top;
    if (!is_new(l, path)) return;
    if (l->c->file_count == FILES_MAX) {
        if (!l->too_many) yaml_error(l->d, n, "more than %d files are included", FILES_MAX - 1);
        l->too_many = true;
        return;
    }
    top = read_one(l, path, n);
    if (top) add_file(l, top, true);
}

static void include_glob(struct loader *l, const struct yaml_node *n)
{
    glob_t found;
    struct str pattern;
    const char *full;
    if (!yaml_want_text(n, l->d, &pattern)) return;
    full = full_path(l, pattern);
    if (glob(full, 0, NULL, &found) != 0) {
        struct diag *d = l->check_only ? yaml_warning(l->d, n, "`" STR_FMT "` matches no file", STR_ARG(pattern))
                                       : yaml_error(l->d, n, "`" STR_FMT "` matches no file", STR_ARG(pattern));
        d->hint = STR("paths are relative to this file");
        return;
    }
    for (size_t k = 0; k < found.gl_pathc; k++) include_file(l, found.gl_pathv[k], n);
    globfree(&found);
}

static bool is_replaced(const struct yaml_node *section)
{
    return str_eq_c(section->key, "rules") || str_eq_c(section->key, "include") || str_eq_c(section->key, "tests");
}

/* A schedule or a mute of the rules' file counts, and not one of the same name here. */
static const char *overridden_section(const struct yaml_node *n)
{
    if (n->kind != YAML_MAP) return NULL;
    return str_eq_c(n->key, "schedules") ? "schedules" : str_eq_c(n->key, "mutes") ? "mutes" : NULL;
}

static bool is_overridden(const struct yaml_node *section, const struct yaml_node *member, const struct yaml_node *rules)
{
    const struct yaml_node *theirs = yaml_get(rules, overridden_section(section));
    for (const struct yaml_node *n = theirs && theirs->kind == YAML_MAP ? theirs->first : NULL; n; n = n->next)
        if (str_eq(n->key, member->key)) return true;
    return false;
}

/* A copy of a map without what the rules' file brings instead: of the whole, or of a section of it. */
static struct yaml_node *without(struct loader *l, const struct yaml_node *map, const struct yaml_node *rules /* NULL = of the whole */)
{
    struct yaml_node *bare = ARENA_NEW(l->a, struct yaml_node), **last = &bare->first;
    *bare = *map;
    bare->count = 0;
    for (const struct yaml_node *n = map->first; n; n = n->next) {
        if (rules ? is_overridden(map, n, rules) : is_replaced(n)) continue;
        *last = ARENA_NEW(l->a, struct yaml_node);
        **last = *n;
        last = &(*last)->next;
        bare->count++;
    }
    *last = NULL;
    return bare;
}

/* The file without its own rules, and the file whose rules take their place. */
static bool replace_rules(struct loader *l, const struct yaml_node *top)
{
    const struct yaml_node *rules = str_absent(l->rules_text) ? read_one(l, l->rules_path, NULL) : read_text(l, l->rules_path, l->rules_text);
    struct yaml_node *bare;
    if (!rules) return false;
    bare = without(l, top, NULL);
    for (struct yaml_node *n = bare->first; n; n = n->next) {
        struct yaml_node *next = n->next;
        if (!overridden_section(n)) continue;
        *n = *without(l, n, rules);
        n->next = next;
    }
    add_file(l, bare, false);
    add_file(l, rules, true);
    return true;
}

bool config_read_files(struct loader *l, const char *given)
{
    const struct yaml_node *top, *include;
    struct config *c = l->c;
    const char *path = str_dup_c(l->a, str_c(given));
    c->path = str_c(path);
    c->dir = str_dup(l->a, file_dir(l->a, path));
    c->files = ARENA_ARRAY(l->a, struct rule_file, FILES_MAX);
    l->file_ids = ARENA_ARRAY(l->a, struct file_id, FILES_MAX);
    top = read_one(l, path, NULL);
    if (!top) return false;
    is_new(l, path);
    if (l->rules_path) return replace_rules(l, top);
    add_file(l, top, false);
    include = yaml_get(top, "include");
    if (!include) return true;
    if (include->kind == YAML_SEQ)
        for (const struct yaml_node *n = include->first; n; n = n->next) include_glob(l, n);
    else
        include_glob(l, include);
    return true;
}
