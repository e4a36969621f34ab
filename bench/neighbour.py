#!/usr/bin/env python3
"""Another client of a gate that is under attack: few requests at a steady pace, on connections that
it keeps, so that it meets every worker. A process of its own, since what an attacker's interpreter
does must not be taken for the gate's doing.

    python3 neighbour.py PORT RATE    reads one request's head from its first line of input, as JSON

For each line after that it prints what was measured since the last one, as JSON; it ends with its input.
"""

import json
import select
import socket
import sys
import time

CONNECTIONS = 8
ANSWER_LIMIT_S = 10


class Neighbour:
    def __init__(self, port, rate, head):
        self.port, self.pace, self.head = port, 1 / rate, head
        self.socks = [self.connect() for _ in range(CONNECTIONS)]
        self.spans, self.faults = [], []

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_LIMIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def run(self):
        at, due = 0, time.perf_counter()
        while True:
            while self.is_asked():
                line = sys.stdin.readline()
                if not line:
                    return
                self.tell()
                due = time.perf_counter()
            left = due - time.perf_counter()
            # A request that waits for the answer before it is late by the gate's doing, one that
            # this process slept through is not.
            begun = due if left < 0 else None
            if left > 0:
                time.sleep(left)
            self.ask(at % CONNECTIONS, begun or time.perf_counter())
            at, due = at + 1, max(due + self.pace, time.perf_counter() - 1)

    @staticmethod
    def is_asked():
        return bool(select.select([sys.stdin], [], [], 0)[0])

    def ask(self, at, begun):
        try:
            sock = self.socks[at]
            sock.sendall(self.head)
            status = read_answer(sock)
            if status != b"200":
                raise OSError(f"an answer of {status.decode()}")
        except OSError as error:
            self.faults.append(str(error))
            self.socks[at].close()
            try:
                self.socks[at] = self.connect()
            except OSError as refused:
                self.faults.append(str(refused))
        self.spans.append(time.perf_counter() - begun)

    def tell(self):
        spans = sorted(self.spans)
        told = {"count": len(spans), "faults": len(self.faults), "first_fault": (self.faults or [None])[0]}
        for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1)):
            at = min(int(len(spans) * share), len(spans) - 1)
            told[f"{name}_ms"] = spans[at] * 1000 if spans else 0
        self.spans, self.faults = [], []
        print(json.dumps(told), flush=True)


def read_answer(sock):
    """Reads one answer whole, whose length its head says; gives its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += some(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += some(sock)
    return head.split(b" ", 2)[1]


def some(sock):
    data = sock.recv(65536)
    if not data:
        raise OSError("hung up on")
    return data


if __name__ == "__main__":
    # Unbuffered, so that what waits to be read is seen waiting.
    sys.stdin = open(0, closefd=False, buffering=1, encoding="utf-8")
    Neighbour(int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.stdin.readline()).encode()).run()
