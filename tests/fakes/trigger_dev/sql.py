"""The little SQL the fake understands, strictly: whatever is not in this grammar is refused.

    SELECT column, ... FROM runs [WHERE expression] [ORDER BY column [ASC|DESC], ...] [LIMIT number]
    expression: AND, OR, parentheses, column op value (= != < <= > >=), [NOT] IN (value, ...), IS [NOT] NULL
    value: 'text' ('' and \\' stand for a quote, \\\\ for a backslash) or a number
"""
import collections
import operator
import re

from .clock import parse_time
from .render import QUERY_COLUMNS, QUERY_TIMES
from .vocab import QUERY_FINISHED, STATUSES

Select = collections.namedtuple("Select", "columns where order limit mentioned")
TOKEN = re.compile(r"""\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|''|\\.)*')|(?P<op><=|>=|!=|=|<|>|\(|\)|,))""",
                   re.S)
OPS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMBERS = {"attempt_count", "is_finished", "depth", "queued_duration", "execution_duration", "total_duration", "usage_duration",
           "compute_cost", "total_cost", "is_test"}
UNCOMPARABLE = {"error", "tags"}
TITLES = {one.title for one in STATUSES.values()}
KEYWORDS = {"SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "IS", "NULL", "ORDER", "BY", "ASC", "DESC", "LIMIT"}
DEEPEST = 50


class SqlError(Exception):
    pass


def _tokens(text):
    at, found = 0, []
    while text[at:].strip():
        one = TOKEN.match(text, at)
        if not one:
            raise SqlError(f"Syntax error at position {at}: {text[at:at + 20]!r}")
        found.append((one.lastgroup, one.group(one.lastgroup)))
        at = one.end()
    return found


class Parser:
    def __init__(self, text):
        self.tokens, self.at, self.mentioned, self.depth = _tokens(text), 0, set(), 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "the end")

    def take(self, kind, what=None):
        found = self.peek()
        if found[0] != kind or (what and found[1].upper() != what):
            raise SqlError(f"Syntax error: expected {what or kind}, found {found[1]!r}")
        self.at += 1
        return found[1]

    def accept(self, what):
        found = self.peek()
        if found[0] in ("word", "op") and found[1].upper() == what:
            self.at += 1
            return True
        return False

    def column(self):
        name = self.take("word")
        if name.upper() in KEYWORDS:
            raise SqlError(f"Syntax error: expected a column, found {name!r}")
        if name not in QUERY_COLUMNS:
            raise SqlError(f'Unknown column "{name}" on table "runs"')
        return name

    def several(self, one):
        found = [one()]
        while self.accept(","):
            found.append(one())
        return found

    def select(self):
        self.take("word", "SELECT")
        columns = self.several(self.column)
        self.take("word", "FROM")
        table = self.take("word")
        if table != "runs":
            raise SqlError(f'Unknown table "{table}"')
        where = self.either() if self.accept("WHERE") else None
        order = []
        if self.accept("ORDER"):
            self.take("word", "BY")
            order = self.several(self.sort)
        limit = int(self.take("number")) if self.accept("LIMIT") else None
        if self.peek()[0] != "end":
            raise SqlError(f"Syntax error: {self.peek()[1]!r} is too much")
        return Select(columns, where, order, limit, self.mentioned)

    def sort(self):
        name = self.column()
        if name in UNCOMPARABLE:
            raise SqlError(f'Column "{name}" cannot be ordered by')
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        return name, descending

    def either(self):
        parts = [self.both()]
        while self.accept("OR"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else ("or", parts)

    def both(self):
        parts = [self.single()]
        while self.accept("AND"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else ("and", parts)

    def single(self):
        if self.accept("("):
            self.depth += 1
            if self.depth > DEEPEST:
                raise SqlError("Too many parentheses")
            found = self.either()
            self.take("op", ")")
            self.depth -= 1
            return found
        name = self.column()
        self.mentioned.add(name)
        if self.accept("IS"):
            negated = self.accept("NOT")
            self.take("word", "NULL")
            return ("null", name, negated)
        negated = self.accept("NOT")
        if self.accept("IN"):
            self.take("op", "(")
            values = self.several(lambda: self.value(name))
            self.take("op", ")")
            return ("in", name, frozenset(values), negated)
        op = self.take("op")
        if negated or op not in OPS:
            raise SqlError(f"Syntax error: {op!r} is no comparison")
        return ("compare", name, op, self.value(name))

    def value(self, name):
        kind, text = self.peek()
        if name in UNCOMPARABLE:
            raise SqlError(f'Column "{name}" cannot be compared; IS NULL and IS NOT NULL can')
        if kind == "number" and name in NUMBERS:
            self.at += 1
            return float(text) if "." in text else int(text)
        if kind != "text" or name in NUMBERS:
            raise SqlError(f'Type mismatch: column "{name}" cannot be compared with {text}')
        self.at += 1
        text = re.sub(r"''|\\(.)", lambda m: "'" if m.group(1) is None else m.group(1), text[1:-1], flags=re.S)
        if name in QUERY_TIMES:
            ms = parse_time(text)
            if ms is None:
                raise SqlError(f"Cannot parse DateTime: {text}")
            return ms
        if name == "status" and text not in TITLES:
            raise SqlError(f'Invalid value "{text}" for column "status". Allowed values: {", ".join(sorted(TITLES))}')
        return text


def parse(text):
    return Parser(text).select()


def compiled(node):
    """A function of (run, state): whether the row is one. Whatever compares with null is not."""
    if node is None:
        return lambda run, state: True
    if node[0] in ("and", "or"):
        parts, meet = [compiled(one) for one in node[1]], all if node[0] == "and" else any
        return lambda run, state: meet(part(run, state) for part in parts)
    value_of = QUERY_COLUMNS[node[1]]
    if node[0] == "null":
        return lambda run, state: (value_of(run, state) is None) != node[2]
    if node[0] == "in":
        return lambda run, state: (value := value_of(run, state)) is not None and (value in node[2]) != node[3]
    op, wanted = OPS[node[2]], node[3]
    return lambda run, state: (value := value_of(run, state)) is not None and op(value, wanted)


# --- what a condition says about where to look -----------------------------------------------------------------------------
def hull(node, column):
    """The widest (low, high), both inclusive and either None, that rows can have in a column of times; None: anything, null too."""
    if node is None:
        return None
    if node[0] == "and":
        found = [one for one in (hull(part, column) for part in node[1]) if one]
        return (_most([low for low, _ in found], max), _most([high for _, high in found], min)) if found else None
    if node[0] == "or":
        found = [hull(part, column) for part in node[1]]
        if None in found:
            return None
        lows, highs = [low for low, _ in found], [high for _, high in found]
        return (None if None in lows else min(lows)), (None if None in highs else max(highs))
    if node[1] != column:
        return None
    if node[0] == "null":
        return (None, None) if node[2] else None
    if node[0] == "in":
        return (None, None) if node[3] else (min(node[2]), max(node[2]))
    value = node[3]
    return {"=": (value, value), "<": (None, value - 1), "<=": (None, value), ">": (value + 1, None), ">=": (value, None)}.get(node[2], (None, None))


def _most(values, which):
    values = [one for one in values if one is not None]
    return which(values) if values else None


def chosen(node, values_of):
    """The set of values that rows can have, by a function of a leaf (a set, or None for anything)."""
    if node is None:
        return None
    if node[0] in ("and", "or"):
        found = [chosen(part, values_of) for part in node[1]]
        if node[0] == "or":
            return None if None in found else frozenset().union(*found)
        found = [one for one in found if one is not None]
        return frozenset.intersection(*found) if found else None
    return values_of(node)


def leaf_ids(node):
    if node[1] != "run_id":
        return None
    if node[0] == "in" and not node[3]:
        return node[2]
    return frozenset([node[3]]) if node[0] == "compare" and node[2] == "=" else None


def leaf_retried(node):
    """Of a condition that only runs of more than one attempt can meet."""
    least = {">": 1, ">=": 2}.get(node[2]) if node[0] == "compare" and node[1] == "attempt_count" else None
    return frozenset([True]) if least is not None and node[3] >= least else None


def leaf_statuses(node):
    """Of a condition on status or is_finished."""
    if node[1] not in ("status", "is_finished") or node[0] == "null":
        return None
    def fits(status):
        value = STATUSES[status].title if node[1] == "status" else int(status in QUERY_FINISHED)
        return (value in node[2]) != node[3] if node[0] == "in" else OPS[node[2]](value, node[3])
    return frozenset(status for status in STATUSES if fits(status))
