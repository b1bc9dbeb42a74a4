"""gRPC's C core as a client, all that interop.test.ts asks of it. Prints one line a check."""

import sys
import threading
import time

import grpc

address = sys.argv[1]


def check(name, condition, detail=""):
    print(f"{'ok' if condition else 'FAILED'} {name} {detail}", flush=True)


def fails(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    return None


options = [("grpc.max_receive_message_length", -1)]
with grpc.insecure_channel(address, options) as channel:
    unary = channel.unary_unary("/test.Echo/Unary")
    check("unary", unary(b"hello") == b"hello")
    check("empty", unary(b"") == b"")
    big = bytes(i % 251 for i in range(1_400_000))
    check("large", unary(big) == big)
    check("later", channel.unary_unary("/test.Echo/Later")(b"x", timeout=5) == b"x")

    futures = [unary.future(str(i).encode()) for i in range(500)]
    check("many", [f.result() for f in futures] == [str(i).encode() for i in range(500)])

    error = fails(lambda: channel.unary_unary("/test.Echo/Fail")("9:caf\u00e9 100%".encode()))
    check("error", error.code() == grpc.StatusCode.FAILED_PRECONDITION, error.details())
    check("text", error.details() == "caf\u00e9 100%")
    error = fails(lambda: channel.unary_unary("/test.Echo/Nothing")(b""))
    check("unknown", error.code() == grpc.StatusCode.UNIMPLEMENTED, error.details())
    error = fails(lambda: unary(bytes(3_000_000)))
    check("too large", error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error.details())

    ask = channel.unary_unary("/test.Echo/Metadata")
    metadata = (("hasleader", "true"), ("trace-bin", b"\x00\x01\xfe\xff"))
    check("metadata", ask(b"hasleader", metadata=metadata) == b"true")
    binary = ask(b"trace-bin", metadata=metadata).decode().encode("latin-1")
    check("binary metadata", binary == b"\x00\x01\xfe\xff")

    error = fails(lambda: channel.unary_unary("/test.Echo/Hang")(b"", timeout=0.2))
    check("deadline", error.code() == grpc.StatusCode.DEADLINE_EXCEEDED)
    pending = channel.unary_unary("/test.Echo/Hang").future(b"")
    time.sleep(0.1)
    pending.cancel()
    check("cancel", pending.code() == grpc.StatusCode.CANCELLED)

    download = channel.unary_stream("/test.Echo/Download")
    sizes = [len(message) for message in download(b"50:100000")]
    check("server stream", sizes == [100_000] * 50)
    upload = channel.stream_unary("/test.Echo/Upload")
    check("client stream", upload(iter([b"abc"] * 1_000)) == b"1000:3000")

    received = []
    more = threading.Semaphore(1)

    def requests():
        for i in range(20):
            more.acquire()
            yield str(i).encode()

    chat = channel.stream_stream("/test.Echo/Chat")(requests())
    for message in chat:
        received.append(message)
        more.release()
    check("bidi", received == [str(i).encode() for i in range(20)])
    check("bidi status", chat.code() == grpc.StatusCode.OK)

    stream = channel.stream_stream("/test.Echo/Chat")(iter([]), compression=None)
    check("half-close at once", list(stream) == [])
    error = fails(lambda: list(channel.stream_stream("/test.Echo/RefuseStream")(iter([b"x"]))))
    check("stream refused", error.code() == grpc.StatusCode.PERMISSION_DENIED, error.details())

    gzip = channel.unary_unary("/test.Echo/Unary")
    error = fails(lambda: gzip(b"x" * 10_000, compression=grpc.Compression.Gzip))
    check("compressed", error is not None and error.code() == grpc.StatusCode.UNIMPLEMENTED)
    check("after all", unary(b"still") == b"still")
print("done")
