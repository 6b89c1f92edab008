"""Holds a conversation with the Rust server of `python.rs`, and tells it how it went."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ipfi
from ipfi import Receiver, Sender


def twice(n: int) -> int:
    return 2 * n


def main(address: str) -> None:
    with ipfi.dial(address, {"twice": twice}) as wire:
        for n in range(50):
            assert wire.call("add", n, -2) == n - 2
        data = bytes(n % 251 for n in range(300_000))
        assert wire.call("echo", data) == data
        assert sum(wire.call("count", 5000, returns=Receiver[int])) == 12_497_500
        numbers = Receiver()
        counting = wire.start("count_into", 5000, numbers)
        assert list(numbers) == list(range(5000))
        counting.result()
        assert wire.call("sum", iter(range(1000))) == 499_500
        seen: list[int] = []
        assert wire.call("render", 3, seen.append) == "3 frames"
        assert seen == [1, 2, 3]
        callback = wire.call("adder", 5, returns=ipfi.Callback)
        assert [callback(n) for n in (1, 2)] == [6, 7]
        assert wire.call("point", {"x": 1.5, "y": None}) == {"x": None, "y": 1.5}
        assert wire.call("call_me", 21) == 42
        for name, arguments, code, safe in [
            ("nothing", (), ipfi.Code.NO_PROCEDURE, True),
            ("add", ("a", 1), ipfi.Code.BAD_ARGUMENTS, True),
            ("fails", (), 300, False),
            ("hangs", (), ipfi.Code.DEADLINE, False),
        ]:
            try:
                wire.call(name, *arguments, deadline=0.1 if name == "hangs" else 60)
                raise AssertionError(name)
            except ipfi.Error as error:
                assert (error.code, error.retry_safe) == (code, safe), (name, error, error.retry_safe)
        hanging = wire.start("hangs")
        hanging.close(ipfi.Code.CANCELLED)
        assert wire.call("cancelled") >= 1
        names = {procedure["name"]: procedure for procedure in wire.describe()}
        assert names["add"]["signature"] == "(i64, i64) -> i64", names["add"]
        wire.call("done", "all is well")


main(sys.argv[1])
