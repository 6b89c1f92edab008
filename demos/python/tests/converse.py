"""Holds a conversation with the Rust server of `python.rs`, and tells it how it went."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ipfi
from example import below, dial
from ipfi import Receiver


def twice(n: int) -> int:
    return 2 * n


async def main(address: str) -> None:
    wire = await dial(address, {"twice": twice})
    for n in range(50):
        assert await wire.call("add", n, -2) == n - 2
    data = bytes(n % 251 for n in range(300_000))
    assert await wire.call("echo", data) == data
    counted = await wire.call("count", 5000, returns=Receiver)
    assert [n async for n in counted] == list(range(5000))
    numbers = Receiver(wire)
    counting = asyncio.create_task(wire.call("count_into", 5000, numbers))
    assert [n async for n in numbers] == list(range(5000))
    await counting
    assert await wire.call("sum", below(1000)) == 499_500
    seen: list[int] = []
    assert await wire.call("render", 3, seen.append) == "3 frames"
    assert seen == [1, 2, 3]
    callback = await wire.call("adder", 5, returns=ipfi.Callback)
    assert [await callback(n) for n in (1, 2)] == [6, 7]
    callback.close()
    assert await wire.call("point", {"x": 1.5, "y": None}) == {"x": None, "y": 1.5}
    assert await wire.call("call_me", 21) == 42
    for name, arguments, code, safe in [
        ("nothing", (), ipfi.Code.NO_PROCEDURE, True),
        ("add", ("a", 1), ipfi.Code.BAD_ARGUMENTS, True),
        ("fails", (), 300, False),
    ]:
        try:
            await wire.call(name, *arguments)
            raise AssertionError(name)
        except ipfi.Error as error:
            assert (error.code, error.retry_safe) == (code, safe), (name, error, error.retry_safe)
    try:
        async with asyncio.timeout(0.1):
            await wire.call("hangs")
        raise AssertionError("hangs")
    except TimeoutError:
        pass
    hanging = asyncio.create_task(wire.call("hangs"))
    await wire.call("add", 1, 2)
    hanging.cancel()
    assert await wire.call("cancelled") >= 1
    described = await wire.call("ipfi.describe", [])
    names = {procedure["name"]: procedure for procedure in described["New"]["procedures"]}
    assert names["add"]["signature"] == "(i64, i64) -> i64", names["add"]
    await wire.call("done", "all is well")
    await wire.close()


asyncio.run(main(sys.argv[1]))
