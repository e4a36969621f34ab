"""The programs of a measurement: started on addresses of the kernel's choice, ended by themselves."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# A bound on a program's start, never a wait.
START_LIMIT_S = 20
# What Debian calls the package of a program, where it is not the program's own name.
PACKAGES = {"h2load": "nghttp2-client", "apache2": "apache2 and libapache2-mod-auth-openidc"}
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


class Failure(Exception):
    """Something that makes a measurement impossible, in words for the person who began it."""


# What may go wrong with one row or one table without being the end of a run.
MISHAPS = (Failure, OSError, subprocess.SubprocessError, http.client.HTTPException)


def find(name):
    """The path of a program, or nothing."""
    return shutil.which(name, path=PATH)


def need(name):
    """The path of a program.

    Raises `Failure` where there is none.
    """
    found = find(name)
    if not found:
        raise Failure(f"{name} is missing: in Debian it is in {PACKAGES.get(name, name)}")
    return found


def version(path, flag):
    """What a program says of its version: the first thing that looks like one."""
    told = subprocess.run([path, flag], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*", told.stdout + told.stderr)
    return found[0] if found else "of unknown version"


def free_ports(count):
    """Ports that nobody listened on a moment ago."""
    held = [socket.socket() for _ in range(count)]
    try:
        for sock in held:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in held]
    finally:
        for sock in held:
            sock.close()


class Program:
    """A running program and everything that it started."""

    def __init__(self, name, command, port, folder, cores=None, env=None):
        self.name = name
        self.port = port
        self.output = Path(folder) / f"{name}.out"
        environment = {**os.environ, "PATH": PATH, **(env or {})}
        mine = os.sched_getaffinity(0)
        try:
            if cores:
                os.sched_setaffinity(0, cores)  # inherited by what is started now
            with self.output.open("wb") as output:
                self.process = subprocess.Popen(
                    [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, start_new_session=True, env=environment,
                )
        finally:
            os.sched_setaffinity(0, mine)

    def wait_until_listening(self):
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            try:
                self.process.wait(timeout=0.02)
                break
            except subprocess.TimeoutExpired:
                continue
        self.stop()
        raise Failure(f"{self.name} does not listen on port {self.port}; it said:\n{self.said()}")

    def said(self):
        """The end of what it wrote."""
        return self.output.read_text(errors="replace")[-2000:]

    def pids(self):
        """The process and all its descendants."""
        children = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                parent = int(stat.rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting.extend(children.get(pid, []))
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def secret_file(path, text):
    """Writes a file that nobody else may read, and gives its path."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def note(text):
    print(text, file=sys.stderr, flush=True)
