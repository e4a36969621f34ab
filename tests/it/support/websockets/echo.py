"""A WebSocket server that sends back what comes, fragment by fragment. Arguments: its port, and
`deflate` or `plain`. How each connection ended is noted as a line: path, code, reason."""

import asyncio
import os
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(connection):
    path = connection.request.path
    await connection.send(connection.request.headers["X-Forwarded-Email"])
    try:
        if path == "/closes":
            await connection.recv()
            await connection.close(4002, "the server has had enough")
        while True:
            await connection.send(connection.recv_streaming())
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    with open(os.environ["SEEN"], "a", encoding="utf-8") as seen:
        print(path, connection.close_code, connection.close_reason, file=seen)


async def main(port, compression):
    compression = {"deflate": "deflate", "plain": None}[compression]
    async with serve(echo, "127.0.0.1", port, compression=compression, max_size=None) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
