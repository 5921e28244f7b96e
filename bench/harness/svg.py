"""Bar charts as SVG text: readable on light and dark pages, no dependency."""

from html import escape

from .figures import digits

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 880, 270, 170
BAR_HEIGHT, BAR_GAP, GROUP_GAP, TITLE_HEIGHT = 22, 8, 34, 54

# Greys of middle lightness: an image does not reliably know whether its page is light or dark.
STYLE = """
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 14px; fill: #717983 }
  .title { font-size: 18px; font-weight: 600 }
  .group { font-weight: 600 }
  .note { font-size: 12px }
  .stock { fill: #8c959f } .ours { fill: #3182c4 } .memory { fill: #2f9e5f }
  .limit { stroke: #dd6b45; stroke-width: 2; stroke-dasharray: 5 3 } .spread { stroke: #dba520; stroke-width: 2 }
"""


class Bar:
    """kind is stock, ours or memory; note replaces the value's text; limit is the value that this bar could reach, or None."""

    def __init__(self, label, kind, value, low, high, note="", limit=None):
        self.label, self.kind, self.value, self.low, self.high = label, kind, value, low, high
        self.note, self.limit = note, limit


def chart(title, note, groups):
    """groups: [(heading, [Bar])]. Bars of one group share a scale of their own. Returns the SVG."""
    parts, y = [], TITLE_HEIGHT
    plot = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    for heading, bars in groups:
        if not bars:
            continue
        top = max(max(bar.high, bar.limit or 0) for bar in bars) or 1
        y += GROUP_GAP - 12
        parts.append(f'<text class="group" x="12" y="{y}">{escape(heading)}</text>')
        y += 12
        for bar in bars:
            parts += _bar(bar, y, plot / top)
            y += BAR_HEIGHT + BAR_GAP
    return page(title, note, y + 14, parts)


def page(title, note, height, parts, style=STYLE):
    """The image around its parts."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">\n'
            f"<title>{escape(title)}</title>\n<style>{style}</style>\n"
            f'<text class="title" x="12" y="24">{escape(title)}</text>\n'
            f'<text class="note" x="12" y="44">{escape(note)}</text>\n' + "\n".join(parts) + "\n</svg>\n")


def _bar(bar, y, scale):
    x, middle = LABEL_WIDTH, y + BAR_HEIGHT / 2
    width = max(1.0, bar.value * scale)
    end = max(bar.value, bar.high, bar.limit or 0) * scale
    parts = [
        f'<text x="{x - 10}" y="{middle + 5:.1f}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect class="{bar.kind}" x="{x}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
    ]
    if bar.high > bar.low:
        parts.append(f'<line class="spread" x1="{x + bar.low * scale:.1f}" x2="{x + bar.high * scale:.1f}" '
                     f'y1="{middle}" y2="{middle}"/>')
    if bar.limit:
        at = x + bar.limit * scale
        parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 3}" y2="{y + BAR_HEIGHT + 3}"/>')
    value = bar.note or digits(bar.value)
    parts.append(f'<text x="{x + end + 8:.1f}" y="{middle + 5:.1f}">{escape(value)}</text>')
    return parts
