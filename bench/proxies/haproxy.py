"""HAProxy as a plain reverse proxy."""

from programs import Program, find
from proxies import ALL_KINDS, ALL_PROTOCOLS
from setting import CONNECTIONS, LONG_S

LOG_FORMAT = ('{"time":"%t","client":"%ci","method":"%HM","uri":"%[capture.req.uri]","status":%ST,'
              '"bytes":%B,"milliseconds":%Ta,"upstream":"%si:%sp","upstream_milliseconds":%Tr}')


class Haproxy:
    """`mode http` with connections to the upstream that are shared and kept."""

    name = "haproxy"
    protocols = ALL_PROTOCOLS
    kinds = ALL_KINDS
    version_flag = "-v"

    def path(self):
        return find("haproxy")

    def start(self, setting, port):
        base = setting.place(self.name)
        bind = f"bind 127.0.0.1:{port} backlog 4096"
        if setting.has_tls:
            alpn = "h2,http/1.1" if setting.has_http2 else "http/1.1"
            pem = setting.certificate.with_suffix(".pem")
            bind += f" ssl crt {pem} alpn {alpn} ssl-min-ver TLSv1.3 no-tls-tickets"
        elif setting.has_http2:
            bind += " proto h2"
        log = f"log stdout format raw local0\n  log-format '{LOG_FORMAT}'" if setting.has_log else ""
        config = base / "haproxy.cfg"
        config.write_text(f"""
global
  nbthread {setting.workers}
  maxconn {CONNECTIONS // 2 - 500}
  tune.ssl.cachesize 0
defaults
  mode http
  timeout connect 5s
  timeout client {LONG_S}s
  timeout server {LONG_S}s
  timeout tunnel {LONG_S}s
  timeout http-keep-alive {LONG_S}s
  timeout http-request {LONG_S}s
frontend clients
  {bind}
  {log}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto {setting.scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend app
backend app
  http-reuse always
  server app 127.0.0.1:{setting.upstream_port}
""")
        command = [self.path(), "-db", "-f", config]
        return Program(self.name, command, port, setting.folder,
                       cores=setting.cores).wait_until_listening()
