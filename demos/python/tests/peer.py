"""The peer that tests/peers holds to its list of checks, over standard input and output."""

import asyncio
import pathlib
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ipfi
from ipfi import Callback, Code, Receiver, Sender

PROCEDURES: dict[str, Callable] = {}
wire: ipfi.Wire
cancels = 0


def procedure(function: Callable) -> Callable:
    """Serves a function by its name."""
    PROCEDURES[function.__name__] = function
    return function


async def numbers(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


async def total(items: AsyncIterator[int]) -> int:
    result = 0
    async for item in items:
        result += item
    return result


async def call(name: str, *arguments: Any, **options: Any) -> Any:
    return await wire.call(name, *arguments, **options)


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
def count(n: int) -> Receiver:
    return numbers(n)


@procedure
async def count_into(n: int, out: Sender) -> int:
    for i in range(n):
        try:
            await out.send(i)
        except ipfi.Error:
            return i
    out.close()
    return n


@procedure
async def sum(items: Receiver) -> int:
    return await total(items)


@procedure
async def relay(items: Receiver, out: Sender) -> int:
    came = 0
    async for item in items:
        await out.send(item)
        came += 1
    out.close()
    return came


@procedure
async def call_back(callback: Callback, k: int) -> int:
    try:
        result = 0
        for i in range(k):
            result += await callback(i)
        return result
    finally:
        callback.close()


@procedure
async def hang() -> None:
    global cancels
    try:
        await asyncio.Event().wait()
    finally:
        cancels += 1


@procedure
def cancelled() -> int:
    return cancels


@procedure
def leave() -> None:
    asyncio.get_running_loop().call_soon(wire.close)


@procedure
async def drive_echo(value: Any) -> Any:
    return await call("echo", value)


@procedure
async def drive_add(a: int, b: int) -> int:
    return await call("add", a, b)


@procedure
async def drive_fail(code: int, text: str) -> list:
    try:
        return await call("fail", code, text)
    except ipfi.Error as error:
        return [error.code, error.text, int(not error.retry_safe)]


@procedure
async def drive_missing() -> int:
    try:
        return await call("no_such_procedure")
    except ipfi.Error as error:
        return error.code


@procedure
async def drive_large(n: int) -> int:
    data = bytes(i % 251 + 1 for i in range(n))
    back = await call("echo", data)
    if back != data:
        raise ipfi.Error(300, "other bytes came back")
    return len(back)


@procedure
async def drive_many(n: int) -> int:
    return await total_of(*(call("add", i, 1) for i in range(n)))


async def total_of(*calls: Any) -> int:
    result = 0
    for value in await asyncio.gather(*calls):
        result += value
    return result


@procedure
async def drive_count(n: int) -> int:
    return await total(await call("count", n, returns=Receiver))


@procedure
async def drive_count_into(n: int) -> int:
    items = Receiver(wire)
    sums = await asyncio.gather(call("count_into", n, items), total(items))
    return sums[1]


@procedure
async def drive_stop(n: int) -> int:
    items = await call("count", 1_000_000_000, returns=Receiver)
    result = 0
    for _ in range(n):
        result += await anext(items)
    items.close(Code.CANCELLED)
    return result


@procedure
async def drive_sum(n: int) -> int:
    return await call("sum", numbers(n))


@procedure
async def drive_relay(n: int) -> int:
    back = Receiver(wire)
    relaying = asyncio.create_task(call("relay", numbers(n), back))
    came = 0
    async for item in back:
        came += item == came
    await relaying
    return came


@procedure
async def drive_call_back(k: int) -> int:
    return await call("call_back", lambda i: 2 * i, k)


@procedure
async def drive_cancel() -> None:
    hanging = asyncio.create_task(call("hang"))
    await asyncio.sleep(0)  # it goes first
    await call("add", 1, 2)
    hanging.cancel()


@procedure
async def drive_deadline(ms: int) -> int:
    try:
        async with asyncio.timeout(ms / 1000):
            return await call("hang")
    except TimeoutError:
        return Code.DEADLINE


async def main() -> int:
    global wire
    wire = await ipfi.over(0, 1, PROCEDURES)
    ended = await wire.done
    return 1 if ended.code else 0


sys.exit(asyncio.run(main()))
