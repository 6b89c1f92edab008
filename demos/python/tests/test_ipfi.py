"""Two wires in one program, the examples of core/proto/SPEC.md, and what strangers may send."""

import asyncio
import contextlib
import pathlib
import random
import re
import socket
import struct
import sys
import unittest
from collections.abc import AsyncIterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import ipfi
from ipfi import Receiver

SPEC = (HERE.parent.parent.parent / "core/proto/SPEC.md").read_text()
HELLO = bytes.fromhex("1ff1010200000000")


async def pair(procedures: dict[str, Any]) -> tuple[ipfi.Wire, ipfi.Wire]:
    """A wire, and one to it that serves these procedures."""
    ends = [await asyncio.open_connection(sock=end) for end in socket.socketpair()]
    return ipfi.Wire(*ends[0]), ipfi.Wire(*ends[1], procedures)


async def raw(procedures: dict[str, Any]) -> tuple[Any, Any, ipfi.Wire]:
    """What a stranger reads and writes, and the wire to it."""
    ends = [await asyncio.open_connection(sock=end) for end in socket.socketpair()]
    return *ends[0], ipfi.Wire(*ends[1], procedures)


class Conversations(unittest.IsolatedAsyncioTestCase):
    async def test_items_of_two_tasks_do_not_mix(self) -> None:
        async def both(out: ipfi.Sender) -> None:
            await asyncio.gather(out.send(b"x" * 900_000), out.send(b"short"), out.send(b"y" * 900_000))
            out.close()

        wire, _ = await pair({"both": both})
        items = Receiver(wire)
        calling = asyncio.create_task(wire.call("both", items))
        self.assertEqual([len(item) async for item in items], [900_000, 5, 900_000])
        await calling
        await wire.close()

    async def test_streams_are_passed_on(self) -> None:
        async def three() -> AsyncIterator[int]:
            for n in range(3):
                yield n

        wire, _ = await pair({"three": three, "back": lambda items: items})
        items = await wire.call("three", returns=Receiver)
        self.assertEqual([n async for n in items], [0, 1, 2])
        with self.assertRaises(ipfi.Error):
            await wire.call("back", object())
        await wire.close()

    async def test_a_lost_wire_ends_what_waits(self) -> None:
        async def forever() -> None:
            await asyncio.Event().wait()

        wire, other = await pair({"forever": forever})
        calling = asyncio.create_task(wire.call("forever"))
        while not other.ports:
            await asyncio.sleep(0)
        other.output.transport.abort()
        with self.assertRaises(ipfi.Error) as failed:
            await calling
        self.assertEqual((failed.exception.code, failed.exception.retry_safe), (ipfi.Code.LOST, False))
        await wire.done


class Strangers(unittest.IsolatedAsyncioTestCase):
    """Whatever comes, the wire ends in order and holds no more than it announced."""

    async def test_noise(self) -> None:
        for seed in range(100):
            chance = random.Random(seed)
            reader, writer, wire = await raw({"add": lambda a, b: a + b})
            writer.write(HELLO)
            for _ in range(50):
                head = chance.choice([0, 1, 0x40, 0x80, *range(0xC0, 0xD3)])
                body = bytes((head, *chance.randbytes(chance.randrange(9))))
                writer.write(bytes((len(body),)) + body)
            with contextlib.suppress(OSError):
                writer.write_eof()
                while data := await reader.read(1 << 16):
                    self.assertLess(len(data), 1 << 16)
                    self.assertLessEqual(len(wire.ports), 64 + 16 + 256)
            with self.subTest(seed=seed):
                self.assertTrue((await wire.done).code or wire.ended.text)
            writer.close()

    async def test_a_codec_of_others_is_refused(self) -> None:
        reader, writer, wire = await raw({})
        writer.write(bytes.fromhex("1ff1010175a65677"))
        self.assertEqual((await reader.read())[9:11], bytes((ipfi.GOAWAY, ipfi.Code.CODEC)))
        self.assertEqual((await wire.done).code, ipfi.Code.CODEC)
        writer.close()


class Values(unittest.TestCase):
    def test_claimed_lengths_allocate_nothing(self) -> None:
        for text in ("dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", "c1", "91" * 200, "9f 01"):
            with self.subTest(text=text), self.assertRaises((struct.error, ValueError, ipfi.Error)):
                ipfi.unpack(bytearray(bytes.fromhex(text)))

    def test_values_come_back(self) -> None:
        rows = re.findall(r"^\| `[^|]*` \| `[^|]*` \| `([0-9a-f]+)` \|", SPEC, re.M)
        self.assertGreater(len(rows), 10)
        for row in rows:
            with self.subTest(row=row):
                r = bytearray(bytes.fromhex(row))
                ipfi.unpack(r)
                self.assertEqual(len(r), 0)
        for value in (None, True, -1, -33, 2**64 - 1, -(2**63), 1.5, "Grüße", b"\xff", [1, [2]], {"a": {1: None}}):
            packed = ipfi.pack(value, [])
            self.assertEqual(ipfi.unpack(bytearray(packed)), value)


if __name__ == "__main__":
    unittest.main()
