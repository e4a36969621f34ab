"""Tables for people, and the same numbers for programs."""

import json
import os
import platform
import re
from dataclasses import asdict
from pathlib import Path
from statistics import median

from programs import Failure

BASE = "nginx"


def spread(values, form):
    return f"{median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def ratios(row, base, name):
    """Of a row to the base, round by round: each compares what the same moment gave both."""
    pairs = zip(row.values(name), base.values(name))
    return [own / of for own, of in pairs if of]


def ratio(row, base, name):
    found = ratios(row, base, name)
    return spread(found, ".2f") if found else "–"


def load_table(table, rows):
    """Medians of the rounds, with the least and the most in parentheses."""
    base = next(row for row in rows if row.name == BASE)
    columns = [f"CPU µs/{table.unit}", "to nginx", f"{table.unit}/s", "to nginx"]
    # Of large answers too few end in a round for percentiles.
    columns += [] if table.is_by_mib else ["p50 µs", "p99 µs", "to nginx"]
    columns += ["PSS MiB idle", "loaded"]
    lines = [f"| row | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    for row in rows:
        has_program = row.program is not None
        cells = [
            f"**{row.name}**" if row is base else row.name,
            spread(row.values("cpu_us"), ",.1f") if has_program else "–",
            ratio(row, base, "cpu_us") if has_program else "–",
            spread(row.values("rate"), ",.0f"), ratio(row, base, "rate"),
            *([] if table.is_by_mib else [
                f"{median(row.values('p50_us')):,.0f}", f"{median(row.values('p99_us')):,.0f}",
                ratio(row, base, "p99_us"),
            ]),
            f"{row.idle_mib:.1f}" if has_program else "–",
            f"{row.loaded_mib:.1f}" if has_program else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def beside_haproxy(rows):
    """The CPU of our rows to haproxy's, whose HTTP/2 is the one to be held against."""
    named = {row.name: row for row in rows}
    if "haproxy" not in named:
        return []
    told = [f"{name}: {ratio(row, named['haproxy'], 'cpu_us')}" for name, row in named.items()
            if name.startswith("Sidegate")]
    return ["", f"CPU to haproxy: {'; '.join(told)}."] if told else []


def rest_table(rests):
    """Memory, and what of it is one connection's."""
    lines = [
        "| row | connections | PSS MiB before | KiB each: silent | just used | at rest "
        "| PSS MiB at rest | after all closed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rest in rests:
        each = ["–" if mib is None else f"{rest.each_kib(mib):.1f}"
                for mib in (rest.silent, rest.used, rest.rested)]
        cells = [rest.name, f"{rest.count:,}", f"{rest.before:.1f}", *each, f"{rest.rested:.1f}",
                 f"{rest.closed:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def section(table, rows, rests, absent, how):
    """One table with what it is of, as Markdown."""
    lines = [f"### {table.title}", "", how, ""]
    lines += load_table(table, rows) if rests is None else rest_table(rests)
    if rests is None and table.protocol in ("h2c", "h2"):
        lines += beside_haproxy(rows)
    if absent:
        lines.append("")
        lines += [f"NOT MEASURED: {name}: {reason.splitlines()[0]}." for name, reason in absent]
    return "\n".join(lines)


def figures(table, rows, rests, absent):
    """The same as plain data."""
    found = {"table": table.key, "title": table.title, "unit": table.unit, "kind": table.kind,
             "not_measured": [{"row": name, "reason": reason} for name, reason in absent]}
    if rests is not None:
        found["rows"] = [asdict(rest) for rest in rests]
        return found
    base = next(row for row in rows if row.name == BASE)
    found["rows"] = [
        {
            "name": row.name, "is_proxy": row.program is not None,
            "rounds": [asdict(sample) for sample in row.samples],
            "cpu_to_nginx": ratios(row, base, "cpu_us"),
            "rate_to_nginx": ratios(row, base, "rate"),
            "p99_to_nginx": ratios(row, base, "p99_us"),
            "pss_idle_mib": row.idle_mib, "pss_loaded_mib": row.loaded_mib,
        }
        for row in rows
    ]
    return found


def machine():
    """What the numbers belong to, without a name."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {"cores": os.cpu_count(), "cpu": model[1] if model else platform.machine(),
            "kernel": platform.release().split("-")[0], "load": os.getloadavg()}


def as_json(found, versions):
    return json.dumps({"machine": machine(), "versions": versions, "tables": found}, indent=1) + "\n"


def took_part(versions):
    """One sentence: which versions, on how many cores."""
    names = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{names}; {os.cpu_count()} cores, Linux {machine()['kernel']}."


def write_into(path, sections):
    """Puts each section between its markers `<!-- bench:KEY -->` and `<!-- /bench:KEY -->`.

    Raises `Failure` where a file has no place for one, before anything is written.
    """
    text = Path(path).read_text()
    for key, section_text in sections.items():
        start, end = f"<!-- bench:{key} -->", f"<!-- /bench:{key} -->"
        before, found, rest = text.partition(start)
        inside, closed, after = rest.partition(end)
        if not found or not closed:
            raise Failure(f"{path} has no place for this table: {start} ... {end}")
        text = f"{before}{start}\n{section_text}\n{end}{after}"
    Path(path).write_text(text)
