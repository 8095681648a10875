#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/internal.h"

enum { BACKLOG = 4096 };

bool http_is_loopback(const struct sockaddr *addr)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)addr;
    if (addr->sa_family == AF_UNIX) return true;
    if (addr->sa_family == AF_INET) {
        uint32_t ip = ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr);
        return ip >> 24 == 127;
    }
    if (addr->sa_family != AF_INET6) return false;
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) return six->sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* A socket file that nobody answers on is a dead server's: remove it. */
static int clear_stale(const struct sockaddr_un *un, struct err *err)
{
    struct stat st;
    int fd, rc;
    if (lstat(un->sun_path, &st) != 0) return 0;
    if (!S_ISSOCK(st.st_mode)) return err_set(err, ERR_CONFLICT, "%s exists and is no socket", un->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_set(err, ERR_IO, "socket: %m");
    rc = connect(fd, (const struct sockaddr *)un, sizeof *un);
    close(fd);
    if (rc == 0) return err_set(err, ERR_CONFLICT, "another server listens on %s", un->sun_path);
    if (unlink(un->sun_path) != 0) return err_set(err, ERR_IO, "%s: %m", un->sun_path);
    return 0;
}

static int listen_unix(struct str path, char **unix_path, struct err *err)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd;
    if (path.n == 0 || path.n >= sizeof un.sun_path || memchr(path.p, '\0', path.n))
        return err_set(err, ERR_TYPE, "server.listen: a socket path has 1 to %zu bytes",
                       sizeof un.sun_path - 1);
    memcpy(un.sun_path, path.p, path.n);
    if (clear_stale(&un, err) < 0) return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_set(err, ERR_IO, "socket: %m");
    if (bind(fd, (struct sockaddr *)&un, sizeof un) != 0 || chmod(un.sun_path, 0660) != 0 ||
        listen(fd, BACKLOG) != 0) {
        err_set(err, ERR_IO, "server.listen %s: %m", un.sun_path);
        close(fd);
        return -1;
    }
    *unix_path = xstrdup(un.sun_path);
    return fd;
}

/* Cuts "host:port" or "[v6]:port". */
static bool cut_address(struct str text, char host[256], char port[8])
{
    size_t colon = text.n, n;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == ':') colon = i;
    n = colon;
    if (colon == text.n || text.n - colon - 1 >= 8 || text.n - colon == 1) return false;
    memcpy(port, text.p + colon + 1, text.n - colon - 1);
    port[text.n - colon - 1] = '\0';
    if (n >= 2 && text.p[0] == '[' && text.p[n - 1] == ']') {
        text = str_sub(text, 1, n - 2);
        n -= 2;
    } else if (str_find(str_sub(text, 0, n), ':', 0) != n) {
        return false; /* an IPv6 address wants its brackets */
    }
    if (n >= 256) return false;
    memcpy(host, text.p, n);
    host[n] = '\0';
    return true;
}

static int listen_on(const struct addrinfo *ai)
{
    int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    one = errno;
    close(fd);
    errno = one;
    return -1;
}

static int bound_port(int fd)
{
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; struct sockaddr_storage all; } addr;
    socklen_t n = sizeof addr;
    memset(&addr, 0, sizeof addr);
    if (getsockname(fd, &addr.any, &n) != 0) return 0;
    return ntohs(addr.any.sa_family == AF_INET6 ? addr.v6.sin6_port : addr.v4.sin_port);
}

int http_listen(struct str address, int *port, char **unix_path, bool *local, struct err *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
                    *found;
    char host[256], service[8];
    int rc, fd;
    *port = 0;
    *local = true;
    if (str_starts(address, STR("unix:"))) return listen_unix(str_sub(address, 5, address.n), unix_path, err);
    if (!cut_address(address, host, service))
        return err_set(err, ERR_TYPE,
                       "server.listen " STR_FMT ": host:port, [v6]:port or unix:PATH is expected",
                       STR_ARG(address));
    rc = getaddrinfo(host[0] && strcmp(host, "*") != 0 ? host : NULL, service, &hints, &found);
    if (rc != 0)
        return err_set(err, ERR_NOT_FOUND, "server.listen " STR_FMT ": %s", STR_ARG(address),
                       gai_strerror(rc));
    *local = http_is_loopback(found->ai_addr);
    fd = listen_on(found);
    if (fd < 0) err_set(err, ERR_IO, "server.listen " STR_FMT ": %m", STR_ARG(address));
    freeaddrinfo(found);
    if (fd >= 0) *port = bound_port(fd);
    return fd;
}
