"""What connections cost that do nothing: opened, asked once, left alone, closed."""

import re
import resource
import select
import socket
import time
from contextlib import contextmanager

from measure import pss_mib
from programs import Failure

# Connections at a time that have asked and wait for their answer.
BATCH = 200
ANSWER_LIMIT_S = 60


def room_for(count):
    """Raises the limit of descriptors as far as it goes; says whether `count` sockets fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard >= count + 200


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


def head_of(target, host, headers):
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}"]
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


def none_is_closed(held):
    """The server has closed none of them, nor said anything unasked."""
    poll = select.poll()
    for sock in held:
        poll.register(sock, select.POLLIN)
    closed = poll.poll(0)
    if closed:
        raise Failure(f"{len(closed)} of {len(held)} idle connections were closed by the server")


def settled(program, limit_s=5.0):
    """The memory of `program`, once two looks half a second apart agree, in MiB."""
    before, end = pss_mib(program), time.monotonic() + limit_s
    while time.monotonic() < end:
        time.sleep(0.5)
        now = pss_mib(program)
        if abs(now - before) < 0.2:
            return now
        before = now
    return before
