"""Reads the store of a server that is not running, and says what may not be."""
import shutil
import sqlite3
import tempfile

from world import id_number

WAITING = {0: "pending", 3: "retrying"}


class Ledger:
    """Read only, so that the server finds its files as the kill left them; where reading would mean to repair first
    (killed in the middle of making the store), a copy is read."""

    def __init__(self, path):
        self.copy = None
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            self.rows("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            self.db.close()
            self.copy = tempfile.TemporaryDirectory()
            for one in path.parent.glob(path.name + "*"):
                shutil.copy(one, self.copy.name)
            self.db = sqlite3.connect(f"{self.copy.name}/{path.name}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.db.close()
        if self.copy:
            self.copy.cleanup()

    def rows(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def missing(self, reports):
        """Reports with an id that the store does not have under their run and status."""
        lost = []
        for start in range(0, len(reports), 500):
            part = {id_number(r.ident): r for r in reports[start:start + 500]}
            marks = ",".join("?" * len(part))
            found = {i: (run, status) for i, run, status in
                     self.rows(f"SELECT id, run, status FROM events WHERE id IN ({marks})", *part)}
            lost += [r for i, r in part.items() if found.get(i) != (r.run, r.status)]
        return lost

    def undelivered(self):
        """Numbers of the deliveries whose outcome the store does not know, and faults among them."""
        rows = self.rows("SELECT id, state FROM deliveries WHERE turn IS NOT NULL")
        bad = [f"delivery {i} waits in state {state}" for i, state in rows if state not in WAITING]
        return {i for i, _ in rows}, bad

    def integrity(self, quick):
        return [row[0] for row in self.rows("PRAGMA quick_check" if quick else "PRAGMA integrity_check") if row[0] != "ok"]

    def impossible(self):
        """States that no moment of a kill may leave behind, each with the query that finds it."""
        queries = {
            "an event twice": "SELECT run, state FROM events GROUP BY run, state, attempt HAVING count(*) > 1",
            "a run without its event": "SELECT run FROM runs r WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = r.last_event)",
            "an event without its run": "SELECT e.id FROM events e WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run = e.run)",
            "an incident twice": "SELECT rule, key FROM incidents GROUP BY rule, key HAVING count(*) > 1",
            "an incident without its opening message":
                "SELECT id FROM incidents i WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = i.id AND d.kind = 0)",
            "a resolved incident without its last message":
                "SELECT id FROM incidents i WHERE state = 3 AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = i.id AND d.kind = 4)",
            "a live incident that has told its end":
                "SELECT id FROM incidents i WHERE state < 3 AND EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = i.id AND d.kind = 4)",
            "a message decided twice": "SELECT incident, kind FROM deliveries GROUP BY incident, kind HAVING count(*) > 1",
            "a message of no incident": "SELECT id FROM deliveries WHERE incident NOT IN (SELECT id FROM incidents)",
            "delivered without an attempt, or not by its last one":
                "SELECT d.id FROM deliveries d WHERE d.state = 2 AND NOT EXISTS"
                " (SELECT 1 FROM attempts a WHERE a.delivery = d.id AND a.n = d.attempts AND a.state = 2)",
            "two in a lane have the turn, or nobody":
                "SELECT destination, lane FROM deliveries WHERE turn IS NOT NULL GROUP BY destination, lane HAVING sum(turn) <> 1",
            "a younger one has the turn":
                "SELECT d.id FROM deliveries d WHERE d.turn = 1 AND EXISTS (SELECT 1 FROM deliveries o WHERE o.destination = d.destination"
                " AND o.lane = d.lane AND o.id < d.id AND o.turn IS NOT NULL)",
            "delivered, but with a turn": "SELECT id FROM deliveries WHERE state IN (2, 4) AND turn IS NOT NULL",
            "a dead letter": "SELECT id FROM deliveries WHERE state = 4",
            "counts that are wrong":
                "SELECT * FROM counts WHERE events <> (SELECT count(*) FROM events) OR runs <> (SELECT count(*) FROM runs)"
                " OR incidents <> (SELECT count(*) FROM incidents) OR undelivered <> (SELECT count(*) FROM deliveries WHERE turn IS NOT NULL)",
        }
        found = []
        for what, sql in queries.items():
            rows = self.rows(sql + " LIMIT 3")
            if rows:
                found.append(f"{what}: {rows}")
        return found

    def incidents(self):
        """(rule, run) -> id."""
        return {(rule, key): i for i, rule, key in self.rows("SELECT id, rule, key FROM incidents")}
