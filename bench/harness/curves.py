"""Line plots over a share from nothing to everything, or over named steps, as SVG text."""

from dataclasses import dataclass
from html import escape

from . import svg
from .figures import digits

LEFT, RIGHT, HEIGHT, GAP = 70, 220, 240, 74
PLOT_WIDTH = svg.WIDTH - LEFT - RIGHT
STYLE = """
  .line { fill: none; stroke-width: 2 } .axis { stroke: #8c959f; stroke-width: 1 } .grid { stroke: #8c959f; stroke-width: 1; opacity: 0.25 }
  .line.ours { fill: none; stroke: #3182c4 } .line.first { stroke: #3182c4 } .line.second { stroke: #2f9e5f }
  .line.third { stroke: #dba520 } .line.fourth { stroke: #dd6b45 } .level { stroke: #2f9e5f; stroke-width: 1.5; stroke-dasharray: 2 4 }
"""


@dataclass
class Line:
    label: str
    kind: str       # ours or limit; first to fourth of several that are alike
    points: list    # [(share, Spread)]


@dataclass
class Plot:
    heading: str
    lines: list
    levels: list    # [(label, value)], drawn from side to side


def page(title, note, plots, steps=()):
    """Plots under each other with one x axis each: shares in percent, or the names of `steps` at even distances (the points' shares
    are then 0, 1, 2, … over the number of the last). Returns the SVG."""
    parts, y = [], svg.TITLE_HEIGHT
    widest = max([1.0] + [share for plot in plots for line in plot.lines for share, _spread in line.points])
    ticks = [(i / max(1, len(steps) - 1), str(name)) for i, name in enumerate(steps)]
    ticks = ticks or [(percent / 100, f"{percent} %") for percent in range(0, int(widest * 100) + 1, 20)]
    for plot in plots:
        parts += _plot(plot, y + 34, widest, ticks)
        y += HEIGHT + GAP
    return svg.page(title, note, y + 6, parts, svg.STYLE + STYLE)


def _steps(top):
    """About five round values up to the top."""
    step = 10.0 ** (len(str(int(top))) - 1) if top >= 1 else 0.1
    while top / step > 8:
        step *= 2
    while top / step < 4:
        step /= 2
    return [i * step for i in range(int(top / step + 1e-9) + 1)]


def _plot(plot, y, widest, ticks):
    values = [spread.high for line in plot.lines for _share, spread in line.points] + [value for _label, value in plot.levels]
    top = (max(values) or 1) * 1.05
    bottom = y + HEIGHT

    def at(share, value):
        return LEFT + share / widest * PLOT_WIDTH, bottom - value / top * HEIGHT

    parts = [f'<text class="group" x="12" y="{y - 12}">{escape(plot.heading)}</text>',
             f'<path class="line axis" d="M{LEFT} {y} V{bottom} H{LEFT + PLOT_WIDTH}"/>']
    for value in _steps(top):
        level = at(0, value)[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + PLOT_WIDTH}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(f'<text class="note" x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{value:g}</text>')
    for share, label in ticks:
        parts.append(f'<text class="note" x="{at(share, 0)[0]:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    names = []  # (y, text) at the right end
    for label, value in plot.levels:
        level = at(0, value)[1]
        parts.append(f'<line class="level" x1="{LEFT}" x2="{LEFT + PLOT_WIDTH}" y1="{level:.1f}" y2="{level:.1f}"/>')
        names.append((level, f"{label}: {digits(value)}"))
    for line in plot.lines:
        if not line.points:
            continue
        places = [at(share, spread.median) for share, spread in line.points]
        parts.append(f'<polyline class="line {line.kind}" points="{" ".join(f"{x:.1f},{level:.1f}" for x, level in places)}"/>')
        for share, spread in line.points:
            if line.kind == "ours" and spread.high > spread.low:
                (x, high), low = at(share, spread.high), at(share, spread.low)[1]
                parts.append(f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{high:.1f}" y2="{low:.1f}"/>')
        if line.kind == "ours":
            parts += [f'<circle class="ours" cx="{x:.1f}" cy="{level:.1f}" r="3.5"/>' for x, level in places]
        names.append((places[-1][1], f"{line.label}: {digits(line.points[-1][1].median)}"))
    return parts + _names(names)


def _names(names):
    """Labels beside the lines' ends, moved apart where they would overlap."""
    parts, free = [], 0.0
    for level, name in sorted(names):
        level = max(level, free)
        free = level + 16
        parts.append(f'<text class="note" x="{LEFT + PLOT_WIDTH + 8}" y="{level + 4:.1f}">{escape(name)}</text>')
    return parts
