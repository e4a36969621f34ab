#!/usr/bin/env python3
"""An app that answers when it has read a request's body, and `/held` never. It keeps no connection,
so that what is left of an attack can be counted.

    python3 sink.py PORT
"""

import asyncio
import contextlib
import re
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


async def take(reader, writer):
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await reader.readuntil(b"\r\n\r\n")
        if b" /held " in head.partition(b"\r\n")[0]:
            while await reader.read(65536):
                pass
        else:
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(ANSWER)
            await writer.drain()
    writer.close()


async def main(port):
    server = await asyncio.start_server(take, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
