#!/usr/bin/env python3
"""A service and its client: `example.py serve tcp-listen:127.0.0.1:7000`, `example.py call tcp:127.0.0.1:7000`."""

import asyncio
import os
import shlex
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable

import ipfi
from ipfi import Callback, Receiver


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


async def below(to: int) -> AsyncIterator[int]:
    for n in range(to):
        yield n


def count(to: int) -> Receiver:
    """Streams the numbers below `to`."""
    return below(to)


async def mean(numbers: Receiver) -> float:
    """The mean of a stream of numbers."""
    total, n = 0.0, 0
    async for number in numbers:
        total, n = total + number, n + 1
    if not n:
        raise ipfi.Error(300, "no numbers have no mean")
    return total / n


async def render(frames: int, progress: Callback) -> str:
    """Tells how far it is by a callback."""
    for frame in range(frames):
        await progress(frame + 1)
    progress.close()
    return f"{frames} frames"


async def numbers(*items: float) -> AsyncIterator[float]:
    for item in items:
        yield item


async def dial(address: str, procedures: dict[str, Callable] = {}) -> ipfi.Wire:
    """A wire over tcp:HOST:PORT, unix:PATH, exec:COMMAND, serial:DEVICE[,baud=N] or stdio:"""
    scheme, _, rest = address.partition(":")
    where, *options = rest.split(",")
    match scheme:
        case "tcp":
            host, _, port = where.rpartition(":")
            return ipfi.Wire(*await asyncio.open_connection(host.strip("[]"), int(port)), procedures)
        case "unix":
            return ipfi.Wire(*await asyncio.open_unix_connection(where), procedures)
        case "exec":
            pipe = asyncio.subprocess.PIPE
            child = await asyncio.create_subprocess_exec(*shlex.split(rest), stdin=pipe, stdout=pipe)
            return ipfi.Wire(child.stdout, child.stdin, procedures)
        case "serial":
            line = os.open(where, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(line, termios.TCSANOW)
            modes = termios.tcgetattr(line)
            baud = dict(option.split("=") for option in options).get("baud", "115200")
            modes[4] = modes[5] = getattr(termios, "B" + baud)
            termios.tcsetattr(line, termios.TCSANOW, modes)
            return await ipfi.over(line, os.dup(line), procedures)
        case "stdio":
            out = os.dup(1)
            os.dup2(2, 1)  # what the program prints must not come in between
            return await ipfi.over(0, out, procedures)
    raise ValueError(f"{address}: use tcp:, unix:, exec:, serial: or stdio:")


async def serve(address: str, procedures: dict[str, Callable]) -> None:
    """Serves whoever connects to tcp-listen:HOST:PORT or unix-listen:PATH; at any other address one peer."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ipfi.Wire(reader, writer, procedures).done

    scheme, _, where = address.partition("-listen:")
    if not where:
        await (await dial(address, procedures)).done
        return
    host, _, port = where.rpartition(":")
    server = await (asyncio.start_unix_server(accept, where) if scheme == "unix" else
                    asyncio.start_server(accept, host.strip("[]"), int(port)))
    at = where if scheme == "unix" else "%s:%d" % server.sockets[0].getsockname()[:2]
    print(f"listening at {scheme}:{at}", flush=True)
    await server.serve_forever()


async def main(verb: str, address: str) -> None:
    if verb == "serve":
        await serve(address, {function.__name__: function for function in (add, count, mean, render)})
        return
    wire = await dial(address)
    print("2 + 3 =", await wire.call("add", 2, 3))
    print("counted:", *[n async for n in await wire.call("count", 5, returns=Receiver)])
    async with asyncio.timeout(5):
        print("mean:", await wire.call("mean", numbers(1.0, 2.0, 6.0)))
    print("rendered:", await wire.call("render", 3, lambda frame: print("  frame", frame)))
    try:
        await wire.call("mean", numbers())
    except ipfi.Error as error:
        print("error:", error)
    for procedure in (await wire.call("ipfi.describe", []))["New"]["procedures"]:
        print(procedure["name"] + procedure["signature"], "-", procedure["doc"])
    await wire.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
