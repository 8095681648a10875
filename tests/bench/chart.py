"""The table as text and as SVG."""
import math
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 1000, 380, 170, 44, 70


class Row:
    """One figure: values of all rounds, and the goal as (">=" or "<=", number)."""

    def __init__(self, name, unit, goal, values, detail=""):
        self.name, self.unit, self.goal, self.detail = name, unit, goal, detail
        self.values = sorted(values)

    @property
    def least(self):
        return self.values[0]

    @property
    def median(self):
        n = len(self.values)
        return (self.values[(n - 1) // 2] + self.values[n // 2]) / 2

    @property
    def most(self):
        return self.values[-1]

    def good(self, value):
        """How far beyond the goal: 1 = just reached, 2 = twice as good."""
        if self.goal[0] == ">=":
            return value / self.goal[1]
        return self.goal[1] / value if value > 0 else 100.0

    @property
    def reached(self):
        return self.good(self.median) >= 1

    def as_dict(self):
        return {"name": self.name, "unit": self.unit, "goal": f"{self.goal[0]} {self.goal[1]:g}", "min": self.least,
                "median": self.median, "max": self.most, "reached": self.reached, "detail": self.detail, "values": self.values}


def number(v):
    return f"{v:.3g}" if abs(v) < 100 else f"{v:,.0f}"


def text_table(rows, judged):
    head = ["figure", "goal", "min", "median", "max", "", "measured"]
    lines = [[r.name, f"{r.goal[0]} {r.goal[1]:g}{r.unit}", number(r.least), number(r.median), number(r.most),
              ("reached" if r.reached else "MISSED") if judged else "-", r.detail] for r in rows]
    widths = [max(len(line[k]) for line in [head] + lines) for k in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in [head] + lines) + "\n"


def _x(good):
    """Logarithmic, from a tenth of the goal to ten times as good."""
    good = min(max(good, 0.1), 10)
    return LEFT + (math.log10(good) + 1) / 2 * (WIDTH - LEFT - RIGHT)


def svg(rows, title):
    height = TOP + ROW * len(rows) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="13">', f'<title>{escape(title)}</title>',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="16" y="26" font-size="17" font-weight="bold">{escape(title)}</text>']
    for good in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        x = _x(good)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 22}" stroke="{"#444" if good == 1 else "#ddd"}"/>')
        label = "goal" if good == 1 else f"{good:g}x"
        out.append(f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle" fill="#666">{label}</text>')
    for k, r in enumerate(rows):
        y = TOP + ROW * k + ROW / 2
        a, m, b = sorted((_x(r.good(r.least)), _x(r.good(r.median)), _x(r.good(r.most))))
        colour = "#1a7f37" if r.reached else "#b35900"
        value = f"{number(r.median)}{r.unit} ({r.goal[0]} {r.goal[1]:g})"
        out += [f'<text x="16" y="{y + 4:.1f}">{escape(r.name)}</text>',
                f'<line x1="{a:.1f}" x2="{max(b, a + 1):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="8" '
                'stroke-opacity="0.35" stroke-linecap="round"/>',
                f'<circle cx="{m:.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>',
                f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4:.1f}" fill="{colour}">{escape(value)}</text>']
    out.append(f'<text x="16" y="{height - 8}" fill="#666" font-size="11">dot: median; bar: min to max over the rounds; '
               'right of the line is better than the goal</text></svg>')
    return "\n".join(out) + "\n"
