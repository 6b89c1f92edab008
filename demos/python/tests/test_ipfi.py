"""The vectors of core/proto/SPEC.md, every split of the bytes, and what strangers may send."""

import math
import pathlib
import random
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import ipfi
import ipfi_protocol
from ipfi_protocol import (
    CALLBACK, CALLBACKS, CALLS, PROCEDURE, STREAMS, Code, Connection, Head, Limits, Message, Port, Reader, frame)

SPEC = (HERE.parent.parent.parent / "core/proto/SPEC.md").read_text()
# The limits of the hello in section 1, which the vectors announce.
LIMITS = Limits(1024 << 7, 8 << 5, 4096 << 10, 4096 << 6, 8 << 5, 1024 << 6, 8 << 7, 8 << 7)


def bytes_of(text: str) -> bytes:
    """Hexadecimal, with `-` for nothing and `00*400` for repetition."""
    out = b""
    for word in text.replace("-", "").split():
        digits, _, times = word.partition("*")
        out += bytes.fromhex(digits) * int(times or 1)
    return out


def frames(data: bytes, hello: bool) -> list[bytes]:
    """The hello and the frames, neighbouring ITEMS of one stream as one."""
    r, out = Reader(data), []
    if hello:
        out.append(r.take(8))
    while r.left:
        body = r.take(r.varint())
        if out and len(body) > 1 and body[0] & 0xC0 == Head.ITEMS and out[-1][:1] == body[:1]:
            out[-1] += body[1:]
        else:
            out.append(body)
    return out


