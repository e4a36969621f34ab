"""What a proxy costs: its own CPU time, and its memory."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from programs import Failure


@dataclass
class Row:
    """One line of a table. `program` is whose CPU is counted; none for the upstream alone."""

    name: str
    url: str
    headers: dict
    program: object = None
    # What it answers without the session.
    refusal: int = 200
    idle_mib: float = 0.0
    loaded_mib: float = 0.0
    samples: list = field(default_factory=list)

    def values(self, name):
        return [getattr(sample, name) for sample in self.samples]


@dataclass(frozen=True)
class Sample:
    """One round of one row. Times are of the load generator's clock."""

    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float


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
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except PermissionError as error:
            raise Failure(f"the memory of {program.name} cannot be read: {error}") from error
        total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)[1])
    return total / 1024
