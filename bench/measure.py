"""What a proxy costs: its own CPU time over the requests that the load generator counted."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from programs import Failure, find

CONNECTIONS = 64
# What Chromium sends with a request of a page's script, the cookie added: twelve fields beside Host.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                  "Chrome/140.0.0.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://127.0.0.1/d/overview?orgId=1&from=now-6h&to=now",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "sec-ch-ua": '"Chromium";v="140", "Not=A?Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
}


@dataclass
class Row:
    """One line of the table. `program` is whose CPU is counted; none for the upstream alone."""

    name: str
    url: str
    program: object = None
    idle_mib: float = 0.0
    cpu_us: list = field(default_factory=list)
    rate: list = field(default_factory=list)
    p50_us: list = field(default_factory=list)
    p99_us: list = field(default_factory=list)


def cpu_ns(program):
    """CPU time of all threads so far, user and kernel, in nanoseconds."""
    total = 0
    for pid in program.pids() if program else []:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total


def pss_mib(program):
    """Memory, shared pages counted in proportion."""
    total = 0
    for pid in program.pids() if program else []:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)[1])
    return total / 1024


def load(row, headers, seconds):
    """One round: loads `row` for `seconds` and notes what it cost."""
    command = [find("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    before = cpu_ns(row.program)
    run = subprocess.run(command + [row.url], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=seconds + 30, check=False)
    spent = cpu_ns(row.program) - before
    told = run.stdout
    requests = re.search(r"(\d+) requests in", told)
    if run.returncode != 0 or not requests or int(requests[1]) == 0:
        raise Failure(f"{row.name}: the load failed:\n{told}{run.stderr}")
    for fault in ("Non-2xx or 3xx responses", "Socket errors"):
        if fault in told:
            raise Failure(f"{row.name}: not every request was answered well:\n{told}")
    row.cpu_us.append(spent / 1000 / int(requests[1]))
    row.rate.append(float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]))
    row.p50_us.append(microseconds(told, "50%"))
    row.p99_us.append(microseconds(told, "99%"))


def microseconds(told, percentile):
    number, unit = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s)$", told, re.M).groups()
    return float(number) * {"us": 1, "ms": 1_000, "s": 1_000_000}[unit]


def table(rows, base):
    """The rows as Markdown: medians, with the least and the most in parentheses."""
    def spread(values, form):
        return f"{median(values):{form}} ({min(values):{form}}–{max(values):{form}})"

    def ratio(values, of):
        return f"{median(values) / median(of):.2f}" if median(of) else "–"

    lines = [
        "| row | CPU µs/request (min–max) | ratio | requests/s (min–max) | ratio | p50 µs | p99 µs "
        "| PSS MiB idle | loaded |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        name = f"**{row.name}**" if row is base else row.name
        memory = (f"{row.idle_mib:.1f}", f"{pss_mib(row.program):.1f}") if row.program else ("–", "–")
        cells = [
            name, spread(row.cpu_us, ".1f"), ratio(row.cpu_us, base.cpu_us),
            spread(row.rate, ",.0f"), ratio(row.rate, base.rate),
            f"{median(row.p50_us):.0f}", f"{median(row.p99_us):.0f}", *memory,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
