"""The link of the ring in Python."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import ipfi


async def main() -> None:
    async def pass_on(text: str) -> str:
        return await wire.call("pass", text + " -> Python")

    wire = await ipfi.over(0, 1, {"pass": pass_on})
    await wire.done


asyncio.run(main())
