"""The fake's query endpoint: the little SQL, its plan against a plain look at every run, its limits."""
import random
import threading

import pytest
from conftest import START, Client, wait_for
from trigger_dev import STATUSES, sql
from trigger_dev.clock import parse_time, sql_time
from trigger_dev.query import find_rows
from trigger_dev.render import QUERY_COLUMNS

DAY = 86400


@pytest.fixture
def few(fake):
    """Four runs: done, failed, running, waiting in the queue."""
    runs = {name: fake.add(task=name, created=START - 1000 * at, steps=steps) for at, (name, steps) in enumerate({
        "done": [(0, "PENDING"), (0.1, "DEQUEUED"), (0.15, "EXECUTING"), (0.75, "COMPLETED_SUCCESSFULLY")],
        "failed": [(0, "PENDING"), (0.1, "EXECUTING"), (0.5, "COMPLETED_WITH_ERRORS", {"error": {"type": "STRING_ERROR", "raw": "it's \\"}})],
        "running": [(0, "PENDING"), (0.25, "DEQUEUED"), (0.3, "EXECUTING"), (0.4, "EXECUTING", {"attempt": 2})],
        "queued": [(0, "PENDING")]}.items())}
    fake.jump(5)
    return runs


def tasks(client, where, **more):
    return [row["task_identifier"] for row in client.rows(f"SELECT task_identifier FROM runs WHERE {where} ORDER BY triggered_at DESC", **more)]


def test_a_row_has_the_columns_of_the_service(client, few):
    names = ", ".join(QUERY_COLUMNS)
    got = client.rows(f"select {names} from runs where run_id = '{few['done'].id}' order by run_id limit 1")
    assert got == [{
        "run_id": few["done"].id, "environment": "prod", "project": "proj_qzkxwvnmhtrplydcbafj", "status": "Completed", "attempt_count": 1,
        "is_finished": 1, "task_identifier": "done", "queue": "task/done", "batch_id": None, "root_run_id": None, "parent_run_id": None, "depth": 0,
        "region": "us-east-1", "triggered_at": "2026-05-03 10:20:00.000", "queued_at": "2026-05-03 10:20:00.000",
        "dequeued_at": "2026-05-03 10:20:00.100", "executed_at": "2026-05-03 10:20:00.150", "completed_at": "2026-05-03 10:20:00.750",
        "delay_until": None, "expired_at": None, "ttl": "", "queued_duration": 100, "execution_duration": 600, "total_duration": 750,
        "usage_duration": 600, "compute_cost": pytest.approx(0.000020280), "total_cost": pytest.approx(0.000045280), "error": None, "tags": [],
        "task_version": "20260503.1", "machine": "small-1x", "is_test": 0}]


@pytest.mark.parametrize("where, found", [
    ("is_finished = 1", ["done", "failed"]), ("is_finished = 0", ["running", "queued"]), ("status = 'Failed'", ["failed"]),
    ("status IN ('Queued', 'Executing')", ["running", "queued"]), ("status NOT IN ('Queued','Executing')", ["done", "failed"]),
    ("completed_at IS NULL", ["running", "queued"]), ("completed_at IS NOT NULL AND status != 'Completed'", ["failed"]),
    ("completed_at != '2026-05-03 10:20:00.750'", ["failed"]),  # a null is neither equal nor unequal
    ("completed_at > '2026-05-03 10:19:59.500'", ["done"]), ("completed_at >= '2026-05-03 10:19:59.500'", ["done", "failed"]),
    ("completed_at < '2026-05-03T10:20:00Z' OR task_identifier = 'queued'", ["failed", "queued"]),
    ("(attempt_count >= 2 OR status = 'Queued') AND depth = 0", ["running", "queued"]), ("attempt_count = 1", ["done", "failed", "queued"]),
    ("error IS NOT NULL", ["failed"]), ("task_identifier = 'it''s' OR task_identifier = 'it\\'s'", []), ("total_duration < 700", ["failed"])])
def test_conditions(client, few, where, found):
    assert tasks(client, where) == found


def test_errors_are_raw(client, few):
    assert client.rows("SELECT error FROM runs WHERE task_identifier = 'failed'") == [{"error": {"type": "STRING_ERROR", "raw": "it's \\"}}]


