"""Live heap by call site, out of massif's detailed snapshots."""

import re
import subprocess
from pathlib import Path

from programs import Failure, need

# Frames that say how something was allocated, and not for what.
PLUMBING = re.compile(r"alloc|__rust|exchange_malloc|RawVec|hashbrown|UnknownInlinedFun|"
                      r"^(new|pin|reserve|push|with|map|poll|spawn|channel)\b|core::|std::|\{closure#")
# What is named of a call site.
FRAMES = 2
LONGEST_FRAME = 70


def under(folder):
    """What a program runs under, so that snapshots of it can be asked for."""
    return [need("valgrind"), "--tool=massif", "--depth=40", "--threshold=0.05",
            "--detailed-freq=1000000", f"--massif-out-file={folder}/massif.out",
            f"--vgdb-prefix={folder}/vgdb"]


def snapshot(program, folder, name):
    """The live heap now: bytes by call site, and all bytes with malloc's own."""
    file = Path(folder) / f"{name}.massif"
    told = subprocess.run([need("vgdb"), f"--vgdb-prefix={folder}/vgdb",
                           f"--pid={program.process.pid}", "detailed_snapshot", str(file)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if told.returncode != 0 or not file.exists():
        raise Failure(f"massif gave no snapshot:\n{told.stdout}{told.stderr}")
    text = file.read_text()
    all_bytes, overhead = re.findall(r"mem_heap_B=(\d+)\nmem_heap_extra_B=(\d+)", text)[-1]
    sites = {}
    walk(iter(text[text.rindex("heap_tree="):].split("\n")[1:]), [], sites)
    return sites, int(all_bytes) + int(overhead)


def walk(lines, path, sites):
    """Reads one node of the tree with all below it; notes what its children do not explain."""
    children, own, frame = re.match(r" *n(\d+): (\d+) (.*)", next(lines)).groups()
    path = [*path, re.sub(r"^0x[0-9A-F]+: ", "", frame)]
    below = sum(walk(lines, path, sites) for _ in range(int(children)))
    rest = int(own) - below
    if rest:
        name = site(path)
        sites[name] = sites.get(name, 0) + rest
    return int(own)


def site(path):
    """A call site in few words: the first frames that say what for."""
    if "below massif's threshold" in path[-1]:
        return "many small ones"
    telling = [frame for frame in path[1:] if not PLUMBING.search(frame)] or path[1:]
    return " ← ".join(short(frame) for frame in telling[:FRAMES])


def short(frame):
    name, _, place = frame.partition(" (")
    name = re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", name))
    place = place.rstrip(")").rsplit("/", 1)[-1]
    return f"{name[:LONGEST_FRAME]} ({place})"