class Subject:
    """Plays one vector."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.test, self.c, self.now = test, Connection(LIMITS, codec=1), 0.0
        self.steps: list = []
        self.events: list[str] = []
        self.calls: dict[str, Port] = {}
        self.streams: dict[str, Port] = {}
        self.callbacks: dict[str, Port] = {}
        self.parts: dict[str, list] = {}
        self.seen: dict = {}
        self.hello = True

    def step(self) -> None:
        self.now = self.c.now
        self.c.tick(self.c.now)
        self.steps = [step for step in self.steps if next(step, self) is not self]

    def say(self, text: str) -> None:
        self.events.append(text.strip())

    def handles(self, message: Message) -> str:
        """Names what came along."""
        out = ""
        for port in message.handles:
            if port.kind == CALLBACKS:
                name = f"~{port.number}"
                self.callbacks[name] = port
                out += f" callback={name}"
            else:
                name = f"~{sum(key[0] == '~' for key in self.streams)}"
                self.streams[name] = port
                out += f" {'sender' if port.sends else 'receiver'}={name}"
        return out

    def once(self, key: object, text: str) -> None:
        if key not in self.seen:
            self.seen[key] = True
            self.say(text)

    def watch(self) -> None:
        """Makes events of what has changed."""
        c = self.c
        if c.greeted and self.codec in (0, 1):
            self.once("hello", f"hello codec={self.codec}")
        for number, (fingerprint, name) in enumerate(c.bound):
            self.once(("bound", number), f"bound {number} {name} {fingerprint}")
        while c.arrived:
            call = c.arrived.popleft()
            self.calls[f"~{call.number}"] = call
            message = call.items.popleft()
            kind, number, *name = call.target
            target = f"named {name[0]} {int.from_bytes(number, 'little')}" if name else (
                f"{'procedure' if kind == PROCEDURE else 'callback'} {number}")
            rest = self.handles(message)
            rest += f" deadline={round((call.deadline - c.now) * 1000)}" if call.deadline < math.inf else ""
            rest += ["", " priority=high", " priority=low"][call.flags >> 5 & 3]
            self.say(f"call ~{call.number} {target} {message.payload.hex() or '-'}{rest}")
        for name, call in list(self.calls.items()):
            if name[0] == "~" and call.stop is not None and not c.ended and call.end is None:
                self.once((call, "stop"), f"cancelled {name} {call.stop}")
            if name[0] != "~" and call.end is not None:
                if call.end[0]:
                    started = "no" if call.retry_safe else "maybe"
                    self.once((call, "end"), f"failed {name} {call.end[0]} {started}")
                elif call.items:
                    message = call.items.popleft()
                    self.say(f"answer {name} {message.payload.hex() or '-'}{self.handles(message)}")
        for name, s in self.streams.items():
            if s.sends and s.stop is not None and not c.ended:
                self.once((s, "stop"), f"stopped {name} {s.stop}")
        for name, port in self.callbacks.items():
            if port.mine and port.number >= 0 and (CALLBACKS, True, port.number) not in c.ports and not c.ended:
                self.once((port, "gone"), f"released {name}")
        if c.refused and not c.closing and not (c.ended and c.ended.code):
            self.once("away", "going-away 0")
        if c.ended:
            self.once("closed", "closed")

    def act(self, verb: str, words: list[str]) -> None:
        c = self.c
        options = dict(word.split("=") for word in words if "=" in word)
        words = [word for word in words if "=" not in word] + ["-"] * 4
        match verb:
            case "bind":
                target = c.bind(words[1], int(words[2]))
                self.test.assertEqual(target, (PROCEDURE, int(words[0])))
            case "call":
                kind = PROCEDURE if words[1] == "procedure" else CALLBACK
                flags = ["normal", "high", "low"].index(options.get("priority", "normal")) << 5
                deadline = c.now + int(options["deadline"]) / 1000 if "deadline" in options else math.inf
                call = self.calls[words[0]] = c.call((kind, int(words[2].strip("~"))), flags, deadline)
                handles = [self.streams[options["stream"]]] if "stream" in options else []
                handles += [self.callbacks[options["callback"]]] if "callback" in options else []
                self.steps.append(c.send(call, Message(bytes_of(words[3]), handles)))
            case "answer":
                self.steps.append(c.send(self.calls[words[0]], Message(bytes_of(words[1]))))
            case "fail":
                c.last(self.calls[words[0]], int(words[1]), words[3], words[2] == "yes")
            case "stream":
                self.streams[words[0]] = Port(STREAMS, True, words[1] == "out")
            case "callback":
                self.callbacks[words[0]] = Port(CALLBACKS, True, True, function=print)
            case "item":
                self.steps.append(c.send(self.streams[words[0]], Message(bytes_of(words[1]))))
            case "blocked":
                self.blocked = c.send(self.streams[words[0]], Message(b"more"))
                self.test.assertIsNone(next(self.blocked))
            case "finish":
                c.last(self.streams[words[0]])
            case "read":
                while item := c.take(self.streams[words[0]]):
                    self.say(f"item {words[0]} {item.payload.hex() or '-'}")
                if end := self.streams[words[0]].end:
                    self.say(f"end {words[0]} {end[0]} {end[1]}")
            case "release":
                c.last(self.callbacks[words[0]])
            case "wait":
                c.now += int(words[0]) / 1000
            case "close":
                c.close()
            case "abort":
                c.close(int(words[0]), " ".join(word for word in words if word not in (words[0], "-")))
            case "ping":
                c.out += frame(Head.PING, 1)
            case _:
                self.test.fail(f"unknown: {verb}")
        self.step()

    def play(self, block: str, chunks) -> None:
        self.codec, wanted, expected = 0, [], []
        lines = [line.split("#")[0].rstrip() for line in block.splitlines()]
        for line, following in zip(lines, [*lines[1:], ""]):
            mark, text = line[:2].strip(), line[2:].strip()
            match mark:
                case "<":
                    data = bytes_of(text)
                    self.codec = self.codec or (data[3] if data[:2] == b"\x1f\xf1" else 0)
                    for chunk in chunks(data):
                        self.c.receive(chunk)
                    self.step()
                case ">" | ">~":
                    wanted += [bytes_of(text)] if mark == ">" else [int(text)]
                    if not following.startswith(">"):
                        self.compare(wanted)
                        wanted = []
                case "=":
                    expected.append(re.sub("^closed:.*", "closed", text))
                case "!":
                    verb, *words = text.split()
                    self.act(verb, words)
            self.watch()
        # What is there to read, may be sent or answers to PING this engine does not tell.
        expected = [event for event in expected if not event.startswith(("readable", "writable", "pong"))]
        self.test.assertEqual(sorted(self.events), sorted(expected))

    def compare(self, wanted: list[bytes | int]) -> None:
        self.step()
        said = frames(self.c.transmit(), self.hello)
        if isinstance(wanted[-1], int):
            last = Reader(said.pop())
            self.test.assertEqual([last.number(), last.varint()], [Head.GOAWAY, wanted.pop()])
        self.test.assertEqual(said, frames(b"".join(wanted), self.hello))
        self.hello = False


VECTORS = re.findall(r"```vector\n(.*?)```", SPEC, re.S)


def can(block: str) -> bool:
    """Two vectors are for peers that admit, and that send arguments before they have all of them (13)."""
    return " c9 " not in block and "! arguments" not in block


class Vectors(unittest.TestCase):
    def test_whole(self) -> None:
        self.assertGreater(sum(map(can, VECTORS)), 15)
        for block in filter(can, VECTORS):
            with self.subTest(block=block):
                Subject(self).play(block, lambda data: [data])

    def test_byte_by_byte(self) -> None:
        for block in filter(can, VECTORS):
            with self.subTest(block=block):
                Subject(self).play(block, lambda data: [data[i : i + 1] for i in range(len(data))])

    def test_every_split(self) -> None:
        for block in filter(can, VECTORS):
            came = (bytes_of(line[2:].split("#")[0]) for line in block.splitlines() if line[0] == "<")
            longest = max(map(len, came), default=0)
            for at in range(1, longest if longest < 100 else 12):
                with self.subTest(block=block, at=at):
                    Subject(self).play(block, lambda data: [data[:at], data[at:]])


class Strangers(unittest.TestCase):
    """Whatever comes, the wire ends in order and holds no more than it announced."""

    def test_noise(self) -> None:
        for seed in range(300):
            chance, c = random.Random(seed), Connection()
            c.receive(bytes.fromhex("1ff1010275a65677"))
            for _ in range(50):
                head = chance.choice([0, 1, 0x40, 0x80, *range(0xC0, 0xD3)])
                body = bytes((head, *chance.randbytes(chance.randrange(9))))
                c.receive(ipfi_protocol.varint(len(body)) + body)
                c.transmit()
                with self.subTest(seed=seed):
                    self.assertLessEqual(len(c.ports), 64 + 64 + 256)
                if c.ended:
                    break

    def test_claimed_lengths_allocate_nothing(self) -> None:
        for text in ("dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", "c1", "91" * 200, "9f 01"):
            with self.subTest(text=text), self.assertRaises((EOFError, ValueError, ipfi.Error)):
                ipfi.unpack(Reader(bytes.fromhex(text)))

    def test_items_of_two_threads_do_not_mix(self) -> None:
        c, s = Connection(), Port(STREAMS, True, True)
        c.receive(bytes.fromhex("1ff1010200000000"))
        for _ in c.send(c.call((PROCEDURE, 0)), Message(b"\0", [s])):
            pass
        c.transmit()
        long, short = c.send(s, Message(bytes(3000))), c.send(s, Message(b"short"))
        said = b""
        for _ in range(40):
            next(long, None), next(short, None)
            said += c.transmit()
            c.receive(bytes.fromhex("04c8018001"))  # CREDIT
        self.assertEqual([body[0] for body in frames(said, False)][-1], Head.ITEMS)
        self.assertEqual(sum(len(body) for body in frames(said, False) if body[0] == Head.ITEM) > 3000, True)

    def test_values_come_back(self) -> None:
        for row in re.findall(r"^\| `[^|]*` \| `[^|]*` \| `([0-9a-f]+)` \|", SPEC, re.M):
            with self.subTest(row=row):
                r = Reader(bytes.fromhex(row))
                ipfi.unpack(r)
                self.assertEqual(r.left, 0)
        for value in (None, True, -1, -33, 2**64 - 1, -(2**63), 1.5, "Grüße", b"\xff", [1, [2]], {"a": {1: None}}):
            packed = ipfi.pack(value, lambda thing: 0)
            self.assertEqual(ipfi.unpack(Reader(packed)), value)


if __name__ == "__main__":
    unittest.main()
