"""An app, as WSGI and as ASGI, that reads each request whole and notes that it saw it."""

import os


def note(method, target):
    with open(os.environ["SEEN"], "a", encoding="latin-1") as seen:
        seen.write(f"{method} {target}\n")


def wsgi(environ, start_response):
    note(environ["REQUEST_METHOD"], environ["RAW_URI"])
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    note(scope["method"], scope["raw_path"].decode("latin-1"))
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
