"""Apache as a plain reverse proxy, and with mod_auth_openidc in front of it."""

import os
from pathlib import Path

from programs import Program, find
from proxies import ALL_PROTOCOLS
from setting import LONG_S

MODULES = Path("/usr/lib/apache2/modules")
LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", "headers", "unixd",
          "log_config")
# Threads of each of its two processes. A connection at rest needs none, but one whose request waits
# for a thread is closed as soon as it is answered: so all that ask at once have one.
PROCESSES, FEWEST, MOST = 2, 128, 576
LOG_FORMAT = ('{\\"time\\":\\"%{%FT%T%z}t\\",\\"client\\":\\"%a\\",\\"method\\":\\"%m\\",\\"uri\\":\\"%U\\",'
              '\\"status\\":%>s,\\"bytes\\":%B,\\"microseconds\\":%D,\\"host\\":\\"%{Host}i\\",'
              '\\"agent\\":\\"%{User-Agent}i\\"}')


class Apache:
    """mod_proxy with connections that are kept."""

    name = "apache"
    protocols = ALL_PROTOCOLS
    # A silent connection and a WebSocket take a thread each, and thousands of threads are another
    # measurement.
    kinds = frozenset(("load",))
    version_flag = "-v"

    def path(self):
        return find("apache2") if (MODULES / "mod_proxy_http.so").exists() else None

    def start(self, setting, port):
        threads = min(max(setting.connections, FEWEST), MOST)
        base = setting.place(self.name.replace(",", "").replace(" ", "-"))
        wanted = [*LOADED, *self.modules()]
        if setting.has_tls:
            wanted += ["socache_shmcb", "ssl"]
        if setting.has_http2:
            wanted.append("http2")
        # Some are built in, by Debian's choice.
        load = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in wanted
                         if (MODULES / f"mod_{name}.so").exists())
        tls = ""
        if setting.has_tls:
            tls = f"""
SSLEngine on
SSLProtocol TLSv1.3
SSLSessionTickets off
SSLSessionCache none
SSLCertificateFile {setting.certificate}
SSLCertificateKeyFile {setting.key}"""
        protocols = {"h2c": "Protocols h2c http/1.1", "h2": "Protocols h2 http/1.1"}
        log = f'LogFormat "{LOG_FORMAT}" json\nCustomLog {base}/access.log json' \
            if setting.has_log else ""
        config = base / "apache.conf"
        config.write_text(f"""
{load}
ServerRoot {base}
ServerName 127.0.0.1
DefaultRuntimeDir {base}
PidFile {base}/pid
ErrorLog /dev/stderr
LogLevel error
{"User www-data" if os.geteuid() == 0 else ""}
{"Group www-data" if os.geteuid() == 0 else ""}
StartServers {PROCESSES}
ServerLimit {PROCESSES}
ThreadLimit {MOST}
ThreadsPerChild {threads}
MaxRequestWorkers {PROCESSES * threads}
MinSpareThreads {PROCESSES * threads}
MaxSpareThreads {PROCESSES * threads}
AsyncRequestWorkerFactor 64
MaxConnectionsPerChild 0
KeepAlive On
KeepAliveTimeout {LONG_S}
MaxKeepAliveRequests 0
Timeout {LONG_S}
ListenBacklog 4096
Listen 127.0.0.1:{port}
{protocols.get(setting.protocol, "Protocols http/1.1")}
{log}
{tls}
{self.more(setting, port)}
ProxyPreserveHost On
RequestHeader set X-Forwarded-Proto {setting.scheme}
<Location "/">
  ProxyPass "http://127.0.0.1:{setting.upstream_port}/" keepalive=On ttl={LONG_S} max={PROCESSES * threads}
</Location>
""")
        command = [self.path(), "-f", config, "-DFOREGROUND"]
        return Program(base.name, command, port, setting.folder,
                       cores=setting.cores).wait_until_listening()

    def modules(self):
        return ()

    def more(self, setting, port):
        return ""


class ApacheOidc(Apache):
    """The same for people who are signed in, by mod_auth_openidc.

    `where` is its own word for where sessions are: `server-cache` (shared memory) or `client-cookie`.
    """

    protocols = frozenset(("http1",))

    def __init__(self, where, issuer, secret):
        self.name = f"mod_auth_openidc, {where}"
        self.where, self.issuer, self.secret = where, issuer, secret

    @staticmethod
    def is_installed():
        return Apache().path() and (MODULES / "mod_auth_openidc.so").exists()

    def modules(self):
        return ("auth_openidc",)

    def more(self, setting, port):
        return f"""
OIDCProviderMetadataURL {self.issuer}/.well-known/openid-configuration
OIDCClientID bench
OIDCClientSecret {self.secret}
OIDCRedirectURI http://127.0.0.1:{port}/oauth2/callback
OIDCCryptoPassphrase {self.secret}
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCSessionType {self.where}
OIDCSessionInactivityTimeout {LONG_S}
OIDCRemoteUserClaim sub
<Location "/private">
  AuthType openid-connect
  Require valid-user
</Location>
<Location "/oauth2">
  AuthType openid-connect
  Require valid-user
</Location>"""
