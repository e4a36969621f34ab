"""WebSockets (RFC 6455) that are opened, echo one frame, and rest."""

import base64
from urllib.parse import urlsplit

from idle import (
    BATCH, Rest, after_rest, connections, head_of, none_is_closed, read_answer, settled, some,
)
from measure import pss_mib
from programs import Failure

# One key does for all: it only has to be new to caches, of which there are none.
KEY = base64.b64encode(b"sixteen bytes of").decode()
TEXT, MASK = 0x81, b"mask"
WORD = b"hello"


def at_rest(row, count, rest_s):
    """`count` WebSockets through a row's program, each of which has echoed once, and after all."""
    parts = urlsplit(row.url)
    headers = {
        **row.headers, "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
        "Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Mode": "websocket",
    }
    head = head_of(row.url, headers)
    before = settled(row.program)
    with connections(parts.port, count) as held:
        for start in range(0, count, BATCH):
            batch = held[start:start + BATCH]
            for sock in batch:
                sock.sendall(head)
            for sock in batch:
                read_answer(sock, 101)
            echo_each(row.name, batch)
        used = pss_mib(row.program)
        rested = after_rest(row.program, rest_s)
        none_is_closed(row.name, held)
    return Rest(row.name, count, before, None, used, rested, after_rest(row.program, rest_s))


def echo_each(name, batch):
    masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(WORD))
    sent = bytes([TEXT, 0x80 | len(WORD)]) + MASK + masked
    due = bytes([TEXT, len(WORD)]) + WORD
    for sock in batch:
        sock.sendall(sent)
    for sock in batch:
        got = b""
        while len(got) < len(due):
            got += some(sock)
        if got != due:
            raise Failure(f"{name}: a WebSocket said {got!r} instead of {due!r}")
