"""glewlwyd, of Debian's package, set up anew in a folder of its own and taken down with this process.

The one argument is JSON: `client_id`, `client_secret`, `redirect_uri`, `post_logout_redirect_uri`,
and perhaps `alg` (what ID tokens are signed with), `trailing_slash` (the issuer ends so),
`access_token_lifetime` (seconds) and `without` (claims that are not mapped, such as
["email_verified"]). The first line printed is `ready <issuer>`. It ends at the end
of its standard input.

glewlwyd itself listens at a loopback address that nobody else knows. In front of it stands a relay
at a port of the kernel's, so that what was asked can be counted:
  GET  /-/calls    [{"call": "token", "grant_type": "refresh_token"}, ...]
  POST /-/groups   {"user": "alice", "groups": ["dev"]}: from the next token on
  POST /-/revoke   {"user": "alice"}: ends sessions and refresh tokens
"""

import ctypes
import http.client
import http.cookiejar
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc.jwk import ECKey, OKPKey, RSAKey

SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
LIBRARIES = "/usr/lib/glewlwyd"
PASSWORD = "sidegate-password"
PEOPLE = {
    "alice": {"name": "Alice Ashford", "email": "alice@example.com", "groups": ["admins", "dev"]},
    "bob": {"name": "Bob Müller", "email": "bob@example.com", "groups": ["dev"]},
    "carol": {"name": "Carol"},
}
HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
CALLS = []


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/-/"):
            return self.control(body)
        if self.command == "POST" or not self.path.startswith("/api/oidc/token"):
            note(self.path, body)
        behind = http.client.HTTPConnection(*self.server.behind)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        headers["Host"] = self.headers["Host"]
        behind.request(self.command, self.path, body or None, headers)
        answer = behind.getresponse()
        text = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.finish_with(text)
        behind.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = relay

    def control(self, body):
        told = json.loads(body) if body else {}
        if self.path == "/-/calls":
            said = CALLS
        elif self.path == "/-/groups":
            said = self.server.admin.set_groups(told["user"], told["groups"])
        else:
            said = self.server.admin.revoke(told["user"])
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.finish_with(json.dumps(said).encode())

    def finish_with(self, text):
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def note(target, body):
    path = urllib.parse.urlsplit(target).path
    if not path.startswith("/api/oidc/"):
        return
    form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
    CALLS.append({"call": path.removeprefix("/api/oidc/"), "grant_type": form.get("grant_type")})


