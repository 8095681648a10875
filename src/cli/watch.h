/* watch: waits until one of some files, or a YAML file beside them, changes. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H
#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

struct watch {
    int fd;
    struct arena arena;
    VEC(struct str) files;
    VEC(struct str) folders;
    VEC(int) watched; /* descriptor of each folder */
};
int watch_open(struct watch *w, struct err *err) WUR;
void watch_close(struct watch *w);
/* The file need not exist: its folder is watched. -1 with err when that cannot be. */
int watch_add(struct watch *w, const char *file, struct err *err) WUR;
/* Was one of the files changed at that time or later? */
bool watch_changed_since(const struct watch *w, const struct timespec *when);
/* Waits for a change, and until the writer of it has come to rest. */
void watch_wait(struct watch *w);
#endif
