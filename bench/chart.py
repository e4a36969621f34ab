"""The ratios to nginx as an SVG picture that can be read on light and on dark ground."""

from html import escape
from statistics import median

WIDTH, LABEL, RIGHT = 880, 250, 175
BAR, GAP, HEAD, FOOT = 16, 8, 46, 26
# Bars beyond this many times nginx are cut, and say so.
MOST = 4.0
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  .bar { fill: #8c959f; } .own { fill: #1a7f5a; }
  .whisker { stroke: #1f2328; stroke-width: 1.2; }
  .grid { stroke: #d0d7de; } .one { stroke: #bc4c00; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; }
    .bar { fill: #6e7681; } .own { fill: #3fb985; }
    .whisker { stroke: #e6edf3; } .grid { stroke: #30363d; } .one { stroke: #f0883e; }
  }
"""


def svg(tables):
    """All load tables of a run, one below the other: CPU per request to nginx, median and range."""
    parts, top = [], 8
    for table in tables:
        drawn = [row for row in table["rows"] if row.get("cpu_to_nginx") and row["is_proxy"]]
        if table["kind"] != "load" or not drawn:
            continue
        top = panel(parts, table, drawn, top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}" role="img" aria-label="CPU per request, to nginx">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def panel(parts, table, rows, top):
    """One table's bars; gives where the next begins."""
    least = max(1.0, max(max(row["cpu_to_nginx"]) for row in rows))
    scale_end = min(MOST, least) * 1.05
    width = WIDTH - LABEL - RIGHT

    def across(value):
        return LABEL + width * min(value, scale_end) / scale_end

    text(parts, 0, top + 16, table["title"], "title")
    text(parts, 0, top + 34, f"CPU µs per {table['unit']} to nginx: less is better; the line is the "
                             "range of the rounds", "small")
    bottom = top + HEAD + len(rows) * (BAR + GAP)
    step = 0.5 if scale_end > 1.6 else 0.25
    for number in range(int(scale_end / step) + 1):
        x = across(number * step)
        kind = "one" if number * step == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top + HEAD - 4}" '
                     f'y2="{bottom}"/>')
        text(parts, x, bottom + 14, f"{number * step:g}", "small", "middle")
    for number, row in enumerate(rows):
        y = top + HEAD + number * (BAR + GAP)
        values = row["cpu_to_nginx"]
        kind = "own" if row["name"].startswith("Sidegate") else "bar"
        middle = median(values)
        text(parts, LABEL - 10, y + 13, row["name"], "", "end")
        parts.append(f'<rect class="{kind}" x="{LABEL}" y="{y}" rx="2" height="{BAR}" '
                     f'width="{across(middle) - LABEL:.1f}"/>')
        parts.append(f'<line class="whisker" x1="{across(min(values)):.1f}" '
                     f'x2="{across(max(values)):.1f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}"/>')
        cut = " (cut)" if max(values) > scale_end else ""
        told = f"{middle:.2f} ({min(values):.2f}–{max(values):.2f}){cut}"
        text(parts, WIDTH - RIGHT + 10, y + 13, told, "small")
    return bottom + FOOT + 12


def text(parts, x, y, words, kind, anchor="start"):
    parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">'
                 f"{escape(words)}</text>")
