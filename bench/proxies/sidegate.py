"""Sidegate, and its development provider, at which the sessions of a measurement begin."""

import json
import subprocess
from pathlib import Path

from programs import Failure, Program, secret_file
from proxies import ALL_PROTOCOLS
from setting import CONNECTIONS, LONG_S

CLIENT_SECRET = "for-a-measurement-on-loopback-only"
# How `check` speaks of what this version cannot do.
UNKNOWN = ("not yet", "is not a key that is known")


class NotOffered(Exception):
    """What this build cannot do, in its own words."""


def dev_provider(binary, port, callback, folder, cores=None):
    """The development provider with one client, whose callback is given."""
    secret = secret_file(Path(folder) / f"client-secret-{port}", CLIENT_SECRET)
    command = [binary, "dev-provider", "--port", port, "--client-id", "bench",
               "--client-secret-file", secret, "--redirect-uri", callback]
    return Program(f"dev-provider-{port}", command, port, folder,
                   cores=cores).wait_until_listening()


ROUTES = """routes:
  - match:
      path: /public/**
    access: public
  - access: signed_in
"""


def fifty_routes():
    """Fifty routes with rules of their own; what is measured falls under the last but one."""
    routes = ["routes:"]
    routes += [f"  - {{ match: {{ path: /team{number}/*/files/** }}, access: {{ groups: [team{number}], "
               f"deny: {{ groups: [left{number}] }} }} }}" for number in range(48)]
    when = ('request.method in ["GET", "HEAD"] && user.email.contains("@") && '
            '!user.groups.exists(g, g.startsWith("left-"))')
    routes += [f"  - {{ match: {{ path: /private/** }}, access: {{ when: '{when}' }} }}",
               "  - access: signed_in", ""]
    return "\n".join(routes)


class Sidegate:
    """One route that anybody may use; the rest is for people who are signed in."""

    name = "sidegate"
    protocols = ALL_PROTOCOLS

    def __init__(self, binary, issuer, probes_port, under=(), store="cookie", redis_port=None,
                 routes=None):
        """`under` is what the binary runs under, such as a profiler and its arguments."""
        self.binary, self.issuer, self.probes_port = binary, issuer, probes_port
        self.under, self.store, self.redis_port = under, store, redis_port
        self.routes = routes or ROUTES
        if store != "cookie":
            self.name = f"sidegate-{store}"
        if routes:
            self.name = "sidegate-policy"

    def path(self):
        return self.binary

    def start(self, setting, port):
        base = setting.place(self.name)
        key = base / "session-key"
        subprocess.run([self.binary, "keygen", "--out", key], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        config = base / "sidegate.yaml"
        config.write_text(self.config(setting, port, key, secret_file(base / "client-secret",
                                                                      CLIENT_SECRET)))
        self.check(config)
        command = [*self.under, self.binary, "run", "--config", config]
        return Program(self.name, command, port, setting.folder,
                       cores=setting.cores).wait_until_listening()

    def check(self, config):
        told = subprocess.run([self.binary, "check", "--format", "json", "--config", config],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        if told.returncode != 0:
            said = told.stdout + told.stderr
            if any(word in said for word in UNKNOWN):
                raise NotOffered(faults(said))
            raise Failure(f"sidegate does not take its configuration:\n{said}")

    def config(self, setting, port, key, secret):
        listen = f"  - address: 127.0.0.1:{port}\n"
        if setting.has_tls:
            listen += f"    tls: {{ certificate: {setting.certificate}, key: {setting.key} }}\n"
        elif setting.has_http2:
            listen += "    h2c: true\n"
        store = f"  store: {self.store}\n"
        if self.store == "disk":
            store += f"  disk: {{ path: {key.parent / 'sessions'} }}\n"
        if self.redis_port:
            store += f"  redis: {{ url: 'redis://127.0.0.1:{self.redis_port}' }}\n"
        return f"""
public_url: {setting.scheme}://127.0.0.1:{port}
listen:
{listen}
probes:
  address: 127.0.0.1:{self.probes_port}
providers:
  - issuer: {self.issuer}
    client_id: bench
    client_secret:
      file: {secret}
session:
  keys:
    - file: {key}
{store}upstreams:
  app: http://127.0.0.1:{setting.upstream_port}
{self.routes}limits:
  header_timeout: {LONG_S}s
  keep_alive_idle: {LONG_S}s
  connections: {CONNECTIONS // 2}
log:
  format: json
  level: {"info" if setting.has_log else "error"}
"""


def faults(said):
    """The messages of a checked configuration."""
    try:
        return "; ".join(f"{fault['path']}: {fault['what']}" for fault in json.loads(said)["faults"])
    except (ValueError, KeyError, TypeError):
        return said.strip().splitlines()[0]
