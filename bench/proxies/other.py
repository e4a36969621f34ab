"""Another proxy, given by a small TOML file:

    name = "mine"
    command = ["mine", "--config", "{folder}/mine.conf"]
    protocols = ["http1"]        # of http1, h2c, tls, h2; that alone by default
    kinds = ["load", "idle"]     # of load, idle, websockets; these by default
    [env]                        # if it needs any
    THREADS = "{workers}"
    [files]                      # written into a folder of its own first
    "mine.conf" = "listen 127.0.0.1:{port}; upstream 127.0.0.1:{upstream_port};"

`{folder}`, `{port}`, `{upstream_port}`, `{workers}`, `{certificate}` and `{key}` are filled in; other
braces stay.
"""

import tomllib
from pathlib import Path

from programs import Failure, Program, find
from proxies import ALL_KINDS, ALL_PROTOCOLS


class Other:
    """What the file says."""

    version_flag = None

    def __init__(self, path):
        try:
            said = tomllib.loads(Path(path).read_text())
            self.name, self.command = str(said["name"]), [str(part) for part in said["command"]]
            program = self.command[0]
        except (OSError, tomllib.TOMLDecodeError, KeyError, IndexError) as error:
            raise Failure(f"{path} does not describe a proxy: {error!r}") from error
        self.protocols = frozenset(said.get("protocols", ["http1"]))
        self.kinds = frozenset(said.get("kinds", ["load", "idle"]))
        for given, known in ((self.protocols, ALL_PROTOCOLS), (self.kinds, ALL_KINDS)):
            if not given <= known:
                raise Failure(f"{path}: {', '.join(given - known)} is none of "
                              f"{', '.join(sorted(known))}")
        self.env, self.files = said.get("env", {}), said.get("files", {})
        if not find(program):
            raise Failure(f"{path}: there is no program {program}")

    def path(self):
        return find(self.command[0])

    def start(self, setting, port):
        base = setting.place("other-" + "".join(c if c.isalnum() else "-" for c in self.name))
        words = {"folder": base, "port": port, "upstream_port": setting.upstream_port,
                 "workers": setting.workers, "certificate": setting.certificate,
                 "key": setting.key}

        def filled(text):
            for word, value in words.items():
                text = text.replace(f"{{{word}}}", str(value))
            return text

        for name, text in self.files.items():
            (base / Path(name).name).write_text(filled(text))
        env = {name: filled(str(value)) for name, value in self.env.items()}
        return Program(base.name, [self.path(), *map(filled, self.command[1:])], port,
                       setting.folder, cores=setting.cores, env=env).wait_until_listening()