class Admin:
    """The administrator, by glewlwyd's own JSON interface."""

    def __init__(self, origin):
        self.origin, self.jar = origin, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.cookie = None

    def ask(self, method, path, body=None, cookie=None):
        request = urllib.request.Request(f"{self.origin}/api/{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        request.add_header("Cookie", cookie or self.cookie or "")
        try:
            with self.opener.open(request) as answer:
                text = answer.read()
                # Its cookie is for `localhost`: read by hand, since no jar would give it back.
                line = answer.headers.get("Set-Cookie", "")
                return (json.loads(text) if text else None), line.split(";")[0]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def sign_in(self, username, password):
        return self.ask("POST", "auth/", {"username": username, "password": password})[1]

    def set_groups(self, username, groups):
        person, _ = self.ask("GET", f"user/{username}")
        self.ask("PUT", f"user/{username}", person | {"groups": groups})
        return None

    def revoke(self, username):
        own = self.sign_in(username, PASSWORD)
        for token in self.ask("GET", "oidc/token", cookie=own)[0]:
            if token["enabled"]:
                name = urllib.parse.quote(token["token_hash"], safe="")
                self.ask("DELETE", f"oidc/token/{name}", cookie=own)
        sessions = self.ask("GET", "profile/session", cookie=own)[0]
        # Its own is the last: it asks for the others' end.
        for session in sorted(sessions, key=lambda it: it["last_login"]):
            name = urllib.parse.quote(session["session_hash"], safe="")
            self.ask("DELETE", f"profile/session/{name}", cookie=own)
        return None


def keys(alg):
    """One key for each algorithm. The first one signs, whatever else is said of a default."""
    every = {
        "RS256": RSAKey.generate_key(2048, private=True),
        "PS256": RSAKey.generate_key(2048, private=True),
        "ES256": ECKey.generate_key("P-256", private=True),
        "EdDSA": OKPKey.generate_key("Ed25519", private=True),
    }
    order = sorted(every, key=lambda name: name != alg)
    return {"keys": [every[name].as_dict(private=True) | {"kid": name, "alg": name, "use": "sig"}
                     for name in order]}


def claims(settings):
    """What tokens say beside name and address, which stand for themselves."""
    told = [{"name": "groups", "user-property": "groups", "type": "string"},
            {"name": "preferred_username", "user-property": "username", "type": "string"},
            {"name": "email_verified", "user-property": "verified", "type": "boolean",
             "boolean-value-true": "yes", "boolean-value-false": "no"}]
    return [claim | {"mandatory": True, "scope": []} for claim in told
            if claim["name"] not in settings.get("without", [])]


def plugin(settings, issuer):
    alg = settings.get("alg", "RS256")
    kind = {"RS": "rsa", "PS": "rsa-pss", "ES": "ecdsa", "Ed": "eddsa"}[alg[:2]]
    return {
        "module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "enabled": True,
        "parameters": {
            "iss": issuer, "jwt-type": kind, "jwt-key-size": "512" if alg == "EdDSA" else "256",
            "jwks-private": json.dumps(keys(alg)),
            "access-token-duration": settings.get("access_token_lifetime", 3600),
            "refresh-token-duration": 86400, "code-duration": 600,
            "refresh-token-rolling": True, "refresh-token-one-use": "always",
            "auth-type-code-enabled": True, "auth-type-code-revoke-replayed": True,
            "auth-type-token-enabled": False, "auth-type-implicit-enabled": False,
            "auth-type-none-enabled": False, "auth-type-password-enabled": False,
            "auth-type-client-enabled": False, "auth-type-device-enabled": False,
            "auth-type-refresh-enabled": True, "allow-non-oidc": False,
            "subject-type": "public", "jwks-show": True, "allowed-scope": ["openid", "profile"],
            "name-claim": "mandatory", "email-claim": "mandatory", "scope-claim": "no",
            "claims": claims(settings),
            "pkce-allowed": True, "pkce-method-plain-allowed": False, "pkce-required": True,
            "introspection-revocation-allowed": True,
            "introspection-revocation-allow-target-client": True,
            "session-management-allowed": True, "session-cookie-name": "OIDC_SID",
            "session-cookie-expiration": 86400,
            "front-channel-logout-allowed": True, "back-channel-logout-allowed": True,
            "oauth-dpop-allowed": False, "oauth-dpop-iat-duration": 30,
            "oauth-dpop-nonce-counter": 16,
            "oauth-par-allowed": False, "oauth-par-request_uri-prefix": "urn:glewlwyd:par:",
            "oauth-par-duration": 60,
        },
    }


def declare(database, table, prefix, **properties):
    """Properties of people or clients, and whether they have many values: few are known anyway."""
    column = f"{prefix}_parameters"
    parameters = json.loads(database.execute(f"SELECT {column} FROM {table}").fetchone()[0])
    for name, multiple in properties.items():
        parameters["data-format"][name] = {"multiple": multiple, "read": True, "write": True,
                                           "profile-read": False, "profile-write": False}
    database.execute(f"UPDATE {table} SET {column} = ?", (json.dumps(parameters),))


def start(folder, origin, behind):
    path = os.path.join(folder, "glewlwyd.db")
    with open(SCHEMA, encoding="utf-8") as file, sqlite3.connect(path) as database:
        database.executescript(f"BEGIN;{file.read()};COMMIT;")
        declare(database, "g_user_module_instance", "gumi", groups=True, verified=False)
        declare(database, "g_client_module_instance", "gcmi",
                post_logout_redirect_uris=True, token_endpoint_auth_method=True)
    config = os.path.join(folder, "glewlwyd.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f'''
bind_address="{behind[0]}"
port={behind[1]}
external_url="{origin}"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="console"
log_level="INFO"
cookie_domain="localhost"
cookie_secure=0
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{LIBRARIES}/user"
user_middleware_module_path="{LIBRARIES}/user_middleware"
client_module_path="{LIBRARIES}/client"
user_auth_scheme_module_path="{LIBRARIES}/scheme"
plugin_module_path="{LIBRARIES}/plugin"
hash_algorithm="SHA512"
allow_multiple_user_per_session=true
login_api_enabled=true
max_post_size=16778240
database = {{ type = "sqlite3" path = "{path}" }};
''')
    libc = ctypes.CDLL(None)
    return subprocess.Popen(
        ["glewlwyd", "--config-file", config], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # PR_SET_PDEATHSIG: whatever ends this process ends that one.
        preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))


def listens(address, child):
    """Whether it does within half a minute. Its line `started` comes before it listens."""
    limit = time.monotonic() + 30
    while child.poll() is None and time.monotonic() < limit:
        with socket.socket() as knock:
            if knock.connect_ex(address) == 0:
                return True
        time.sleep(0.005)
    return False


def main():
    settings = json.loads(sys.argv[1])
    # An address of 127.0.0.0/8 that nobody else uses: its ports stay free between two binds.
    address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    with socket.socket() as probe:
        probe.bind((address, 0))
        behind = probe.getsockname()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    # By name: its cookies say `Domain=localhost`, and can say no address.
    origin = f"http://localhost:{server.server_port}"
    issuer = f"{origin}/api/oidc" + ("/" if settings.get("trailing_slash") else "")
    server.behind, server.daemon_threads = behind, True
    server.admin = admin = Admin(f"http://{behind[0]}:{behind[1]}")

    with tempfile.TemporaryDirectory() as folder:
        child = start(folder, origin, behind)
        said = []
        threading.Thread(target=lambda: said.extend(child.stdout), daemon=True).start()
        if not listens(behind, child):
            raise SystemExit("glewlwyd did not start:\n" + "".join(said))

        admin.cookie = admin.sign_in("admin", "password")
        for name in ("profile", "email", "groups", "offline_access"):
            admin.ask("POST", "scope/", {"name": name, "display_name": name,
                                         "password_required": False, "scheme": {}})
        scopes = ["openid", "profile", "email", "groups", "offline_access"]
        for username, person in PEOPLE.items():
            admin.ask("POST", "user/", person | {"username": username, "password": PASSWORD,
                                                 "enabled": True, "verified": "yes", "scope": scopes + ["g_profile"]})
        admin.ask("POST", "mod/plugin/", plugin(settings, issuer))
        admin.ask("POST", "client/", {
            "client_id": settings["client_id"], "name": "Sidegate", "confidential": True,
            "enabled": True, "scope": [], "client_secret": settings["client_secret"],
            "password": settings["client_secret"],
            "redirect_uri": [settings["redirect_uri"]],
            "post_logout_redirect_uris": [settings["post_logout_redirect_uri"]],
            "authorization_type": ["code", "refresh_token"],
            "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"]})
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"ready {issuer}", flush=True)
        sys.stdin.buffer.read()
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