def test_order_has_nulls_last_both_ways(client, few):
    for way, wanted in (("ASC", ["failed", "done"]), ("DESC", ["done", "failed"])):
        rows = client.rows(f"SELECT task_identifier FROM runs ORDER BY completed_at {way}, task_identifier DESC LIMIT 4")
        assert [row["task_identifier"] for row in rows] == [*wanted, "running", "queued"]


@pytest.mark.parametrize("text", [
    "SELECT * FROM runs", "SELECT count() FROM runs", "SELECT run_id FROM metrics", "SELECT run_id", "DELETE FROM runs", "", "SELECT run_id FROM runs;",
    "SELECT run_id FROM runs WHERE", "SELECT run_id FROM runs WHERE run_id = ", "SELECT run_id FROM runs WHERE run_id LIKE 'a%'",
    "SELECT run_id FROM runs WHERE nonsense = 1", "SELECT run_id FROM runs WHERE depth = 'x'", "SELECT run_id FROM runs WHERE run_id = 1",
    "SELECT run_id FROM runs WHERE status = 'TIMED_OUT'", "SELECT run_id FROM runs WHERE completed_at > 'yesterday'",
    "SELECT run_id FROM runs WHERE completed_at > 5", "SELECT run_id FROM runs WHERE (run_id = 'a'", "SELECT run_id FROM runs WHERE error = 'x'",
    "SELECT run_id FROM runs WHERE run_id = 'open", "SELECT run_id FROM runs LIMIT 5 OFFSET 5", "SELECT run_id FROM runs GROUP BY run_id",
    "SELECT run_id AS x FROM runs", "SELECT run_id FROM runs WHERE NOT run_id = 'a'", "SELECT run_id FROM runs WHERE run_id IN ()",
    "SELECT run_id FROM runs WHERE a = b", "SELECT run_id FROM runs -- c", "SELECT run_id FROM runs WHERE " + "(" * 60 + "run_id = 'a'" + ")" * 60])
def test_what_is_not_in_the_grammar_is_refused(client, text):
    answer = client.query(text)
    assert answer.status == 400 and set(answer.json) == {"error"}


def test_bodies_that_are_none(client):
    for body in ({}, {"query": 5}, {"query": "SELECT run_id FROM runs", "scope": "galaxy"}, []):
        assert client.ask("POST", "/api/v1/query", body=body).status == 400


def test_scopes_reach_as_far_as_they_say(fake, client, few):
    fake.add(env="stg", task="staged", created=START - 10000)
    assert "staged" not in tasks(client, "depth = 0")
    for scope in ("project", "organization"):
        assert tasks(client, "depth = 0", scope=scope)[-1] == "staged"
    assert tasks(client, "environment = 'stg'", scope="project") == ["staged"]


def test_the_window_of_triggering(fake, client):
    ages = {name: fake.add(task=name, created=START - days * DAY * 1000) for name, days in (("day", 1), ("week", 8), ("month", 29), ("year", 300))}
    assert tasks(client, "depth = 0") == ["day"]
    assert tasks(client, "triggered_at > '2020-01-01'") == ["day", "week", "month"]
    assert tasks(client, "depth = 0", period="10d") == ["day", "week"]
    assert tasks(client, "depth = 0", **{"from": "2026-01-01T00:00:00.000Z", "to": "2026-04-26T00:00:00.000Z"}) == ["week", "month"]
    fake.knobs.set(query_lookback_days=7)
    assert tasks(client, "triggered_at > '2020-01-01'") == ["day"]
    assert ages["year"].id not in str(client.rows("SELECT run_id FROM runs"))


def test_never_more_rows_than_the_service_gives(fake, client):
    for i in range(30):
        fake.add(created=START - i)
    fake.knobs.set(query_rows=20)
    assert len(client.rows("SELECT run_id FROM runs LIMIT 25")) == len(client.rows("SELECT run_id FROM runs")) == 20
    assert len(client.rows("SELECT run_id FROM runs LIMIT 5")) == 5 and client.rows("SELECT run_id FROM runs LIMIT 0") == []


def test_it_knows_what_the_replica_knows(fake, client):
    fake.knobs.set(replica_lag_s=4)
    fake.set(fake.add(task="late"), "CRASHED")
    assert tasks(client, "depth = 0") == []
    fake.jump(4)
    assert tasks(client, "status = 'Crashed'") == ["late"]


