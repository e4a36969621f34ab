"""Envoy as a plain reverse proxy."""

import json

from programs import Program, find
from proxies import ALL_KINDS, ALL_PROTOCOLS
from setting import CONNECTIONS, LONG_S

TYPES = "type.googleapis.com/envoy.extensions"
LOG_FIELDS = {
    "time": "%START_TIME%", "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%", "uri": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%",
    "bytes": "%BYTES_SENT%", "milliseconds": "%DURATION%", "host": "%REQ(:AUTHORITY)%",
    "upstream": "%UPSTREAM_HOST%", "agent": "%REQ(USER-AGENT)%",
}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Envoy:
    """One listener, one cluster, the router alone."""

    name = "envoy"
    protocols = ALL_PROTOCOLS
    kinds = ALL_KINDS
    version_flag = "--version"

    def path(self):
        return find("envoy")

    def start(self, setting, port):
        base = setting.place(self.name)
        config = base / "envoy.json"
        config.write_text(json.dumps(self.config(setting, port)))
        command = [self.path(), "-c", config, "--concurrency", str(setting.workers),
                   "--log-level", "error", "--disable-hot-restart"]
        return Program(self.name, command, port, setting.folder,
                       cores=setting.cores).wait_until_listening()

    def config(self, setting, port):
        manager = {
            "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "clients",
            "codec_type": "AUTO",
            "use_remote_address": True,
            "stream_idle_timeout": "0s",
            "common_http_protocol_options": {"idle_timeout": f"{LONG_S}s"},
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "route_config": {"virtual_hosts": [{
                "name": "app", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "0s"}}],
            }]},
            "http_filters": [{
                "name": "router",
                "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"},
            }],
        }
        if setting.has_log:
            manager["access_log"] = [{"name": "log", "typed_config": {
                "@type": f"{TYPES}.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": {"json_format": LOG_FIELDS},
            }}]
        chain = {"filters": [{"name": "http", "typed_config": manager}]}
        if setting.has_tls:
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
                "disable_stateless_session_resumption": True,
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"] if setting.has_http2 else ["http/1.1"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
                    "tls_certificates": [{
                        "certificate_chain": {"filename": str(setting.certificate)},
                        "private_key": {"filename": str(setting.key)},
                    }],
                },
            }}
        breakers = {name: CONNECTIONS for name in ("max_connections", "max_pending_requests",
                                                   "max_requests")}
        return {"static_resources": {
            "listeners": [{"name": "clients", "address": address(port), "filter_chains": [chain]}],
            "clusters": [{
                "name": "app",
                "type": "STATIC",
                "connect_timeout": "5s",
                "circuit_breakers": {"thresholds": [breakers]},
                "load_assignment": {"cluster_name": "app", "endpoints": [{
                    "lb_endpoints": [{"endpoint": {"address": address(setting.upstream_port)}}],
                }]},
            }],
        }}
