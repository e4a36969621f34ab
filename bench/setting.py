"""What all proxies of one table are told alike, and where they find what they need."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from programs import need

# More than any run asks for: nobody ends a connection because it was used too often or too little.
UNLIMITED = 1_000_000_000
LONG_S = 3600
# Room for the idle connections of a table, twice: towards the client and towards the upstream.
CONNECTIONS = 20_000


@dataclass(frozen=True)
class Setting:
    """One table's."""

    folder: Path
    upstream_port: int
    # "http1" and "h2c" without TLS, "tls" and "h2" with it.
    protocol: str = "http1"
    workers: int = 1
    cores: frozenset = frozenset()
    has_log: bool = False
    # What the load opens towards a proxy.
    connections: int = 64
    certificate: Path = None
    key: Path = None

    @property
    def has_tls(self):
        return self.protocol in ("tls", "h2")

    @property
    def has_http2(self):
        return self.protocol in ("h2c", "h2")

    @property
    def scheme(self):
        return "https" if self.has_tls else "http"

    def place(self, name):
        """A folder of a program's own, which other users may read: some programs change theirs."""
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        return folder


def certificate(folder):
    """A self-signed one for loopback, with a P-256 key: paths of certificate, key, and both in one."""
    crt, key, both = (Path(folder) / f"loopback.{end}" for end in ("crt", "key", "pem"))
    subprocess.run(
        [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(crt)],
        check=True, stdin=subprocess.DEVNULL, capture_output=True,
    )
    both.write_text(crt.read_text() + key.read_text())
    return crt, key, both
