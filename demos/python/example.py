#!/usr/bin/env python3
"""A service and its client: `example.py serve tcp-listen:127.0.0.1:7000`, `example.py call tcp:127.0.0.1:7000`."""

import sys
from collections.abc import Callable, Iterator

import ipfi
from ipfi import Receiver


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


def count(to: int) -> Receiver[int]:
    """Streams the numbers below `to`."""
    return iter(range(to))


def mean(numbers: Receiver[float]) -> float:
    """The mean of a stream of numbers."""
    total, n = 0.0, 0
    for n, number in enumerate(numbers, 1):
        total += number
    if not n:
        raise ipfi.Error(300, "no numbers have no mean")
    return total / n


def render(frames: int, progress: Callable[[int], None]) -> str:
    """Tells how far it is by a callback."""
    for frame in range(frames):
        progress(frame + 1)
    return f"{frames} frames"


def numbers() -> Iterator[float]:
    yield from (1.0, 2.0, 6.0)


def main(verb: str, address: str) -> None:
    if verb == "serve":
        ipfi.serve(address, {function.__name__: function for function in (add, count, mean, render)})
        return
    with ipfi.dial(address) as wire:
        print("2 + 3 =", wire.call("add", 2, 3))
        print("counted:", *wire.call("count", 5, returns=Receiver[int]))
        print("mean:", wire.call("mean", numbers(), deadline=5))
        print("rendered:", wire.call("render", 3, lambda frame: print("  frame", frame)))
        try:
            wire.call("mean", iter([]))
        except ipfi.Error as error:
            print("error:", error)
        for procedure in wire.describe():
            print(procedure["name"] + procedure["signature"], "-", procedure["doc"])


if __name__ == "__main__":
    main(*sys.argv[1:])
