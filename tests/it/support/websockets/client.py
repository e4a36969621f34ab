"""Sends 100 MB to echo.py through the gate in messages of many sizes, whole and in fragments, and
compares what comes back. Arguments: the gate's port, `deflate` or `plain`, and who it should be.
The session's cookie is a line of standard input. A line is said for each message that came back."""

import asyncio
import hashlib
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

TOTAL = 100_000_000
# Around the bounds of the three ways to write a length, and larger.
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000, 4_000_000, 8_000_000]


def messages(chance):
    """Lists of fragments, 100 MB of them altogether: each size whole, then in up to nine pieces."""
    left, turn = TOTAL, 0
    noise = chance.randbytes(8_000_000)
    while left > 0:
        size = min(SIZES[turn % len(SIZES)], left)
        start = chance.randrange(8_000_000 - size + 1)
        message = bytearray(noise[start : start + size])
        # Half of each can be compressed.
        message[: size // 2] = bytes(size // 2)
        message[:8] = turn.to_bytes(8, "big")[: min(8, size)]
        cuts = sorted(chance.randrange(size + 1) for _ in range(turn // len(SIZES) % 2 * 8))
        bounds = [0, *cuts, size]
        yield [bytes(message[a:b]) for a, b in zip(bounds, bounds[1:])]
        left -= size
        turn += 1


def digest(fragments):
    hash = hashlib.sha256()
    for fragment in fragments:
        hash.update(fragment)
    return hash.digest()


async def main(port, mode, person):
    cookie = sys.stdin.readline().strip()

    def opened(path):
        return connect(
            f"ws://gate.test{path}",
            host="127.0.0.1",
            port=port,
            origin="https://gate.test",
            additional_headers={"Cookie": cookie},
            compression={"deflate": "deflate", "plain": None}[mode],
            max_size=None,
            proxy=None,
        )

    async with opened("/echo") as connection:
        names = [extension.name for extension in connection.protocol.extensions]
        assert names == (["permessage-deflate"] if mode == "deflate" else []), names
        hello = await connection.recv()
        assert hello == person, hello
        expected = asyncio.Queue()

        async def send():
            for fragments in messages(random.Random(1)):
                sent = sum(map(len, fragments))
                await expected.put((sent, len(fragments), digest(fragments)))
                await connection.send(fragments if len(fragments) > 1 else fragments[0])
            await expected.put(None)

        sending = asyncio.create_task(send())
        came = 0
        while (message := await expected.get()) is not None:
            size, count, hash = message
            back = [fragment async for fragment in connection.recv_streaming()]
            assert sum(map(len, back)) == size and digest(back) == hash, f"{size} bytes differ"
            assert len(back) >= count, f"{len(back)} fragments of {count}"
            came += size
            print("came", came, flush=True)
        await sending
        assert came == TOTAL, came
        await connection.close(4001, "the client has had enough")

    async with opened("/closes") as connection:
        assert await connection.recv() == person
        await connection.send("enough?")
        try:
            print(await connection.recv())
        except ConnectionClosed as closed:
            close = closed.rcvd
            assert (close.code, close.reason) == (4002, "the server has had enough"), close
        else:
            raise AssertionError("not closed")
    print("done", flush=True)


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
