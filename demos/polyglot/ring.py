"""The link of the ring in Python."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import ipfi


async def pass_on(text: str) -> str:
    return await ipfi.current.get().call("pass", text + " -> Python")


async def main() -> None:
    wire = await ipfi.over(0, 1, {"pass": pass_on})
    await wire.done


asyncio.run(main())
