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
from unittest import mock

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


async def turn(loops: int = 50) -> None:
    """Lets all others run as far as they get."""
    for _ in range(loops):
        await asyncio.sleep(0)


async def large() -> AsyncIterator[bytes]:
    yield b"x" * 900_000


class Interruptions(unittest.IsolatedAsyncioTestCase):
    """What is cancelled, closed or refused half way ends alone, and the wire goes on."""

    async def test_a_stream_is_closed_inside_of_an_item(self) -> None:
        async def out(items: ipfi.Sender) -> None:
            sending = asyncio.create_task(items.send(b"x" * 900_000))
            await turn()
            items.close()
            with self.assertRaises(ipfi.Error):
                await sending

        wire, _ = await pair({"large": large, "out": out, "one": lambda: 1})
        items = await wire.call("large", returns=Receiver)
        reading = asyncio.create_task(anext(items))
        while not items.more:
            await asyncio.sleep(0)
        items.close()
        await asyncio.wait([reading])
        self.assertIsInstance(reading.exception(), StopAsyncIteration)
        await wire.call("out", Receiver(wire))
        self.assertEqual(await wire.call("one"), 1)

    async def test_a_send_is_cancelled_inside_of_an_item(self) -> None:
        came = asyncio.Event()

        async def out(items: ipfi.Sender) -> None:
            sending = asyncio.create_task(items.send(b"x" * 900_000))
            await came.wait()
            sending.cancel()
            await asyncio.wait([sending])
            with self.assertRaises(ipfi.Error):
                await items.send(b"y")
            items.close()

        wire, _ = await pair({"out": out, "one": lambda: 1})
        items = Receiver(wire)
        calling = asyncio.create_task(wire.call("out", items))
        while not items.more:
            await asyncio.sleep(0)
        came.set()
        await calling
        with self.assertRaises(ipfi.Error) as failed:
            await anext(items)
        self.assertEqual(failed.exception.code, ipfi.Code.CANCELLED)
        self.assertEqual(await wire.call("one"), 1)

    async def test_a_stream_passed_on_is_stopped(self) -> None:
        async def pages() -> AsyncIterator[bytes]:
            while True:
                yield bytes(4000)

        def back(items: Receiver) -> Receiver:
            return items

        wire, _ = await pair({"back": back})
        for _ in range(40):
            items = await asyncio.wait_for(wire.call("back", pages(), returns=Receiver), 5)
            await anext(items)
            items.close()
        await asyncio.wait_for(wire.close(), 5)

    async def test_who_stops_waiting_for_the_end_does_not_hurt(self) -> None:
        async def leave() -> None:
            await serving.close(300, "left")

        wire, serving = await pair({"forever": asyncio.Event().wait, "leave": leave})
        calling = asyncio.create_task(wire.call("forever"))
        while not serving.ports:
            await asyncio.sleep(0)
        with self.assertRaises(TimeoutError):
            await asyncio.wait_for(wire.close(), 0)
        serving.close(300)
        await asyncio.wait([calling], timeout=5)
        self.assertTrue(calling.done())
        self.assertEqual(calling.exception().code, 300)

        wire, serving = await pair({"leave": leave})
        with self.assertRaises(ipfi.Error):
            await wire.call("leave")
        self.assertEqual((await serving.done).code, 300)

        wire, serving = await pair({"forever": asyncio.Event().wait})
        calling = asyncio.create_task(wire.call("forever"))
        while not serving.ports:
            await asyncio.sleep(0)
        wire.done.cancel()
        await asyncio.wait([calling], timeout=5)
        self.assertEqual(calling.exception().code, ipfi.Code.LOST)

    async def test_calls_that_wait_when_the_wire_closes(self) -> None:
        reader, writer, wire = await raw({})
        writer.write(HELLO)
        calls = [asyncio.create_task(wire.call("f")) for _ in range(9)]  # and 8 are allowed
        await turn()
        wire.close()
        writer.write(bytes.fromhex("0240c0"))
        await asyncio.wait(calls[:1] + calls[8:])
        error = calls[8].exception()
        self.assertEqual((error.code, error.retry_safe), (ipfi.Code.GOING_AWAY, True))
        writer.write_eof()
        sent = await reader.read()
        self.assertNotIn(b"\x01f", sent[sent.index(bytes.fromhex("02cf00")):])
        await asyncio.wait(calls)
        self.assertEqual({call.exception() is None for call in calls}, {True, False})

    async def test_errors_say_what_happened(self) -> None:
        def fails() -> None:
            raise ipfi.Error(300, ValueError("a text"))

        wire, _ = await pair({"fails": fails, "five": lambda: 5, "function": lambda: fails})
        with self.assertRaises(ipfi.Error) as failed:
            await asyncio.wait_for(wire.call("fails"), 5)
        self.assertEqual((failed.exception.code, failed.exception.text), (300, "a text"))
        with self.assertRaises(ipfi.Error) as failed:
            await wire.call("five", returns=str)
        self.assertFalse(failed.exception.retry_safe)
        callback = await wire.call("function", returns=ipfi.Callback)
        await wire.close()
        with self.assertRaises(ipfi.Error) as failed:
            await callback()
        self.assertEqual(failed.exception.code, ipfi.Code.GOING_AWAY)

    async def test_more_handles_than_may_be(self) -> None:
        _, writer, wire = await raw({})
        writer.write(HELLO)
        with self.assertRaises(ipfi.Error) as failed:
            await asyncio.wait_for(wire.call("f", *[print] * 9), 5)
        self.assertEqual(failed.exception.code, ipfi.Code.TOO_LARGE)

    async def test_the_other_side_does_not_read(self) -> None:
        _, writer, wire = await raw({})
        writer.write(HELLO)
        writer.transport.pause_reading()

        async def ends() -> None:
            while wire.output.transport.get_write_buffer_size() <= ipfi.BACKLOG:
                writer.write(bytes.fromhex("02cd01") * 1000)
                await asyncio.sleep(0)
            await turn()
            wire.close(300)
            while not wire.output.is_closing():
                await asyncio.sleep(0)

        with mock.patch.object(ipfi, "BACKLOG", 1 << 17):
            await asyncio.wait_for(ends(), 5)
        writer.transport.abort()
        self.assertEqual((await wire.done).code, 300)


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
