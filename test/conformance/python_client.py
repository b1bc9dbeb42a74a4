"""gRPC's C core and protobuf's own codec as a client of the etcd v3 API: what python.test.ts asks of
it. The message classes are made from the descriptors on standard input (a FileDescriptorSet of
proto/), so no generated code is involved. Prints one line a check.

Usage: python_client.py ENDPOINT PREFIX < descriptor-set
"""

import queue
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import MessageFactory

endpoint, prefix = sys.argv[1], sys.argv[2].encode()

pool = descriptor_pool.DescriptorPool()
files = descriptor_pb2.FileDescriptorSet.FromString(sys.stdin.buffer.read()).file
# One file a package, in an order in which each may use those before it.
packages = ["mvccpb", "authpb", "etcdserverpb", "v3lockpb"]
for package in packages:
    file = next(file for file in files if file.package == package)
    del file.dependency[:]
    file.dependency.extend(f"{each}.proto" for each in packages[: packages.index(package)])
    pool.Add(file)
factory = MessageFactory(pool)


def message(full_name, /, **fields):
    return factory.GetPrototype(pool.FindMessageTypeByName(full_name))(**fields)


def request(name, /, **fields):
    return message(f"etcdserverpb.{name}", **fields)


def check(name, condition, detail=""):
    print(f"{'ok' if condition else 'FAILED'} {name} {detail}", flush=True)


def fails(call):
    try:
        return None, call()
    except grpc.RpcError as error:
        return error.code(), error.details()


channel = grpc.insecure_channel(endpoint, [("grpc.max_receive_message_length", -1)])


def method(service, name):
    """A call by its full name, made from the service's descriptor."""
    found = pool.FindServiceByName(service).FindMethodByName(name)
    proto = descriptor_pb2.ServiceDescriptorProto()
    found.containing_service.CopyToProto(proto)
    streams = next((m.client_streaming, m.server_streaming) for m in proto.method if m.name == name)
    make = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }[streams]
    reply = factory.GetPrototype(found.output_type)
    return make(f"/{service}/{name}", lambda m: m.SerializeToString(), reply.FromString)


KV, LEASE = "etcdserverpb.KV", "etcdserverpb.Lease"
put, get, txn = method(KV, "Put"), method(KV, "Range"), method(KV, "Txn")
delete = method(KV, "DeleteRange")

# Unary calls.
key = prefix + b"a"
put(request("PutRequest", key=key, value=b"1"))
reply = put(request("PutRequest", key=key, value=b"2", prev_kv=True))
check("put", reply.prev_kv.value == b"1" and reply.header.cluster_id > 0)
reply = get(request("RangeRequest", key=prefix, range_end=prefix + b"\xff", sort_target="MOD"))
check("range", [(kv.key, kv.value, kv.version) for kv in reply.kvs] == [(key, b"2", 2)])
compare = request("Compare", key=key, target="VERSION", result="EQUAL", version=2)
operation = request("RequestOp", request_delete_range=request("DeleteRangeRequest", key=key))
reply = txn(request("TxnRequest", compare=[compare], success=[operation]))
check("txn", reply.succeeded and reply.responses[0].response_delete_range.deleted == 1)
code, details = fails(lambda: put(request("PutRequest", key=b"")))
check("refusal", code == grpc.StatusCode.INVALID_ARGUMENT, details)
check("its text", details == "etcdserver: key is not provided", details)
code, details = fails(lambda: channel.unary_unary(f"/{KV}/Range")(b"\x0a\x05a"))
check("malformed", code == grpc.StatusCode.INTERNAL, details)
code, details = fails(lambda: channel.unary_unary(f"/{KV}/None")(b""))
check("unknown method", code == grpc.StatusCode.UNIMPLEMENTED, details)

many = [put.future(request("PutRequest", key=prefix + str(i).encode())) for i in range(300)]
revisions = [future.result().header.revision for future in many]
check("many at once", len(set(revisions)) == 300)
everything = request("RangeRequest", key=prefix, range_end=prefix + b"\xff", count_only=True)
check("count", get(everything).count == 300)
value = bytes(i % 251 for i in range(1_000_000))
put(request("PutRequest", key=key, value=value), compression=grpc.Compression.NoCompression)
check("large", get(request("RangeRequest", key=key)).kvs[0].value == value)


class Requests:
    """The requests of a stream, one by one as they are put."""

    def __init__(self):
        self.queue = queue.Queue()

    def __iter__(self):
        return iter(self.queue.get, None)


# Streams both ways.
requests = Requests()
watch = method("etcdserverpb.Watch", "Watch")(iter(requests))
create = request("WatchCreateRequest", key=prefix + b"w", range_end=prefix + b"x", prev_kv=True)
requests.queue.put(request("WatchRequest", create_request=create))
check("watch created", next(watch).created)
for i in range(50):
    put(request("PutRequest", key=prefix + b"w", value=str(i).encode()))
seen = []
while len(seen) < 50:
    seen.extend(event.kv.value for event in next(watch).events)
check("watch events", seen == [str(i).encode() for i in range(50)])
cancel = request("WatchCancelRequest", watch_id=0)
requests.queue.put(request("WatchRequest", cancel_request=cancel))
check("watch canceled", next(watch).canceled)
watch.cancel()
check("stream canceled", watch.code() == grpc.StatusCode.CANCELLED)

lease = method(LEASE, "LeaseGrant")(request("LeaseGrantRequest", TTL=60)).ID
requests = Requests()
alive = method(LEASE, "LeaseKeepAlive")(iter(requests))
for _ in range(3):
    requests.queue.put(request("LeaseKeepAliveRequest", ID=lease))
check("keep-alive", [next(alive).TTL for _ in range(3)] == [60, 60, 60])
requests.queue.put(None)
check("stream ends well", list(alive) == [] and alive.code() == grpc.StatusCode.OK)
method(LEASE, "LeaseRevoke")(request("LeaseRevokeRequest", ID=lease))

# Deadlines and cancellation, of a call that waits for what does not come.
lock = method("v3lockpb.Lock", "Lock")
held = lock(message("v3lockpb.LockRequest", name=prefix + b"lock"))
wanted = message("v3lockpb.LockRequest", name=prefix + b"lock")
started = time.monotonic()
code, _ = fails(lambda: lock(wanted, timeout=0.3))
waited = time.monotonic() - started
check("deadline", code == grpc.StatusCode.DEADLINE_EXCEEDED and 0.2 < waited < 2, f"{waited:.2f}")
waiting = lock.future(wanted)
time.sleep(0.1)
waiting.cancel()
check("cancel", waiting.cancelled())
queued = request("RangeRequest", key=prefix + b"lock/", range_end=prefix + b"lock0")
for _ in range(100):
    if get(queued).count == 1:
        break
    time.sleep(0.05)
check("no waiter is left", [kv.key for kv in get(queued).kvs] == [held.key])
method("v3lockpb.Lock", "Unlock")(message("v3lockpb.UnlockRequest", key=held.key))

# Several threads on one connection.
results = queue.Queue()


def work(number):
    for i in range(50):
        own = prefix + f"t{number}-{i}".encode()
        put(request("PutRequest", key=own, value=own))
        results.put(get(request("RangeRequest", key=own)).kvs[0].value == own)


threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
check("threads", all(results.get() for _ in range(200)))
delete(request("DeleteRangeRequest", key=prefix, range_end=prefix + b"\xff"))
channel.close()
print("done")
