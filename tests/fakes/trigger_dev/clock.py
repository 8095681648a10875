"""The server's clock: the wall clock, skewed, scaled, or begun elsewhere. All times are whole milliseconds."""
import calendar
import functools
import re
import time


class Clock:
    def __init__(self, scale=1.0, skew_s=0.0, start_ms=None):
        self.scale, self.skew_ms = scale, skew_s * 1000
        self._server = time.time() * 1000 if start_ms is None else start_ms
        self._since = time.monotonic()

    def _unskewed(self):
        return self._server + (time.monotonic() - self._since) * 1000 * self.scale

    def now(self):
        return int(self._unskewed() + self.skew_ms)

    def set(self, scale=None, skew_s=None):
        """A new scale goes on from the present time; a new skew jumps."""
        if scale is not None:
            self._server, self._since = self._unskewed(), time.monotonic()
            self.scale = scale
        if skew_s is not None:
            self.skew_ms = skew_s * 1000

    def jump(self, seconds):
        self._server += seconds * 1000

    def real_seconds_until(self, ms):
        return (ms - self.now()) / 1000 / self.scale if self.scale else float("inf")


@functools.lru_cache(maxsize=65536)
def _second(s):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(s))


def iso(ms):
    """2026-05-03T10:16:41.702Z"""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


def sql_time(ms):
    """2026-05-03 10:16:41.702, as ClickHouse gives it: UTC, and no word of it."""
    return f"{_second(ms // 1000).replace('T', ' ')}.{ms % 1000:03d}"


_SQL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$")


def parse_time(text):
    """Milliseconds of an ISO or SQL time, UTC unless it says otherwise; None when it is none."""
    found = _SQL_TIME.match(text.strip())
    if not found:
        return None
    day, clock, fraction, zone = found.groups()
    clock = clock or "00:00:00"
    try:
        parts = time.strptime(f"{day} {clock if clock.count(':') == 2 else clock + ':00'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    ms = calendar.timegm(parts) * 1000 + int(((fraction or "") + "000")[:3])
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        ms -= minutes * 60000 * (1 if zone[0] == "+" else -1)
    return ms


_UNITS = {"ms": 1, "s": 1000, "m": 60000, "hr": 3600000, "h": 3600000, "d": 86400000, "w": 604800000}


def duration_ms(text):
    """Milliseconds of "15m", "1h30m", "2d"; None when it is none."""
    if not text or not re.fullmatch(r"(\d+(?:ms|w|d|hr|h|m|s))+", text):
        return None
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|w|d|hr|h|m|s)", text))
