#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"

static int read_all(int fd, struct strbuf *b, const char *path, struct err *err)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(err, ERR_IO, "cannot read %s: %m", path);
        strbuf_add(b, chunk, (size_t)n);
        if (!strbuf_ok(b))
            return err_set(err, ERR_LIMIT, "%s is longer than %zu bytes", path, b->ceiling);
    }
    return 0;
}

int file_read(struct arena *a, const char *path, size_t ceiling, struct str *out, struct err *err)
{
    struct strbuf b;
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int rc;
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %m", path);
    strbuf_init(&b, ceiling);
    rc = read_all(fd, &b, path, err);
    if (rc == 0) *out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    if (!is_stdin) close(fd);
    return rc;
}

struct str file_dir(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return STR(".");
    if (slash == path) return STR("/");
    return str_dup(a, (struct str){ path, (size_t)(slash - path) });
}
