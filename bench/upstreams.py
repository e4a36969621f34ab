"""What stands behind every proxy: one fast server of answers, and one of WebSockets."""

import os
import sys
from pathlib import Path

from programs import Program, need
from setting import CONNECTIONS, LONG_S, UNLIMITED

SIZES = {"1k": 1024, "100k": 100 * 1024, "100m": 100 * 1024 * 1024}
# The same answers under both: one is open to everybody, the other is for people who are signed in.
FOLDERS = ("public", "private")


def user_line():
    """nginx as root changes its user, who could then not read the folder of a measurement."""
    return "user root;" if os.geteuid() == 0 else ""


def answers(port, folder, cores=None):
    """A server that answers everything at once: the smallest from its configuration, the others from
    files that the kernel holds in memory."""
    base = Path(folder) / "upstream"
    base.mkdir()
    for name in FOLDERS:
        (base / name).mkdir()
        for size, count in SIZES.items():
            with (base / name / size).open("wb") as file:
                file.truncate(count)
    exact = "\n".join(
        f'    location = /{name}/1k {{ return 200 "{"x" * SIZES["1k"]}"; }}' for name in FOLDERS
    )
    config = base / "nginx.conf"
    config.write_text(f"""
{user_line()}
worker_processes 1;
worker_rlimit_nofile {CONNECTIONS};
pid {base}/pid;
error_log stderr crit;
daemon off;
events {{ worker_connections {CONNECTIONS}; }}
http {{
  access_log off;
  default_type application/octet-stream;
  keepalive_timeout {LONG_S}s;
  keepalive_requests {UNLIMITED};
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    root {base};
{exact}
  }}
}}
""")
    command = [need("nginx"), "-c", config, "-e", "stderr", "-p", base]
    return Program("upstream", command, port, folder, cores=cores).wait_until_listening()


def websockets(port, folder, cores=None):
    """A server that accepts every WebSocket and echoes its frames."""
    script = Path(__file__).parent / "websocket_echo.py"
    command = [sys.executable, "-B", script, str(port)]
    return Program("websocket-upstream", command, port, folder, cores=cores).wait_until_listening()
