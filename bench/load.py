"""The load: wrk for HTTP/1.1, h2load for HTTP/2."""

import re
import subprocess
from pathlib import Path

from measure import Sample, cpu_ns
from programs import Failure, need
from upstreams import SIZES

# Requests in flight at a time on one HTTP/2 connection.
STREAMS = 8
# How long a load may take beyond its time.
GRACE_S = 60
MIB = 1024 * 1024
UNITS = {"B": 1, "KB": 1024, "MB": 1024 ** 2, "GB": 1024 ** 3, "TB": 1024 ** 4}


def one_round(table, row, seconds, folder):
    """Loads `row` for `seconds`, as `table` says, and notes what it cost."""
    headers = dict(row.headers)
    if table.is_handshake:
        headers["Connection"] = "close"
    ask = h2load if table.protocol in ("h2c", "h2") else wrk
    before = cpu_ns(row.program)
    count, rate, p50, p99 = ask(table, row, headers, seconds, folder)
    spent = cpu_ns(row.program) - before
    if not count:
        raise Failure(f"{row.name}: no request was answered")
    row.samples.append(Sample(spent / 1000 / count, rate, p50, p99))


def ended(row, command, seconds):
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=seconds + GRACE_S, check=False)
    if run.returncode != 0:
        raise Failure(f"{row.name}: the load failed:\n{run.stdout}{run.stderr}")
    return run.stdout


def wrk(table, row, headers, seconds, _folder):
    """wrk's count and rate of requests (of MiB for large answers), and its two percentiles."""
    command = [need("wrk"), "-t1", f"-c{table.connections}", f"-d{seconds}s", "--latency",
               "--timeout", f"{GRACE_S}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    told = ended(row, command + [row.url], seconds)
    counted = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m), ([\d.]+)(B|KB|MB|GB|TB) read", told)
    if not counted:
        raise Failure(f"{row.name}: wrk was not understood:\n{told}")
    faults = ["Non-2xx or 3xx responses"]
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    if errors and any(map(int, errors.groups())):
        faults.append("Socket errors")
    for fault in faults:
        if fault in told:
            raise Failure(f"{row.name}: not every request was answered well:\n{told}")
    # Of large answers few end in a round: their bytes are what is counted.
    if table.is_by_mib:
        count = float(counted[4]) * UNITS[counted[5]] / MIB
        rate = float(re.search(r"Transfer/sec:\s+([\d.]+)", told)[1])
        rate *= UNITS[re.search(r"Transfer/sec:\s+[\d.]+(\w+)", told)[1]] / MIB
        return count, rate, 0.0, 0.0
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])
    return int(counted[1]), rate, microseconds(row, told, "50%"), microseconds(row, told, "99%")


def microseconds(row, told, percentile):
    found = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s|m)$", told, re.M)
    if not found:
        raise Failure(f"{row.name}: wrk named no percentile {percentile}:\n{told}")
    return float(found[1]) * {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000}[found[2]]


def h2load(table, row, headers, seconds, folder):
    """h2load's count and rate of requests, and the percentiles of its log."""
    log = Path(folder) / "h2load.log"
    log.unlink(missing_ok=True)
    connections = max(1, table.connections // STREAMS)
    command = [need("h2load"), f"-c{connections}", f"-m{STREAMS}", f"-D{seconds}",
               "--warm-up-time=0", f"--log-file={log}"]
    for name, value in headers.items():
        command += ["-H", f"{name.lower()}: {value}"]
    told = ended(row, command + [row.url], seconds)
    counted = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, "
                        r"(\d+) failed, (\d+) errored, (\d+) timeout", told)
    if not counted:
        raise Failure(f"{row.name}: h2load was not understood:\n{told}")
    if counted[1] != counted[2] or any(int(counted[at]) for at in (3, 4, 5)):
        raise Failure(f"{row.name}: not every request was answered well:\n{told}")
    rate = float(re.search(r"([\d.]+) req/s", told)[1])
    taken = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    if not taken:
        raise Failure(f"{row.name}: h2load wrote no log")
    p50, p99 = (taken[min(len(taken) - 1, len(taken) * part // 100)] for part in (50, 99))
    return int(counted[2]), rate, p50, p99


def answered_h2(row, headers):
    """One exchange over HTTP/2: the class of its status, such as 2, and the bytes of the answer."""
    command = [need("h2load"), "-n1", "-c1", "-m1"]
    for name, value in headers.items():
        command += ["-H", f"{name.lower()}: {value}"]
    told = ended(row, command + [row.url], 1)
    classes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", told)
    length = re.search(r"\((\d+)\) data", told)
    if "protocol: h2" not in told or not classes or not length:
        raise Failure(f"{row.name}: there was no answer over HTTP/2:\n{told}")
    found = [number for number, count in enumerate(classes.groups(), 2) if count == "1"]
    return (found[0] if found else 0), int(length[1])


def size_of(url):
    """The bytes of the answer at one of the upstream's addresses."""
    return SIZES[url.rsplit("/", 1)[1]]
