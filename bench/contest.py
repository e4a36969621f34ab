"""One table: its programs are started alike, checked, and measured in turns."""

import contextlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import idle
import load
import upstreams
import websocket
from measure import Row, pss_mib
from programs import MISHAPS, Failure, Program, free_ports, note
from proxies.apache import ApacheOidc
from proxies.nginx import Nginx
from proxies.sidegate import CLIENT_SECRET, NotOffered, Sidegate, dev_provider, fifty_routes
from setting import Setting, certificate
from user_agent import fetch, sign_in

# What Chromium sends with a request of a page's script: twelve fields with the cookie, beside Host.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                  "Chrome/140.0.0.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://127.0.0.1/d/overview?orgId=1&from=now-6h&to=now",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "sec-ch-ua": '"Chromium";v="140", "Not=A?Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
}
# The demo's users are part of the interface.
USER, PASSWORD = "alice", "sidegate"
# A cookie like a session's, where there is none.
COOKIE_BYTES = 1536
# A run of no more rounds than this has none to spare.
UNWARMED = 3
BASE, AGAIN, LOGGING = "nginx", "nginx again", "nginx, JSON log"


class Contest:
    """The programs and rows of one table, for as long as its context lasts."""

    def __init__(self, table, options, binary, others):
        self.table, self.options, self.binary, self.others = table, options, binary, others
        self.rows, self.absent, self.has_failed = [], [], False
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def begin(self):
        table = self.table
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="sidegate-bench-")))
        folder.chmod(0o755)
        self.folder = folder
        is_pinned = table.workers == 1
        every = sorted(os.sched_getaffinity(0))
        self.stack.callback(os.sched_setaffinity, 0, every)
        if is_pinned:
            os.sched_setaffinity(0, {every[-1]})  # and with it all that is started from here
        ports = iter(free_ports(16))
        pair = certificate(folder)[:2] if table.protocol in ("tls", "h2") else (None, None)
        serve = upstreams.websockets if table.kind == "websockets" else upstreams.answers
        app = self.started(serve(next(ports), folder))
        self.setting = Setting(
            folder=folder, upstream_port=app.port, protocol=table.protocol, workers=table.workers,
            # As many workers as it sees cores is Sidegate's rule: so all proxies see two.
            cores=frozenset() if is_pinned else frozenset(every[:table.workers]),
            has_log=table.has_log, connections=table.connections, certificate=pair[0], key=pair[1],
        )
        self.headers = {**BROWSER, "Cookie": f"app={'c' * (COOKIE_BYTES - 4)}"}
        gate = self.gate(ports)
        if table.kind == "load" and table.protocol == "http1":
            self.rows.append(Row("direct, no proxy", self.url(app.port, "private"), self.headers))
        if table.has_log:
            # The base is what it is everywhere, so that the price of a log is seen as well.
            self.add(Nginx(BASE), next(ports), replace(self.setting, has_log=False))
            self.add(Nginx(LOGGING), next(ports))
        else:
            self.add(Nginx(BASE), next(ports))
            if table.kind == "load" and not self.options.said.smoke:
                self.add(Nginx(AGAIN), next(ports))
        for proxy in self.others:
            self.add(proxy, next(ports))
        if self.options.wants("apache-oidc"):
            self.add_apache_sessions(ports)
        self.add_gate(gate)
        self.add_stores(ports)
        self.add_policy(ports)

    def started(self, program):
        self.stack.callback(program.stop)
        return program

    def url(self, port, folder):
        return f"{self.setting.scheme}://127.0.0.1:{port}/{folder}/{self.table.size}"

    def skip(self, name, reason):
        self.absent.append((name, reason))
        note(f"  NOT MEASURED: {name}: {reason}")

    def add(self, proxy, port, setting=None):
        if self.table.protocol not in proxy.protocols:
            self.skip(proxy.name, f"{self.table.protocol} is not offered")
            return
        if self.table.kind not in proxy.kinds:
            self.skip(proxy.name, "has not been set up for this")
            return
        try:
            program = self.started(proxy.start(setting or self.setting, port))
        except MISHAPS as mishap:
            if proxy.name == BASE:
                raise
            self.fail(proxy.name, mishap)
            return
        self.rows.append(Row(proxy.name, self.url(port, "private"), self.headers, program))

    def provider(self, ports, callback):
        port = next(ports)
        self.started(dev_provider(self.binary, port, callback, self.folder))
        return f"http://127.0.0.1:{port}"

    def gate(self, ports):
        """Sidegate, with somebody signed in, whose cookie all rows then send."""
        if not self.binary:
            return None
        port = next(ports)
        origin = f"{self.setting.scheme}://127.0.0.1:{port}"
        issuer = self.provider(ports, f"{origin}/oauth2/callback")
        try:
            program = Sidegate(self.binary, issuer, next(ports)).start(self.setting, port)
        except NotOffered as reason:
            self.skip("Sidegate", f"{self.table.protocol} is not offered by this build ({reason})")
            return None
        self.started(program)
        self.headers["Cookie"] = sign_in(self.url(port, "private"), USER, PASSWORD)
        return program

    def add_gate(self, program):
        if not program:
            return
        if self.table.kind == "load":
            self.rows.append(Row("Sidegate, public", self.url(program.port, "public"),
                                 self.headers, program))
        self.rows.append(Row("Sidegate, signed in", self.url(program.port, "private"),
                             self.headers, program, refusal=401))

    def add_stores(self, ports):
        """A row for each place where sessions can be kept that is not the cookie itself."""
        if not self.binary or not self.table.has_stores:
            return
        for store in ("memory", "disk", "redis"):
            port, redis_port = next(ports), None
            if store == "redis":
                if not shutil.which("redis-server"):
                    self.skip("Sidegate, redis", "there is no redis-server")
                    continue
                redis_port = next(ports)
                command = ["redis-server", "--port", redis_port, "--bind", "127.0.0.1", "--save",
                           "", "--dir", self.folder]
                self.started(Program("redis", command, redis_port,
                                     self.folder).wait_until_listening())
            issuer = self.provider(ports, f"http://127.0.0.1:{port}/oauth2/callback")
            gate = Sidegate(self.binary, issuer, next(ports), store=store, redis_port=redis_port)
            program = self.started(gate.start(self.setting, port))
            self.add_signed_in(f"Sidegate, {store}", program)

    def add_policy(self, ports):
        """A row in which what is asked for falls under the last but one of fifty routes."""
        if not self.binary or not self.table.has_policy:
            return
        port = next(ports)
        issuer = self.provider(ports, f"http://127.0.0.1:{port}/oauth2/callback")
        gate = Sidegate(self.binary, issuer, next(ports), routes=fifty_routes())
        self.add_signed_in("Sidegate, policy", self.started(gate.start(self.setting, port)))

    def add_signed_in(self, name, program):
        """A row of a gate at which somebody signs in first."""
        url = self.url(program.port, "private")
        cookie = sign_in(url, USER, PASSWORD)
        # Of the same size as everybody's: what is left of it is the app's.
        missing = len(self.headers["Cookie"]) - len(cookie) - len("; app=")
        cookie += f"; app={'c' * missing}" if missing > 0 else ""
        self.rows.append(Row(name, url, {**self.headers, "Cookie": cookie}, program, refusal=401))

    def add_apache_sessions(self, ports):
        if self.table.kind != "load" or self.table.protocol != "http1":
            return
        for where in ("server-cache", "client-cookie"):
            port = next(ports)
            issuer = self.provider(ports, f"http://127.0.0.1:{port}/oauth2/callback")
            proxy = ApacheOidc(where, issuer, CLIENT_SECRET)
            program = self.started(proxy.start(self.setting, port))
            self.add_signed_in(proxy.name, program)

    def check(self, row):
        """The row is the real thing: it answers in full, and refuses where it must."""
        bare = {name: value for name, value in row.headers.items() if name != "Cookie"}
        if self.setting.has_http2:
            good, due = load.answered_h2(row, row.headers), (2, load.size_of(row.url))
            refused, refusal = load.answered_h2(row, bare)[0], row.refusal // 100
        else:
            status, _, body = fetch(row.url, row.headers)
            good, due = (status, len(body)), (200, load.size_of(row.url))
            refused, refusal = fetch(row.url, bare)[0], row.refusal
        if good != due:
            raise Failure(f"{good} instead of {due}, status and bytes")
        if refused != refusal:
            raise Failure(f"{refused} without a session instead of {refusal}")
        row.idle_mib = pss_mib(row.program)

    def measure(self, rounds, seconds, count):
        """All of it. `count` is how many connections an idle table opens.

        Of more than three rounds one more comes first that is not counted.
        """
        if self.table.kind != "websockets":  # each of which is checked as it is opened
            for row in list(self.rows):
                self.attempt(row, self.check)
        rest_s = 0 if self.options.said.smoke else idle.REST_S
        if self.table.kind == "idle":
            return self.rests(lambda row: idle.connections_at_rest(row, count, rest_s))
        if self.table.kind == "websockets":
            return self.rests(lambda row: websocket.at_rest(row, count, rest_s))
        def a_round(name):
            note(f"  {name}")
            for row in list(self.rows):
                self.attempt(row, lambda row: load.one_round(self.table, row, seconds, self.folder))

        if rounds > UNWARMED:
            a_round("a round that is not counted")
            for row in self.rows:
                row.samples.clear()
        for number in range(rounds):
            a_round(f"round {number + 1} of {rounds}")
        for row in self.rows:
            row.loaded_mib = pss_mib(row.program)
        return None

    def rests(self, act):
        return [rest for rest in (self.attempt(row, act) for row in list(self.rows)) if rest]

    def attempt(self, row, act):
        """Does `act`; a row that fails is no row of the table, and the run has failed."""
        try:
            return act(row)
        except MISHAPS as mishap:
            if row.name == BASE:
                raise
            self.rows.remove(row)
            self.fail(row.name, mishap)
            return None

    def fail(self, name, mishap):
        self.has_failed = True
        self.skip(name, f"FAILED: {str(mishap).strip() or repr(mishap)}")
