"""Caddy as a plain reverse proxy."""

from programs import Program, find
from proxies import ALL_KINDS, ALL_PROTOCOLS

PROTOCOLS = {"http1": "h1", "tls": "h1", "h2c": "h1 h2c", "h2": "h1 h2"}


class Caddy:
    """`reverse_proxy` with connections that are kept."""

    name = "caddy"
    protocols = ALL_PROTOCOLS
    kinds = ALL_KINDS
    version_flag = "version"

    def path(self):
        return find("caddy")

    def start(self, setting, port):
        base = setting.place(self.name)
        tls = f"tls {setting.certificate} {setting.key}" if setting.has_tls else ""
        log = "log {\n    output stdout\n    format json\n  }" if setting.has_log else ""
        config = base / "Caddyfile"
        config.write_text(f"""
{{
  admin off
  auto_https off
  persist_config off
  log default {{
    level {"INFO" if setting.has_log else "ERROR"}
  }}
  servers {{
    protocols {PROTOCOLS[setting.protocol]}
  }}
}}
{setting.scheme}://:{port} {{
  bind 127.0.0.1
  {tls}
  {log}
  reverse_proxy 127.0.0.1:{setting.upstream_port} {{
    transport http {{
      keepalive 1h
      keepalive_idle_conns_per_host 1024
    }}
  }}
}}
""")
        command = [self.path(), "run", "--adapter", "caddyfile", "--config", config]
        home = {"HOME": str(base), "XDG_DATA_HOME": str(base), "XDG_CONFIG_HOME": str(base),
                "GOMAXPROCS": str(setting.workers)}
        return Program(self.name, command, port, setting.folder, cores=setting.cores,
                       env=home).wait_until_listening()
