"""The peer that tests/peers holds to its list of checks, over standard input and output."""

import contextlib
import pathlib
import sys
import threading
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ipfi
from ipfi import Code, Receiver, Sender, current

PROCEDURES: dict[str, Callable] = {}
hanging: list[Any] = []


def procedure(function: Callable) -> Callable:
    """Serves a function by its name."""
    PROCEDURES[function.__name__] = function
    return function


def feed(out: Sender, items: Any) -> int:
    """Sends items until they end or nobody wants more."""
    sent = 0
    try:
        for item in items:
            out.send(item)
            sent += 1
        out.close()
    except ipfi.Error:
        pass
    return sent


@procedure
def echo(value: Any) -> Any:
    return value


@procedure
def add(a: int, b: int) -> int:
    return a + b


@procedure
def fail(code: int, text: str) -> None:
    raise ipfi.Error(code, text)


@procedure
def count(n: int) -> Receiver[int]:
    return iter(range(n))


@procedure
def count_into(n: int, out: Sender[int]) -> int:
    return feed(out, range(n))


@procedure
def sum(items: Receiver[int]) -> int:
    total = 0
    for item in items:
        total += item
    return total


@procedure
def relay(items: Receiver[Any], out: Sender[Any]) -> int:
    count = 0
    for item in items:
        out.send(item)
        count += 1
    out.close()
    return count


@procedure
def call_back(callback: Callable[[int], int], k: int) -> int:
    with contextlib.closing(callback):
        total = 0
        for i in range(k):
            total += callback(i)
    return total


@procedure
def hang() -> None:
    call = current.call
    hanging.append(call)
    current.wire.wait(lambda: call.stop is not None)
    raise ipfi.Error(call.stop, "stopped")


@procedure
def cancelled() -> int:
    return len([call for call in hanging if call.stop is not None])


@procedure
def leave() -> None:
    threading.Thread(target=current.wire.close, daemon=True).start()


@procedure
def drive_echo(value: Any) -> Any:
    return current.wire.call("echo", value)


@procedure
def drive_add(a: int, b: int) -> int:
    return current.wire.call("add", a, b)


@procedure
def drive_fail(code: int, text: str) -> list:
    try:
        return current.wire.call("fail", code, text)
    except ipfi.Error as error:
        return [error.code, error.text, int(not error.retry_safe)]


@procedure
def drive_missing() -> int:
    try:
        return current.wire.call("no_such_procedure")
    except ipfi.Error as error:
        return error.code


@procedure
def drive_large(n: int) -> int:
    data = bytes(i % 251 + 1 for i in range(n))
    back = current.wire.call("echo", data)
    if back != data:
        raise ipfi.Error(300, "other bytes came back")
    return len(back)


@procedure
def drive_many(n: int) -> int:
    pending = [current.wire.start("add", i, 1) for i in range(n)]
    total = 0
    for call in pending:
        total += call.result()
    return total


@procedure
def drive_count(n: int) -> int:
    return sum(current.wire.call("count", n, returns=Receiver[int]))


@procedure
def drive_count_into(n: int) -> int:
    items = Receiver()
    call = current.wire.start("count_into", n, items)
    total = sum(items)
    call.result()
    return total


@procedure
def drive_stop(n: int) -> int:
    items = current.wire.call("count", 1_000_000_000, returns=Receiver[int])
    total = sum(item for item, _ in zip(items, range(n)))
    items.close(Code.CANCELLED)
    return total


@procedure
def drive_sum(n: int) -> int:
    return current.wire.call("sum", iter(range(n)))


@procedure
def drive_relay(n: int) -> int:
    back = Receiver()
    call = current.wire.start("relay", iter(range(n)), back)
    came = 0
    for item in back:
        came += item == came
    call.result()
    return came


@procedure
def drive_call_back(k: int) -> int:
    return current.wire.call("call_back", lambda i: 2 * i, k)


@procedure
def drive_cancel() -> None:
    call = current.wire.start("hang")
    current.wire.call("add", 1, 2)
    call.close(Code.CANCELLED)


@procedure
def drive_deadline(ms: int) -> int:
    try:
        return current.wire.call("hang", deadline=ms / 1000)
    except ipfi.Error as error:
        return error.code


wire = ipfi.dial("stdio:", PROCEDURES)
ended = wire.wait()
wire.close()  # lets the last bytes go out
sys.exit(1 if ended.code else 0)
