"""nginx as a plain reverse proxy: the base of comparison."""

from programs import Program, find
from proxies import ALL_KINDS, ALL_PROTOCOLS
from setting import CONNECTIONS, LONG_S, UNLIMITED
from upstreams import user_line

LOG_FORMAT = """
  log_format json escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
    '"uri":"$request_uri","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,'
    '"host":"$http_host","upstream":"$upstream_addr","upstream_seconds":"$upstream_response_time",'
    '"agent":"$http_user_agent"}';
"""


class Nginx:
    """`proxy_pass` with connections that are kept, and the fields that a proxy owes its upstream."""

    protocols = ALL_PROTOCOLS
    kinds = ALL_KINDS
    version_flag = "-v"

    def __init__(self, name="nginx"):
        self.name = name

    def path(self):
        return find("nginx")

    def start(self, setting, port):
        name = self.name.replace(",", "").replace(" ", "-")
        base = setting.place(name)
        tls = ""
        if setting.has_tls:
            tls = f"""
    ssl_certificate {setting.certificate};
    ssl_certificate_key {setting.key};
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;"""
        flags = (" ssl" if setting.has_tls else "") + (" http2" if setting.has_http2 else "")
        log = f"{LOG_FORMAT}\n  access_log {base}/access.log json;" if setting.has_log \
            else "  access_log off;"
        temporary = "\n".join(
            f"  {kind}_temp_path {base}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = base / "nginx.conf"
        config.write_text(f"""
{user_line()}
worker_processes {setting.workers};
worker_rlimit_nofile {CONNECTIONS};
pid {base}/pid;
error_log stderr crit;
daemon off;
events {{ worker_connections {CONNECTIONS}; }}
http {{
{temporary}
{log}
  keepalive_timeout {LONG_S}s;
  keepalive_requests {UNLIMITED};
  client_header_timeout {LONG_S}s;
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  upstream app {{
    server 127.0.0.1:{setting.upstream_port};
    keepalive 1024;
    keepalive_requests {UNLIMITED};
  }}
  server {{
    listen 127.0.0.1:{port}{flags} reuseport backlog=4096;{tls}
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_read_timeout {LONG_S}s;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
""")
        command = [self.path(), "-c", config, "-e", "stderr", "-p", base]
        return Program(name, command, port, setting.folder,
                       cores=setting.cores).wait_until_listening()
