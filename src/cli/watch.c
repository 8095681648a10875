#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Editors write a new file and move it over the old one, so folders are watched, not files. */
enum { CHANGES = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE, REST_MS = 50 };

int watch_open(struct watch *w, struct err *err)
{
    *w = (struct watch){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
    if (w->fd >= 0) return 0;
    err_set(err, ERR_IO, "cannot watch files: %m");
    return -1;
}

void watch_close(struct watch *w)
{
    close(w->fd);
    vec_free(&w->files);
    vec_free(&w->folders);
    vec_free(&w->watched);
    arena_fini(&w->arena);
}

int watch_add(struct watch *w, const char *file, struct err *err)
{
    struct str folder;
    int id;
    for (size_t k = 0; k < w->files.n; k++)
        if (str_eq_c(w->files.v[k], file)) return 0;
    *vec_push(&w->files) = str_dup(&w->arena, str_c(file));
    folder = str_dup(&w->arena, file_dir(&w->arena, file));
    for (size_t k = 0; k < w->folders.n; k++)
        if (str_eq(w->folders.v[k], folder)) return 0;
    id = inotify_add_watch(w->fd, folder.p, CHANGES);
    if (id < 0) {
        err_set(err, ERR_IO, "cannot watch %s: %m", folder.p);
        return -1;
    }
    *vec_push(&w->folders) = folder;
    *vec_push(&w->watched) = id;
    return 0;
}

bool watch_changed_since(const struct watch *w, const struct timespec *when)
{
    struct stat st;
    for (size_t k = 0; k < w->files.n; k++) {
        if (stat(w->files.v[k].p, &st) != 0) continue;
        if (st.st_mtim.tv_sec > when->tv_sec || (st.st_mtim.tv_sec == when->tv_sec && st.st_mtim.tv_nsec >= when->tv_nsec)) return true;
    }
    return false;
}

/* A file that is read, or one that a glob may bring in. */
static bool concerns(const struct watch *w, const struct inotify_event *e)
{
    struct str name = str_c(e->name);
    if (!e->len || str_ends(name, STR(".part"))) return false;
    if (str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml"))) return name.p[0] != '.';
    for (size_t k = 0; k < w->files.n; k++)
        if (str_ends(w->files.v[k], name)) return true;
    return false;
}

/* Reads what has come; does any of it concern us? */
static bool take(struct watch *w)
{
    _Alignas(struct inotify_event) char buffer[16384];
    bool changed = false;
    for (;;) {
        ssize_t n = read(w->fd, buffer, sizeof buffer);
        if (n <= 0) return changed;
        for (char *p = buffer; p < buffer + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
            changed |= concerns(w, e) || (e->mask & IN_Q_OVERFLOW);
            p += sizeof *e + e->len;
        }
    }
}

void watch_wait(struct watch *w)
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };
    bool changed = false;
    for (;;) {
        int n = poll(&p, 1, changed ? REST_MS : -1);
        if (n == 0) return;
        if (n > 0) changed |= take(w);
    }
}
