"""What connections cost that do nothing: opened, asked once, left alone, closed."""

import re
import resource
import select
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from measure import pss_mib
from programs import Failure

# Connections at a time that have asked and wait for their answer.
BATCH = 200
ANSWER_LIMIT_S = 60
# Memory is at rest when two looks differ by less.
STEADY_MIB = 0.2
LOOK_S = 0.5


# How long connections are left alone before the memory of their rest is looked at.
REST_S = 8


@dataclass(frozen=True)
class Rest:
    """One row of a table of idle connections, in MiB of memory.

    `used` is at once after a request on each, `rested` some seconds later, `closed` some seconds after
    all were closed. `silent` is nothing for WebSockets.
    """

    name: str
    count: int
    before: float
    silent: float
    used: float
    rested: float
    closed: float

    def each_kib(self, mib):
        return (mib - self.before) * 1024 / self.count


def room_for(count):
    """Raises the limit of descriptors as far as it goes.

    Raises `Failure` where `count` sockets do not fit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 2 * count + 1000:
        raise Failure(f"{count} connections need {2 * count + 1000} descriptors; the limit is {hard}")


@contextmanager
def connections(port, count):
    """`count` connections to `port`, all closed at the end."""
    held = []
    try:
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=ANSWER_LIMIT_S))
        yield held
    finally:
        for sock in held:
            sock.close()


def connections_at_rest(row, count, rest_s):
    """`count` connections to a row's program, before and after a request on each, and after all."""
    port = urlsplit(row.url).port
    before = settled(row.program)
    with connections(port, count) as held:
        silent = after_rest(row.program, rest_s)
        ask_each(held, head_of(row.url, row.headers), 200)
        used = pss_mib(row.program)
        rested = after_rest(row.program, rest_s)
        none_is_closed(row.name, held)
    return Rest(row.name, count, before, silent, used, rested, after_rest(row.program, rest_s))


def after_rest(program, rest_s):
    """The memory of `program` after it was left alone for so long, in MiB."""
    time.sleep(rest_s)
    return settled(program)


def head_of(url, headers):
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask_each(held, head, status):
    """One request on each connection, and its answer read whole."""
    for start in range(0, len(held), BATCH):
        batch = held[start:start + BATCH]
        for sock in batch:
            sock.sendall(head)
        for sock in batch:
            read_answer(sock, status)


def read_answer(sock, status):
    """Reads one answer with the given status; gives what came after its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += some(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(f"HTTP/1.1 {status} ".encode()):
        raise Failure(f"an answer began with {head[:40]!r} instead of {status}")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += some(sock)
    return body


def some(sock):
    data = sock.recv(65536)
    if not data:
        raise Failure("a connection was closed before its answer was whole")
    return data


def none_is_closed(name, held):
    """The server has closed none of them, nor said anything unasked."""
    poll = select.poll()
    for sock in held:
        poll.register(sock, select.POLLIN)
    closed = poll.poll(0)
    if closed:
        raise Failure(f"{name}: {len(closed)} of {len(held)} idle connections were closed by it")


def settled(program, limit_s=6.0):
    """The memory of `program`, once two looks agree, in MiB."""
    before, end = pss_mib(program), time.monotonic() + limit_s
    while time.monotonic() < end:
        time.sleep(LOOK_S)
        now = pss_mib(program)
        if abs(now - before) < STEADY_MIB:
            return now
        before = now
    return before
