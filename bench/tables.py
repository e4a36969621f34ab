"""The tables that a run can have."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One table: what all its rows have in common."""

    key: str
    title: str
    protocol: str = "http1"
    size: str = "1k"
    connections: int = 64
    workers: int = 1
    has_log: bool = False
    is_handshake: bool = False
    # Whether Sidegate has a row for each place where it can keep sessions.
    has_stores: bool = False
    # Whether Sidegate has a row with many rules.
    has_policy: bool = False
    # "load": requests as fast as they are answered; "idle" and "websockets": connections that rest.
    kind: str = "load"

    @property
    def is_by_mib(self):
        """Whether the unit is a MiB of answer instead of a request."""
        return self.size == "100m"

    @property
    def unit(self):
        return "MiB" if self.is_by_mib else "request"


TABLES = (
    Table("plain", "1 KiB, 64 connections, HTTP/1.1, one core"),
    Table("log", "The same with a JSON access log, beside nginx without one", has_log=True),
    Table("one", "1 KiB, one connection, HTTP/1.1, one core", connections=1),
    Table("thousand", "1 KiB, 1,000 connections, HTTP/1.1, one core", connections=1000),
    Table("100k", "100 KiB, 64 connections, HTTP/1.1, one core", size="100k"),
    Table("100m", "100 MiB, 4 connections, HTTP/1.1, one core", size="100m", connections=4),
    Table("workers", "1 KiB, 64 connections, HTTP/1.1, two workers, not pinned", workers=2),
    Table("tls", "1 KiB, 64 connections, HTTP/1.1 over TLS 1.3, one core", protocol="tls"),
    Table("tls-100k", "100 KiB, 64 connections, HTTP/1.1 over TLS 1.3, one core", protocol="tls",
          size="100k"),
    Table("handshake", "A full TLS 1.3 handshake for each request, 64 at a time, one core",
          protocol="tls", is_handshake=True),
    Table("h2c", "1 KiB, HTTP/2 without TLS, 8 connections with 8 streams, one core",
          protocol="h2c"),
    Table("h2", "1 KiB, HTTP/2 over TLS 1.3, 8 connections with 8 streams, one core",
          protocol="h2"),
    Table("stores", "1 KiB, 64 connections, HTTP/1.1, one core, by where sessions are kept",
          has_stores=True),
    Table("policy", "1 KiB, 64 connections, HTTP/1.1, one core, by fifty rules with an expression",
          has_policy=True),
    Table("idle", "Idle connections, HTTP/1.1", connections=9000, kind="idle"),
    Table("websockets", "Idle WebSockets", connections=4500, kind="websockets"),
)
QUICK = ("plain", "log")
SMOKE = ("plain", "tls", "h2c", "idle", "websockets")


def by_key(keys):
    """The tables of these keys in their own order, and the keys that are none."""
    known = {table.key for table in TABLES}
    return [table for table in TABLES if table.key in keys], [key for key in keys if key not in known]
