"""Puts figures into the docs: docs/plots/*.svg and the tables of docs/performance.md, both from
docs/plots/figures.csv, which `make bench-full` writes.

Plain SVG, written here: nothing to install, and the same figures give the same bytes, so a test can
hold the docs to the figures.
"""

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "plots"
FIGURES = FOLDER / "figures.csv"
PAGE = DOCS / "performance.md"

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 50, 50
COLOURS = ("#1f6feb", "#d1495b", "#2a9d5c")

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line of a plot: what the figures call it, and what the plot does."""

    what: str
    label: str


@dataclass(frozen=True)
class Axis:
    """The axis along the bottom: where a value lies on it from 0 to 1, and what is written below."""

    title: str
    ticks: dict[float, str]
    place: Callable[[float], float]


def logarithmic(title: str, ticks: dict[float, str]) -> Axis:
    low, high = math.log(min(ticks)), math.log(max(ticks))
    return Axis(title, ticks, lambda value: (math.log(value) - low) / (high - low))


def in_a_row(title: str, ticks: dict[float, str]) -> Axis:
    values = list(ticks)
    return Axis(title, ticks, lambda value: values.index(value) / (len(values) - 1))


TASKS = logarithmic(
    "tasks in the space",
    {1e4: "10,000", 1e5: "100,000", 1e6: "1 million", 1e7: "10 million"},
)
PERCENT = in_a_row(
    "so many in a hundred are at most",
    {50: "50", 75: "75", 90: "90", 95: "95", 99: "99"},
)


@dataclass(frozen=True)
class Plot:
    name: str
    title: str
    axis: Axis
    lines: tuple[Line, ...]


PLOTS = (
    Plot(
        "throughput",
        "Tasks a second, batches of 100 on 8 connections",
        TASKS,
        (
            Line("tasks/s pushed", "pushed"),
            Line("tasks/s claimed and completed", "claimed and completed"),
            Line("tasks/s from push to completion", "from push to completion"),
        ),
    ),
    Plot("memory", "Bytes a pending task", TASKS, (Line("bytes a pending task", "used_memory"),)),
    Plot(
        "cost",
        "Microseconds of the server's processor time a task",
        TASKS,
        (
            Line("server us to claim and complete a task", "claim and complete"),
            Line("server us to push a task", "push"),
        ),
    ),
    Plot(
        "latency",
        "Microseconds on a busy server",
        PERCENT,
        (
            Line("us to hand over a child", "parent's completion to child"),
            Line("us of a PING", "PING"),
        ),
    ),
)


def rows() -> list[dict[str, str]]:
    with FIGURES.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def read() -> dict[str, Points]:
    """The points of each line of the plots."""
    points: dict[str, Points] = {}
    for row in rows():
        if row["at"]:
            points.setdefault(row["what"], []).append((float(row["at"]), float(row["measured"])))
    return points


def tables() -> dict[str, str]:
    """The tables of the page: what has a goal, and what has none."""
    figures = [row for row in rows() if not row["at"]]
    goals = [
        f"| {row['what']} | {row['goal']} | {short(row)} | {row['verdict']} |" for row in figures if row["goal"]
    ]
    others = [f"| {row['what']} | {short(row)} |" for row in figures if not row["goal"]]
    return {
        "goals": "\n".join(["| what | goal | measured | |", "|---|---|---|---|", *goals]),
        "others": "\n".join(["| what | measured |", "|---|---|", *others]),
    }


def short(row: dict[str, str]) -> str:
    value = float(row["measured"])
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def page() -> str:
    """The page with the tables of these figures in place of those that it has."""
    content = PAGE.read_text()
    for name, table in tables().items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, rest = content.split(begin)
        content = before + begin + table + end + rest.split(end)[1]
    return content


def steps(highest: float) -> list[float]:
    """Round numbers from 0 to at least `highest`."""
    power = 10 ** math.floor(math.log10(highest))
    step = next(step for step in (power / 5, power / 2, power, power * 2) if highest / step <= 6)
    return [step * n for n in range(math.ceil(highest / step) + 1)]


def number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} million"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def text(x: float, y: float, words: str, anchor: str = "start", **style: str) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{words}</text>'


def draw(plot: Plot, points: dict[str, Points]) -> str:
    """The whole SVG."""
    return "\n".join(parts(plot, points)) + "\n"


def parts(plot: Plot, points: dict[str, Points]) -> Iterator[str]:
    rows = steps(max(value for line in plot.lines for _, value in points[line.what]))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    floor = HEIGHT - BOTTOM

    def x(at: float) -> float:
        return LEFT + plot.axis.place(at) * wide

    def y(value: float) -> float:
        return floor - value / rows[-1] * high

    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#333">'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    yield text(LEFT, 26, plot.title, font_size="15", font_weight="bold")
    for value in rows:
        yield f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield text(LEFT - 8, y(value) + 4, number(value), "end")
    for at, words in plot.axis.ticks.items():
        yield f'<path d="M{x(at):.1f} {floor}v5" stroke="#999"/>'
        yield text(x(at), floor + 20, words, "middle")
    yield text(LEFT + wide / 2, HEIGHT - 10, plot.axis.title, "middle")
    lowest = math.inf
    ordered = sorted(zip(plot.lines, COLOURS), key=lambda line: -points[line[0].what][-1][1])
    for line, colour in ordered:
        places = [(x(at), y(value)) for at, value in sorted(points[line.what])]
        path = "L".join(f"{at:.1f} {height:.1f}" for at, height in places)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{at:.1f}" cy="{height:.1f}" r="3" fill="{colour}"/>' for at, height in places)
        # Names stand at the ends of their lines, from top to bottom, and not on each other.
        lowest = places[-1][1] + 4 if lowest is math.inf else max(places[-1][1] + 4, lowest + 16)
        yield text(WIDTH - RIGHT + 10, lowest, line.label, fill=colour)
    yield "</svg>"


def main() -> None:
    points = read()
    for plot in PLOTS:
        (FOLDER / f"{plot.name}.svg").write_text(draw(plot, points))
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
