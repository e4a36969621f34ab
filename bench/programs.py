"""The programs of a measurement: started on addresses of the kernel's choice, ended by themselves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# A bound on a program's start, never a wait.
START_LIMIT_S = 20
UNLIMITED = 1_000_000_000


class Failure(Exception):
    """Something that makes a measurement impossible, in words for the person who began it."""


def find(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not found:
        raise Failure(f"{name} is missing: it is in Debian's package of that name")
    return found


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

    def __init__(self, name, command, port, folder):
        self.name = name
        self.port = port
        self.output = Path(folder) / f"{name}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )

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
        said = self.output.read_text(errors="replace")[-2000:]
        raise Failure(f"{self.name} does not listen on port {self.port}; it said:\n{said}")

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


def nginx(name, port, folder, server):
    """An nginx of one worker, without logs, with the given server block."""
    base = Path(folder) / name
    base.mkdir()
    config = base / "nginx.conf"
    temporary = "\n".join(
        f"  {kind}_temp_path {base}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(f"""
{user}
worker_processes 1;
pid {base}/pid;
error_log stderr crit;
daemon off;
events {{ worker_connections 4096; }}
http {{
{temporary}
  access_log off;
  default_type text/plain;
  keepalive_timeout 75s;
  keepalive_requests {UNLIMITED};
{server}
}}
""")
    command = [find("nginx"), "-c", str(config), "-e", "stderr", "-p", str(base)]
    return Program(name, command, port, folder).wait_until_listening()


def upstream(port, folder, size):
    """A server that answers everything at once, from memory, with `size` bytes."""
    return nginx("upstream", port, folder, f"""
  server {{
    listen 127.0.0.1:{port} reuseport;
    location / {{ return 200 "{'x' * size}"; }}
  }}""")


def nginx_proxy(name, port, folder, upstream_port):
    """The base of comparison: `proxy_pass` with connections that are kept, and the headers that a
    proxy owes its upstream."""
    return nginx(name, port, folder, f"""
  upstream app {{
    server 127.0.0.1:{upstream_port};
    keepalive 256;
    keepalive_requests {UNLIMITED};
  }}
  server {{
    listen 127.0.0.1:{port} reuseport;
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}""")


CLIENT_SECRET = "for-a-measurement-on-loopback-only"


def secret_file(path, text):
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def dev_provider(binary, port, gate_port, folder):
    """Sidegate's own development provider, with one client: the gate on `gate_port`."""
    secret = secret_file(Path(folder) / "client-secret", CLIENT_SECRET)
    command = [
        binary, "dev-provider", "--port", str(port), "--client-id", "bench",
        "--client-secret-file", str(secret),
        "--redirect-uri", f"http://127.0.0.1:{gate_port}/oauth2/callback",
    ]
    return Program("dev-provider", command, port, folder).wait_until_listening()


def sidegate(binary, port, probes_port, folder, upstream_port, issuer):
    """Sidegate with one route that anybody may use and the rest for people who are signed in."""
    folder = Path(folder)
    key = folder / "session-key"
    subprocess.run([binary, "keygen", "--out", str(key)], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    config = folder / "sidegate.yaml"
    config.write_text(f"""
public_url: http://127.0.0.1:{port}
listen:
  - address: 127.0.0.1:{port}
probes:
  address: 127.0.0.1:{probes_port}
providers:
  - issuer: {issuer}
    client_id: bench
    client_secret:
      file: {folder / "client-secret"}
session:
  keys:
    - file: {key}
upstreams:
  app: http://127.0.0.1:{upstream_port}
routes:
  - match:
      path: /public/**
    access: public
  - access: signed_in
log:
  level: error
""")
    return Program("sidegate", [binary, "run", "--config", str(config)], port,
                   folder).wait_until_listening()


def note(text):
    print(text, file=sys.stderr, flush=True)
