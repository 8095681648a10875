"""A fake Trigger.dev: runs with true timelines behind the service's own API, and every way in which it can go wrong.

    with TriggerDev(realtime_hold_s=1) as fake:                 any knob may be given here
        run = fake.add(task="render-video", tags=["a,b"], steps=[(0, "PENDING"), (0.1, "DEQUEUED"), (0.2, "EXECUTING"),
                       (1, "CRASHED", {"error": {"type": "INTERNAL_ERROR", "code": "TASK_PROCESS_OOM_KILLED"}})])
        fake.set(run, "EXECUTING", attempt=2)                    a step now
        fake.then(run, 0.5, "COMPLETED_SUCCESSFULLY")            a step half a second from now
        fake.load_random(1000, seed=7, over_s=10, pace=0.2)      random runs, the same for the same seed
        fake.load_steady(100000, per_s=1000, seconds=60)         a full house: so many at work, so many transitions a second
    ... talk to fake.url with fake.key (environment prod) or fake.pat (projects/{fake.project}/runs) ...
        fake.ground_truth()                                      every transition that happened: run, status, state, attempt, at

Statuses of steps are the database's (vocab.STATUSES); times are the server's, in milliseconds (fake.clock). A step's changes:
attempt, error (raw TaskRunError), metadata, tags, output, version, commit_after_s (others see it so much later than it says).
Runs are created in any environment (env="stg"), with parent=, batch=, schedule=, ttl=, ... : see Population.add.
fake.population.vanish(run) deletes one.

Serves GET /api/v1/runs, /api/v1/projects/{ref}/runs, /api/v3/runs/{id}, POST /api/v1/query (a small SQL: sql.py),
GET /realtime/v1/runs[/{id}]; HTTP/1.1 with keep-alive, a thread a connection.

Knobs: fake.knobs.set(replica_lag_s=5); all of them with their meaning are in knobs.DEFAULTS. Those that matter most:
    replica_lag_s, replica_jitter_s, commit_delay_s   what lists and queries hear, how late, how much out of order
    short_pages, rename_status, metadata_bytes, vanished, old_server
    rate_burst, rate_refill, rate_interval_s          the token bucket
    query_absent, query_concurrency, query_busy_status, query_lookback_days, query_slow_s
    realtime_hold_s, realtime_cap, realtime_partial, realtime_refetch, realtime_conflict, realtime_forget, realtime_concurrency
    clock_scale, clock_skew_s                          scale 0: time stands still but for fake.jump(seconds)
    alert_scale                                        the sender's time-out and gaps, times this

Faults: fake.fault("list", "status", times=2, status=502); fake.fault("*", "truncate", probability=0.1) (seeded);
fake.script("retrieve", ["ok", 500, {"mode": "close_after"}, "ok"]) for the next four requests. The first argument is an endpoint
(list, project, retrieve, query, realtime), "*", or the beginning of a path. Modes: status (body, headers), slow (seconds), hang,
close_before, close_after (the head), reset, truncate, invalid, wrong_shape, oversized (bytes).

Alerts: sender = fake.sender(url, secret); sender.run_failed(run).wait(); sender.follow() tells every run that fails.

As a program: python3 tests/fakes/trigger_dev --port 8999 --runs 1000 [--knob NAME=JSON]. From outside: POST /_fake/knobs, /_fake/faults,
/_fake/script, /_fake/runs, /_fake/random, /_fake/steady, /_fake/set, /_fake/clear with JSON; GET /_fake/truth[?since=MS], /_fake/requests, /_fake/knobs.
"""
from .app import KEYS, PAT, PROJECT, TriggerDev  # noqa: F401
from .vocab import ACTIVE, FINAL, STATUSES  # noqa: F401
