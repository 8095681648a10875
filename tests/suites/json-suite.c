/* json-suite DIR: runs the JSON reader over a folder of y_* (must be accepted), n_* (must be refused) and i_*
 * (either) files, prints a verdict for each, and fails if one is wrong. Two refusals are policy, not faults:
 * a root that is no object or array, and duplicate keys. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/vec.h"
#include "json/json.h"

enum { LARGEST_BYTES = 64 << 20 };
struct tally {
    size_t passed, failed, by_policy;
};

static bool is_policy(const struct err *err)
{
    return strstr(err->msg, "the root must be") || strstr(err->msg, "this key was given before");
}

static void judge(const char *dir, const char *name, struct tally *tally)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct str text;
    struct json root;
    const char *verdict = "passed";
    bool accepted = false;
    if (file_read(&a, str_printf(&a, "%s/%s", dir, name).p, LARGEST_BYTES, &text, &err) == 0)
        accepted = json_parse(&a, text, &json_default_limits, &root, NULL, &err) == 0;
    if (name[0] == 'y' && !accepted) verdict = is_policy(&err) ? "refused by policy" : "FAILED";
    if (name[0] == 'n' && accepted) verdict = "FAILED";
    if (verdict[0] == 'p') tally->passed++;
    else if (verdict[0] == 'r') tally->by_policy++;
    else tally->failed++;
    printf("%-17s %s: ", verdict, name);
    if (accepted) printf("accepted\n");
    else printf("%u:%u: %s\n", err.line, err.col, err.msg);
    arena_fini(&a);
}

static int is_case(const struct dirent *e)
{
    return e->d_name[0] && strchr("yni", e->d_name[0]) && e->d_name[1] == '_';
}

int main(int argc, char **argv)
{
    struct dirent **names;
    struct tally tally = { 0 };
    int n = argc == 2 ? scandir(argv[1], &names, is_case, alphasort) : -1;
    if (n < 0) {
        fprintf(stderr, "usage: json-suite DIR\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        judge(argv[1], names[i]->d_name, &tally);
        free(names[i]);
    }
    free(names);
    printf("%zu passed, %zu failed, %zu refused by policy\n", tally.passed, tally.failed, tally.by_policy);
    return tally.failed || n == 0 ? 1 : 0;
}