@pytest.mark.parametrize("status", [429, 400])
def test_three_at_a_time(fake, client, status):
    fake.knobs.set(query_slow_s=20.0, query_busy_status=status)
    held = [Client(fake) for _ in range(3)]
    threads = [threading.Thread(target=one.query, args=("SELECT run_id FROM runs",)) for one in held]
    for one in threads:
        one.start()
    wait_for(lambda: sum(fake.queries._running.values()) == 3)
    answer = client.query("SELECT run_id FROM runs")
    assert (answer.status, answer.json) == (status, {"error": "You've exceeded your query concurrency of 3 for this project. Please try again later."})
    fake.closing.set()  # lets the held ones go
    for one in threads:
        one.join()
    assert sum(fake.queries._running.values()) == 0
    fake.closing.clear()


def test_an_older_server_has_no_queries(fake, client):
    fake.knobs.set(query_absent=True)
    assert client.query("SELECT run_id FROM runs").status == 404


def _random_condition(rng, fake, deep=0):
    if deep < 3 and rng.random() < 0.5:
        parts = [_random_condition(rng, fake, deep + 1) for _ in range(rng.randint(2, 3))]
        return "(" + rng.choice([" AND ", " OR "]).join(parts) + ")"
    runs = list(fake.population.runs.values())
    kind = rng.choice(["time", "status", "finished", "id", "null", "task"])
    op = rng.choice(["=", "!=", "<", "<=", ">", ">="])
    if kind == "time":
        run = rng.choice(runs)
        return f"{rng.choice(['completed_at', 'triggered_at'])} {op} '{sql_time(run.state.completed or run.created)}'"
    if kind == "status":
        titles = rng.sample(sorted({one.title for one in STATUSES.values()}), 3)
        return f"status {rng.choice(['', 'NOT '])}IN ('" + "', '".join(titles) + "')"
    if kind == "finished":
        return f"is_finished {op} {rng.randint(0, 1)}"
    if kind == "id":
        return f"run_id {rng.choice(['', 'NOT '])}IN ('" + "', '".join(run.id for run in rng.sample(runs, 3)) + "')"
    return f"completed_at IS {rng.choice(['', 'NOT '])}NULL" if kind == "null" else "task_identifier >= 's'"


def test_the_plan_finds_what_a_look_at_every_run_finds(fake):
    fake.load_random(150, seed=11, over_s=60, pace=3)
    fake.jump(45)
    rng, window = random.Random(17), (0, None)
    for _ in range(300):
        text = f"SELECT run_id FROM runs WHERE {_random_condition(rng, fake)} ORDER BY {rng.choice(['completed_at', 'triggered_at', 'run_id'])} " \
               f"{rng.choice(['ASC', 'DESC'])}, run_id LIMIT 10000"
        select = sql.parse(text)
        fits = sql.compiled(select.where)
        with fake.population.lock:
            wanted = {run.id for run in fake.population.runs.values() if run.seen and fits(run, run.seen)}
            assert {run.id for run, _ in find_rows(fake.population, fake.env(), select, window)} == wanted, text


def test_walking_by_completion_finds_everybody_once(fake, client):
    """Keyset pages over (completed_at, run_id), as a poller would."""
    for i in range(70):
        fake.add(steps=[(0, "EXECUTING"), (1 + i // 10, "COMPLETED_SUCCESSFULLY")])
    fake.jump(60)
    after, last, found = sql_time(START - 1000), "", []
    while True:
        rows = client.rows(f"SELECT run_id, completed_at FROM runs WHERE completed_at > '{after}' OR (completed_at = '{after}' AND run_id > '{last}') "
                           "ORDER BY completed_at ASC, run_id ASC LIMIT 7")
        if not rows:
            break
        found += [row["run_id"] for row in rows]
        after, last = rows[-1]["completed_at"], rows[-1]["run_id"]
    assert len(found) == len(set(found)) == 70


@pytest.mark.parametrize("text, wanted", [
    ("2026-05-03 10:20:00.000", START), ("2026-05-03T10:20:00Z", START), ("2026-05-03T12:20:00.5+02:00", START + 500), ("2026-05-03 10:20", START),
    ("2026-05-03", START - 37200000), ("2026-13-03", None), ("soon", None)])
def test_times_are_read(text, wanted):
    assert parse_time(text) == wanted
