"""The proxies that a measurement can have, one file each.

Each file has a class with:

- `name`, what the tables call it;
- `protocols`, those of `Setting.protocol` that it speaks towards clients;
- `kinds`, those of `Table.kind` that it takes part in;
- `version_flag`, with which its program tells its version, or nothing;
- `path()`, its program, or nothing where it is not installed;
- `start(setting, port)`, which gives a listening `Program`.
"""

ALL_KINDS = frozenset(("load", "idle", "websockets"))
ALL_PROTOCOLS = frozenset(("http1", "h2c", "tls", "h2"))
