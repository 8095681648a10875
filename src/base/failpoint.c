#include "base/failpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char wanted[64];
static atomic_long passes_left;

void failpoint_setup(void)
{
    const char *spec = getenv("RUNBELL_FAILPOINT");
    const char *colon = spec ? strchr(spec, ':') : NULL;
    size_t n = spec ? (colon ? (size_t)(colon - spec) : strlen(spec)) : 0;
    if (n == 0 || n >= sizeof wanted) return;
    memcpy(wanted, spec, n);
    wanted[n] = '\0';
    atomic_store(&passes_left, colon ? strtol(colon + 1, NULL, 10) : 1);
}

void failpoint(const char *name)
{
    if (wanted[0] == '\0' || strcmp(name, wanted) != 0) return;
    if (atomic_fetch_sub(&passes_left, 1) == 1) kill(getpid(), SIGKILL);
}
