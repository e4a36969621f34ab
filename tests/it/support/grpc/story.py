"""gRPC as others wrote it, on both sides of the gate.

story.py serve               an app; says its port on a line, and serves until its input ends
story.py call GATE COOKIE    a client, at the gate's address, with a session's cookie
story.py wait GATE COOKIE    one that waits for the end of a stream, and says how it ended

Messages are bytes: what is told apart here is what travels, not what it means.
"""

import hashlib
import random
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "story.Echo"
cancelled = threading.Event()


def metadata_of(context):
    return {key: value for key, value in context.invocation_metadata()}


def tell(context):
    """What the app saw of who asks comes back in the trailing metadata."""
    seen = metadata_of(context)
    context.send_initial_metadata((("x-early", "early"), ("early-bin", bytes(range(256)))))
    context.set_trailing_metadata(
        (
            ("seen-user", seen.get("x-forwarded-user", "nobody")),
            ("seen-note", seen.get("x-note", "")),
            ("seen-blob", seen.get("blob-bin", b"").hex()),
            ("seen-cookie", seen.get("cookie", "")),
            ("late-bin", bytes(reversed(range(256)))),
        )
    )


def unary(request, context):
    tell(context)
    return request


def server_stream(request, context):
    tell(context)
    for at in range(100):
        yield request + bytes([at])


def client_stream(requests, context):
    tell(context)
    digest = hashlib.sha256()
    for request in requests:
        digest.update(request)
    return digest.digest()


def both_stream(requests, context):
    tell(context)
    for request in requests:
        yield request[::-1]


def forever(request, context):
    yield request
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(60)
    cancelled.set()


def fail(request, context):
    tell(context)
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not so: 50% – nein")


def slow(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    over.wait(60)
    cancelled.set()
    return b""


def was_cancelled(request, context):
    return b"yes" if cancelled.wait(60) else b"no"


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "BothStream": grpc.stream_stream_rpc_method_handler(both_stream),
        "Forever": grpc.unary_stream_rpc_method_handler(forever),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
        "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


def check_metadata(call):
    early, late = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert early["x-early"] == "early", early
    assert early["early-bin"] == bytes(range(256)), early
    assert late["late-bin"] == bytes(reversed(range(256))), late
    assert late["seen-user"] == "u-alice", late
    assert late["seen-note"] == "a, b; c", late
    assert bytes.fromhex(late["seen-blob"]) == bytes(range(256)), late
    assert late["seen-cookie"] == "", "our cookie ends at the gate"


def wait(gate, cookie):
    """Says how a stream ends that would go on for ever."""
    channel = grpc.insecure_channel(gate, options=[("grpc.default_authority", "gate.test")])
    made = channel.unary_stream(f"/{SERVICE}/Forever")(
        b"x", metadata=(("cookie", cookie),), timeout=60
    )
    try:
        for piece in made:
            print("open", piece.decode(), flush=True)
    except grpc.RpcError as error:
        print(error.code().name, error.details(), flush=True)


def call(gate, cookie):
    dice = random.Random(1)
    channel = grpc.insecure_channel(gate, options=[("grpc.default_authority", "gate.test")])
    metadata = (
        ("cookie", cookie),
        ("x-note", "a, b; c"),
        ("blob-bin", bytes(range(256))),
        ("x-forwarded-user", "root"),
    )

    def method(kind, name):
        return getattr(channel, kind)(f"/{SERVICE}/{name}")

    # Each kind of call, with the same bytes on both sides and who asks told.
    for size in (0, 1, 100_000, 3_000_000):
        sent = dice.randbytes(size)
        got, made = method("unary_unary", "Unary").with_call(sent, metadata=metadata, timeout=60)
        assert got == sent, size
        assert made.code() == grpc.StatusCode.OK
        check_metadata(made)

    sent = dice.randbytes(10_000)
    made = method("unary_stream", "ServerStream")(sent, metadata=metadata, timeout=60)
    got = list(made)
    assert got == [sent + bytes([at]) for at in range(100)]
    check_metadata(made)

    pieces = [dice.randbytes(10_000) for _ in range(100)]
    got, made = method("stream_unary", "ClientStream").with_call(
        iter(pieces), metadata=metadata, timeout=60
    )
    assert got == hashlib.sha256(b"".join(pieces)).digest()
    check_metadata(made)

    # Each piece is sent only when the answer to the one before is there: nothing is held back.
    turn = threading.Semaphore(1)

    def in_turns():
        for piece in pieces[:50]:
            turn.acquire()
            yield piece

    made = method("stream_stream", "BothStream")(in_turns(), metadata=metadata, timeout=60)
    got = []
    for piece in made:
        got.append(piece)
        turn.release()
    assert got == [piece[::-1] for piece in pieces[:50]]
    check_metadata(made)

    # What the app says of a failure comes through as it is.
    try:
        method("unary_unary", "Fail")(b"", metadata=metadata, timeout=60)
        raise AssertionError("it did not fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert error.details() == "not so: 50% – nein", error
        check_metadata(error)

    # Nobody signed in: refused by the gate, in gRPC's own words, for each kind of call.
    for kind, name, sent in (
        ("unary_unary", "Unary", b"x"),
        ("unary_stream", "ServerStream", b"x"),
        ("stream_unary", "ClientStream", iter([b"x"] * 10)),
        ("stream_stream", "BothStream", iter([b"x"] * 10)),
    ):
        try:
            made = method(kind, name)(sent, timeout=60)
            if kind.endswith("stream"):
                list(made)
            raise AssertionError(f"{name} was not refused")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error

    # A deadline that passes ends the call at the app too.
    try:
        method("unary_unary", "Slow")(b"", metadata=metadata, timeout=0.5)
        raise AssertionError("it was in time")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert method("unary_unary", "WasCancelled")(b"", metadata=metadata, timeout=60) == b"yes"
    print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "wait":
        wait(sys.argv[2], sys.argv[3])
    else:
        call(sys.argv[2], sys.argv[3])
