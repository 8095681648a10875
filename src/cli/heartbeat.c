#include "cli/heartbeat.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "cli/client.h"

struct heartbeat {
    struct config *config;
    struct pipeline *pipeline;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

static bool wait_for(struct heartbeat *h, int64_t ms)
{
    struct timespec until;
    bool stop;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&h->lock);
    while (!h->stop && pthread_cond_timedwait(&h->wake, &h->lock, &until) == 0) {}
    stop = h->stop;
    pthread_mutex_unlock(&h->lock);
    return !stop;
}

static void *beat(void *ctx)
{
    struct heartbeat *h = ctx;
    static struct log_once once;
    const char *url = secret_reveal(&h->config->heartbeat.url).p;
    do {
        struct err why;
        int status;
        if (!pipeline_ready(h->pipeline, &why)) continue; /* silence is the signal */
        status = client_ping(url, 10000);
        if (status < 200 || status > 299)
            log_write_limited(&once, 60000, LOG_WARN, "heartbeat.failed", LOG_FIELDS(LOG_I("status", status)));
    } while (wait_for(h, h->config->heartbeat.every_ms));
    return NULL;
}

struct heartbeat *heartbeat_start(struct config *c, struct pipeline *p)
{
    struct heartbeat *h = xcalloc(1, sizeof *h);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->wake, &attr);
    pthread_condattr_destroy(&attr);
    h->config = config_ref(c);
    h->pipeline = p;
    if (pthread_create(&h->thread, NULL, beat, h) != 0) abort();
    return h;
}

void heartbeat_stop(struct heartbeat **heartbeat)
{
    struct heartbeat *h = *heartbeat;
    if (!h) return;
    *heartbeat = NULL;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    config_unref(&h->config);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
