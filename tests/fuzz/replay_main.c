/* Runs a fuzz target over files and all files of folders: corpora and past findings, without a fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"

enum { LARGEST_BYTES = 64 << 20 };
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path)
{
    struct arena a = { 0 };
    struct str text;
    struct err err;
    uint8_t *exact;
    if (file_read(&a, path, LARGEST_BYTES, &text, &err) != 0) {
        fprintf(stderr, "%s: %s\n", path, err.msg);
        exit(1);
    }
    exact = xmalloc(text.n ? text.n : 1); /* no byte behind the end, so that a sanitizer sees one read too far */
    if (text.n) memcpy(exact, text.p, text.n);
    LLVMFuzzerTestOneInput(exact, text.n);
    free(exact);
    arena_fini(&a);
    return 1;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static size_t replay_path(const char *path)
{
    struct dirent **names;
    struct stat st;
    size_t done = 0;
    int n;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) return replay_file(path);
    n = scandir(path, &names, is_visible, alphasort);
    if (n < 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        struct strbuf child;
        strbuf_init(&child, 4096);
        strbuf_printf(&child, "%s/%s", path, names[i]->d_name);
        done += replay_path(child.p);
        strbuf_fini(&child);
        free(names[i]);
    }
    free(names);
    return done;
}

int main(int argc, char **argv)
{
    size_t done = 0;
    for (int i = 1; i < argc; i++) done += replay_path(argv[i]);
    printf("%s: %zu inputs replayed\n", argv[0], done);
    return done ? 0 : 1;
}
