"""IPFI in Python: calls, streams and callbacks between two programs, over any bytes in order.

    async with ipfi.Wire(*await asyncio.open_connection("127.0.0.1", 7000)) as wire:
        print(await wire.call("greet", "Ada"))

Written from core/proto/SPEC.md; numbers in comments are its rules. To cancel the task that calls is
to cancel the call, and the task of its procedure.
"""

import asyncio
import contextlib
import contextvars
import inspect
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, get_args, get_origin

current: contextvars.ContextVar["Wire"] = contextvars.ContextVar("current")  # in a procedure
living: set["Wire"] = set()  # asyncio alone would let go of a wire that waits
PIECE, BACKLOG = 16 << 10, 1 << 20  # most bytes in a frame, so that all take turns; and unwritten
MORE, HANDLES, DEADLINE, CALLBACK, NAMED, TARGET, PRIORITY, TOTAL = 1, 2, 4, 8, 16, 24, 96, 128
FRAME, CALLS, MESSAGE, WINDOW, STREAMS, CREDIT, CALLBACKS, BINDINGS = range(8)  # limits (3.1)
SMALLEST = 1 << 10, 8, 4 << 10, 4 << 10, 8, 1 << 10, 8, 8
LIMITS = 128 << 10, 32, 1 << 20, 1 << 20, 16, 64 << 10, 256, 256  # so that it needs no ADMIT (13)
HELLO = bytes.fromhex("1ff1 01 02 72881655")  # codec 2, and LIMITS as powers of 2

class Head:  # the first byte of a frame (4.2); these three have a number in the lower bits
    CALL, ANSWER, ITEMS = 0x00, 0x40, 0x80
    OPEN, ARGUMENTS, RESULT, ERROR, CANCEL, ITEM, END, STOP, CREDIT = range(0xC0, 0xC9)
    ADMIT_ARGUMENTS, ADMIT_RESULT, BIND, RELEASE, PING, PONG, GOAWAY, BYE = range(0xC9, 0xD1)

FLAGS = {Head.OPEN: 0xFF, Head.ARGUMENTS: 3, Head.RESULT: 0x83, Head.ITEM: 3}  # that may be set
STRICT = Head.RESULT, Head.ERROR, Head.ITEM, Head.END, Head.STOP, Head.CREDIT  # of what is open
ROLES = {  # by kind and if it sends: heads of parts and of the last word; which of its 3 fields
    (CALLS, False): (Head.OPEN, Head.CANCEL, 1, 2), (CALLS, True): (Head.RESULT, Head.ERROR, 0, 3),
    (STREAMS, False): (None, Head.STOP, 1, 2), (STREAMS, True): (Head.ITEM, Head.END, 1, 3),
    (CALLBACKS, False): (None, Head.RELEASE, 0, 0)}

class Code:  # why something ended (9); those from 256 up belong to applications
    FINISHED, CANCELLED, DEADLINE, GOING_AWAY, NO_PROCEDURE, NO_CALLBACK = 0, 1, 2, 5, 6, 8
    BAD_ARGUMENTS, BAD_RESULT, TOO_LARGE, FAILED, DROPPED, LOST = 9, 10, 12, 14, 15, 17
    BREACH, CODEC, LIMIT, OVERDRAWN, IDLE = 32, 34, 35, 36, 39

class Error(Exception):
    """A call, a stream or a wire failed; if `retry_safe`, the procedure certainly did not run."""

    def __init__(self, code: int, text: str = "", retry_safe: bool = False) -> None:
        super().__init__(f"{text or 'failed'} (code {code})")
        self.code, self.text, self.retry_safe = code, text, retry_safe

def check(holds: Any, text: str, code: int = Code.BREACH, retry_safe: bool = False) -> None:
    if not holds:
        raise Error(code, text, retry_safe)

class Reader(bytearray):
    """What a stranger wrote, taken from the front; allocates what came, not what is claimed."""

    def take(self, size: int) -> bytes:
        check(size <= len(self), "it ends too early")
        taken, self[:size] = bytes(self[:size]), b""
        return taken

    def number(self, form: str = "B") -> Any:
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def varint(self, most: int = 9) -> int:  # 2.1
        check(most, "an integer of more than nine bytes")
        byte = self.number()
        return byte if byte < 128 else byte - 128 + (self.varint(most - 1) << 7)

    def text(self, most: int = 1024) -> str:  # 2.3
        check(len(self) <= most, f"a text of more than {most} bytes")
        return self.take(len(self)).decode()

def varint(value: int) -> bytes:
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + varint(value >> 7)

HEADS = {  # of MessagePack (14.2), by kind of value, and number in the head or form of one behind
    (kind, number): bytes((first + place,)) for kind, first, numbers in (
        (int, 0x00, range(128)), (dict, 0x80, range(16)), (list, 0x90, range(16)),
        (str, 0xA0, range(32)), (type(None), 0xC0, [None]), (bool, 0xC2, [False, True]),
        (bytes, 0xC4, "BHI"), (float, 0xCA, "fd"), (int, 0xCC, "BHIQbhiq"), (str, 0xD9, "BHI"),
        (list, 0xDC, "HI"), (dict, 0xDE, "HI"), (int, 0xE0, range(-32, 0)))
    for place, number in enumerate(numbers)}
MEANINGS = {head: meaning for meaning, head in HEADS.items()}

def unpack(r: Reader, depth: int = 128) -> Any:
    """Reads a value of MessagePack."""
    head = r.take(1)
    check(depth and head in MEANINGS, "a head of no value, or values nested more than 128 deep")
    kind, number = MEANINGS[head]
    number = r.number(number) if isinstance(number, str) else number
    if kind is dict:
        return {unpack(r, depth - 1): unpack(r, depth - 1) for _ in range(number)}
    if kind is list:
        return [unpack(r, depth - 1) for _ in range(number)]
    if kind in (str, bytes):
        return r.take(number).decode() if kind is str else r.take(number)
    return number

def pack(value: Any, things: list) -> bytes:
    """Writes a value in MessagePack; gathers things that are none, and writes their places."""
    kind, number, body = list if type(value) is tuple else type(value), value, b""
    if kind in (list, dict):
        items = value if kind is list else [item for pair in value.items() for item in pair]
        number, body = len(value), b"".join(pack(item, things) for item in items)
    elif kind in (str, bytes):
        body = value.encode() if kind is str else value
        number = len(body)
    elif kind not in (int, float, bool, type(None)):
        kind, number = int, len(things)
        things.append(value)
    for form in (number, *"BHIQbhiqd"):
        with contextlib.suppress(KeyError, struct.error):
            head = HEADS[kind, form]
            return head + (b"" if form is number else struct.pack(">" + form, number)) + body
    raise Error(Code.BAD_RESULT, f"{number} has more than 64 bits", True)

class Port:
    """A call, stream or callback that is open: what came of it, and whose last word was said."""
    __class_getitem__ = classmethod(type(list[int]))  # Receiver[int]
    stream = property(lambda self: self.kind == STREAMS)
    over = property(lambda self: self.heard and (self.said or not self.stream) if self.mine
                    else self.said and (self.heard or not self.stream))
    closed = property(lambda self: self.said or self.heard or self.wire.ended)

    def __init__(self, wire: "Wire", kind: int = STREAMS, sends: bool = False, mine: bool = True,
                 source: Any = None) -> None:
        self.wire, self.kind, self.sends, self.mine, self.key = wire, kind, sends, mine, None
        self.source, self.task, self.hint = source, None, Any  # function or iterator; who runs it
        self.parts: list[tuple] = []  # that came: payload, handles, cost, if there is more
        self.payload, self.handles, self.length, self.more = b"", [], 0, None  # not complete yet
        self.credit, self.owed, self.used, self.turn = 0, 0, 0, asyncio.Lock()  # beyond the windows
        self.said, self.heard, self.started = False, None, False  # last words: own, of the other

    def open(self, number: int = 0) -> int:  # gives how it is listed among handles (4.7)
        while self.mine and (self.kind, True, number) in self.wire.ports:
            number += 1
        self.key = self.kind, self.mine, number
        good = self.mine or number < LIMITS[self.kind] and self.key not in self.wire.ports
        check(good, "a number in use, or one too many")
        self.wire.ports[self.key] = self
        self.name = 2 * number + (not self.mine) if self.stream else number  # 4.6
        if self.source and self.kind != CALLBACKS:
            self.task = asyncio.create_task(self.run())
        return 4 * number + (2 - self.sends if self.stream else 0)

    def close(self, code: int = Code.FINISHED, text: str = "") -> None:
        """Says the last word, unless that was done, and lets go (5.2, 5.10, 6.5, 7.2, 7.4)."""
        if not self.said and self.wire.ports.get(self.key) is self:
            _, head, begin, end = ROLES[self.kind, self.sends]
            self.said = True
            self.wire.emit(head, self.name, *(int(self.started), code, text)[begin:end])
            self.wire.settle(self)
            let_go(sum((handles for _, handles, *_ in self.parts), self.handles))

    def hear(self, error: Error) -> None:  # the last word of the other side
        self.heard = self.heard or error
        if self.task:
            self.task.cancel()
        if self.sends:
            self.close(error.code, "cancelled")
        self.wire.settle(self)

    def room(self, handles: list["Port"]) -> int:  # for the next part; none if no number is free
        limits, new = self.wire.limits, [port.kind for port in (*handles, self) if not port.key]
        kinds = new + [kind for kind, mine, _ in self.wire.ports if mine]
        fits = all(kinds.count(kind) <= limits[kind] for kind in new)
        window = limits[CREDIT] - 1 - 128 * len(handles) if self.stream else limits[WINDOW]  # 6.3
        return fits * min(self.credit + window, PIECE, limits[FRAME] - 5 * len(handles) - 320)

    async def send(self, value: Any, flags: int = 0, *opening: int | bytes) -> None:
        """Sends an item, arguments or a result as soon as limits and credit allow (5.5, 6.2)."""
        wire, head, things, handles = self.wire, ROLES[self.kind, self.sends][0], [], []
        data = whole = pack(value, things)
        for thing in things:
            kind = STREAMS if isinstance(thing, AsyncIterator) else CALLBACKS
            check(kind == STREAMS or callable(thing), f"{thing!r} cannot be sent", Code.BAD_RESULT)
            new = isinstance(thing, Receiver) and not thing.key
            handles.append(thing if new else Port(wire, kind, sends=True, source=thing))
        most = min(64, wire.limits[CREDIT] // 300) if self.stream else 64
        fits = len(data) <= wire.limits[MESSAGE] and len(handles) <= most
        check(fits, "too large for the other side", Code.TOO_LARGE, True)
        async with self.turn:  # the parts of two items do not mix
            while data:
                await wire.until(lambda: self.closed or self.room(handles) > 0)
                if self.closed:
                    return check(not self.stream, "nobody wants more items", Code.DROPPED)
                size = self.room(handles)
                part, data = data[:size], data[size:]
                if not self.key:
                    self.open()
                listing = [] if data else [port.open() for port in handles]
                flags |= MORE if data else HANDLES if handles else 0
                self.credit -= len(part) + self.stream * (1 + 128 * len(listing))
                if head == Head.RESULT and part == whole and not flags:
                    wire.emit(Head.ANSWER | self.name, part)
                else:
                    listing = [len(listing), *listing] if listing else []
                    wire.emit(head, self.name, bytes((flags,)), *opening, *listing, part)
                if head == Head.RESULT and not data:
                    self.said = True
                    wire.settle(self)
                head = Head.ARGUMENTS if head == Head.OPEN else head
                flags, opening = 0, ()
                with contextlib.suppress(OSError, EOFError):
                    await wire.output.drain()

    async def run(self) -> None:  # sends what an iterator gives, or what a function returns
        current.set(self.wire)
        try:
            if self.stream:
                async for item in self.source:
                    await self.send(item)
                return self.close()
            signature = inspect.signature(self.source, eval_str=True)
            arguments = await self.receive(signature, Code.BAD_ARGUMENTS)
            self.started = True
            result = self.source(*arguments)
            await self.send(await result if inspect.isawaitable(result) else result)
        except Error as error:
            self.close(error.code, error.text)
        except (Exception, asyncio.CancelledError) as error:
            self.close(Code.FAILED, f"{type(error).__name__}: {error}")

    async def receive(self, hint: Any, code: int = Code.BAD_RESULT) -> Any:
        """Takes a message or an item, and makes of it what a type hint or a signature says."""
        more = True
        while more:
            await self.wire.until(lambda: self.parts or self.closed)
            if not self.parts:
                let_go(self.handles)
                self.close()
                error = self.heard or self.wire.ended or Error(Code.FINISHED)
                raise error if error.code or not self.stream else StopAsyncIteration
            part, handles, cost, more = self.parts.pop(0)
            self.payload, self.handles = self.payload + part, self.handles + handles
            self.used += cost
            if self.used >= LIMITS[CREDIT] // 2 and not self.closed:  # 6.3, 6.4
                self.wire.emit(Head.CREDIT, self.name, self.used)
                self.owed, self.used = self.owed - self.used, 0
        r, handles = Reader(self.payload), self.handles
        self.payload, self.handles = b"", [] if self.stream else handles
        try:
            value = fit(unpack(r), hint, left := dict(enumerate(handles)))
            check(not r, "more than one value")
        except (TypeError, ValueError, Error) as error:
            let_go(handles)
            raise Error(code, str(error), True) from None
        let_go(left.values())
        return value

def let_go(handles: Iterable[Port]) -> None:  # 7.4
    for port in handles:
        port.close(Code.DROPPED)

class Callback(Port):
    """A function of the other side; close it when it is not needed any more."""

    async def __call__(self, *arguments: Any, **options: Any) -> Any:
        return await self.wire.call(self.name, *arguments, **options)

class Sender(Port):
    """The end of a stream on which to `send`; close it behind the last item."""

class Receiver(Port, AsyncIterator):
    """The end of a stream that reads. Give a new one away, and who gets it has a `Sender`."""

    def __anext__(self) -> Awaitable:
        return self.receive(self.hint)

class Wire(contextlib.AbstractAsyncContextManager):
    """A live wire: call the procedures of the other side, which may call `procedures`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                 procedures: dict[str, Callable] = {}) -> None:
        self.procedures, self.bound = {**procedures, "ipfi.describe": self.describe}, {}
        self.input, self.output, self.changed = reader, writer, asyncio.Event()
        self.limits, self.closing, self.ended = [], False, None  # of the other side; said GOAWAY
        self.ports: dict[tuple[int, bool, int], Port] = {}  # by kind, mine, number
        writer.transport.set_write_buffer_limits(PIECE)
        writer.write(HELLO)
        self.done = asyncio.create_task(self.reading())  # gives why the wire has ended
        living.add(self)

    async def call(self, target: str | int, *arguments: Any, returns: Any = Any,
                   deadline: float | None = None) -> Any:
        """Calls a procedure by its name; `returns` is a type hint, `deadline` is in seconds."""
        flags, opening, call = CALLBACK, [target], Port(self, CALLS)
        if isinstance(target, str):
            flags, opening = NAMED, [bytes((*bytes(8), len(target.encode()))) + target.encode()]
        if deadline is not None:
            flags, opening = flags | DEADLINE, [*opening, int(deadline * 1000) + 1]
        try:
            async with asyncio.timeout(deadline):
                await self.until(lambda: self.limits)
                going = self.ended or self.closing and flags & NAMED
                check(not going, "the wire is closing", Code.GOING_AWAY, True)
                await call.send(list(arguments) or None, flags, *opening)
                return await call.receive(returns)
        except TimeoutError:
            call.close(Code.DEADLINE)
            raise Error(Code.DEADLINE, "the deadline has passed") from None
        finally:
            call.close(Code.CANCELLED)

    def close(self, code: int = Code.FINISHED, text: str = "") -> None:
        """Ends the wire when all that runs has ended (8.2), or with another code at once (8.4)."""
        if not self.ended and (code or not self.closing):
            self.closing = True
            self.emit(Head.GOAWAY, code, text)
            self.end(Error(code, text)) if code else self.settle()

    async def __aexit__(self, kind: type | None, *_: Any) -> None:
        self.close(Code.CANCELLED if kind else Code.FINISHED)
        await self.done

    async def until(self, ready: Callable[[], Any]) -> None:  # or until the wire has ended
        while not self.ended and not ready():
            self.changed.clear()
            await self.changed.wait()

    def emit(self, head: int, *fields: int | str | bytes) -> None:  # writes a frame (4.1)
        body = bytearray((head,))
        for field in fields:
            if isinstance(field, str):  # 2.3
                field = field.encode(errors="replace")[:1024].decode(errors="ignore").encode()
            body += varint(field) if isinstance(field, int) else field
        if not self.ended:
            self.output.write(varint(len(body)) + body)

    def end(self, error: Error) -> None:  # and with the wire all that was open (8.6)
        self.ended = self.ended or error
        for port in list(self.ports.values()):
            port.hear(Error(error.code or Code.GOING_AWAY, error.text, not error.code))
        self.input.set_exception(EOFError())  # wakes who reads
        self.changed.set()

    def settle(self, port: Port | None = None) -> None:  # once its last words were said
        if port and port.over:
            self.ports.pop(port.key, None)
        if self.closing and not self.ended and all(kind == CALLBACKS for kind, *_ in self.ports):
            self.emit(Head.BYE)  # 8.3
            self.end(Error(Code.FINISHED, "closed"))
        self.changed.set()

    async def reading(self) -> Error:
        try:
            hello = await self.input.readexactly(8)
            powers = [power for byte in hello[4:] for power in divmod(byte, 16)]
            check(hello[:2] == HELLO[:2] and hello[2] and 15 not in powers, "this is not IPFI")
            check(hello[3] in (0, 2), f"codec {hello[3]}, but this side has 2", Code.CODEC)
            self.limits = [least << power for least, power in zip(SMALLEST, powers)]
            while not self.ended:
                self.changed.set()
                if self.output.transport.get_write_buffer_size() > BACKLOG:
                    await self.output.drain()  # of answers to somebody who does not read
                length = b""
                while not length or length[-1] > 127 and len(length) < 10:
                    length += await self.input.readexactly(1)
                size = Reader(length).varint()
                check(size <= LIMITS[FRAME], f"a frame of {size} bytes", Code.LIMIT)
                if size:
                    self.frame(Reader(await self.input.readexactly(size)))
        except (Error, ValueError) as error:
            self.close(getattr(error, "code", Code.BREACH), str(error))
        except (EOFError, OSError):
            self.end(Error(Code.LOST, "the connection was lost"))
        self.output.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.output.wait_closed(), 5)  # until the last bytes are out
        living.discard(self)
        return self.ended

    def frame(self, r: Reader) -> None:  # takes one (4)
        head, number, flags = r.number(), 0, 0
        short = head < Head.OPEN
        if short:
            head, number = (Head.OPEN, Head.RESULT, Head.ITEM)[head >> 6], head & 63
        if number == 63 or not short and head < Head.BYE:
            number += r.varint()
        key = CALLS, head in (Head.RESULT, Head.ERROR, Head.ADMIT_ARGUMENTS), number
        if Head.ITEM <= head <= Head.CREDIT:
            key = STREAMS, bool(number & 1), number >> 1
        port = self.ports.get(key) or Port(self, CALLS, sends=True, mine=False)
        is_open = port.key and not port.heard and port.sends == (head in (Head.STOP, Head.CREDIT))
        check(is_open or head not in STRICT, "a call or stream that is not open, or the wrong way")
        check(not (short and port.more), "something whole between parts")
        if head in FLAGS and not short:
            flags = r.number()
            check(not flags & ~FLAGS[head], "unknown flags")
        match head:
            case Head.OPEN:
                self.called(port, number, flags, r)
                self.part(port, flags, r)
            case Head.ITEM if short:
                while left := len(r):
                    item = r.take(r.varint())
                    self.part(port, 0, Reader(item), left - len(r) - len(item))
            case Head.ARGUMENTS | Head.RESULT | Head.ITEM:
                self.part(port, flags, r)
            case Head.ERROR | Head.END | Head.CANCEL | Head.STOP:
                started = r.number() if head == Head.ERROR else 1
                code, text = r.varint(), r.text() if head in (Head.ERROR, Head.END) else ""
                check(started < 2 and (head != Head.END or code or not port.more), "an early end")
                port.hear(Error(code, text, not started))
            case Head.CREDIT | Head.ADMIT_ARGUMENTS | Head.ADMIT_RESULT:
                port.credit += r.varint()
            case Head.BIND:
                check(r.take(8) and number == len(self.bound) < LIMITS[BINDINGS], "out of turn")
                self.bound[number] = r.text(255)
            case Head.RELEASE:
                check(self.ports.pop((CALLBACKS, True, number), None), "no such callback")
            case Head.PING:
                self.emit(Head.PONG, number)
            case Head.GOAWAY:
                error = Error(number, r.text())
                self.close() if number in (Code.FINISHED, Code.IDLE) else self.end(error)
            case Head.BYE:
                self.end(Error(Code.FINISHED, "closed"))
        check(not r or head > Head.BYE, "a frame goes on after its end")  # 4.4

    def called(self, call: Port, number: int, flags: int, r: Reader) -> None:  # 5.3
        check(flags & TARGET < TARGET and flags & PRIORITY < PRIORITY, "no such target or priority")
        name = r.take(8) and r.take(r.number()).decode() if flags & NAMED else r.varint()
        if flags & DEADLINE:
            r.varint()  # the caller will cancel it
        code = Code.GOING_AWAY if self.closing else Code.NO_PROCEDURE
        if flags & CALLBACK:
            code = Code.NO_CALLBACK
            call.source = self.ports.get((CALLBACKS, True, name), call).source
        elif not self.closing:
            call.source = self.procedures.get(name if flags & NAMED else self.bound.get(name))
        call.open(number)
        if not call.source:
            call.close(code)

    def part(self, port: Port, flags: int, r: Reader, overhead: int = 1) -> None:
        """Takes a part of arguments, of a result or of an item (5.5, 6.2)."""
        total, handles = r.varint() if flags & TOTAL else 0, []
        count = r.varint() if flags & HANDLES else 0
        check(count <= 64, "more than 64 handles")
        for number, kind in (divmod(r.varint(), 4) for _ in range(count)):
            check(kind < 3, "a handle of no kind")
            make = (Callback, Receiver, Sender)[kind]
            handles.append(make(self, STREAMS if kind else CALLBACKS, kind == 2, mine=False))
            handles[-1].open(number)
        cost = port.stream * (overhead + 128 * count + len(r))
        port.owed += cost
        check(port.owed <= LIMITS[CREDIT], "more than there was credit for", Code.OVERDRAWN)
        if port.said or not port.key:  # nobody wants it any more
            let_go(handles)
        else:
            check(port.more != 0 or port.stream, "a part behind the last")
            port.length, port.more = port.length + len(r), flags & MORE
            port.parts.append((bytes(r), handles, cost, port.more))
            if max(total, port.length + port.more) > LIMITS[MESSAGE]:  # 5.6
                check(port.sends, "a message is too large", Code.LIMIT)
                port.close(Code.TOO_LARGE, "too large for this side")
            port.length *= port.more
        if port.kind == CALLS and port.mine and not flags & MORE:
            port.hear(Error(Code.FINISHED))
        r.clear()

    def describe(self, known: list[int]) -> dict:  # 15.1
        told = []
        for name, function in list(self.procedures.items())[:-1]:
            signature = spell(inspect.signature(function, eval_str=True))
            doc = inspect.getdoc(function) or ""
            told.append({"name": name, "signature": signature, "doc": doc, "fingerprint": 0})
        digest = zlib.crc32(repr(told).encode())
        new = {"New": {"hash": digest, "procedures": told}}
        return {"Known": digest} if digest in known else new

NAMES = {bool: "bool", int: "i64", float: "f64", str: "String", bytes: "Bytes", list: "Vec",
         dict: "Map", Receiver: "Receiver", Sender: "Sender", Callback: "Callback",
         Callable: "Callback", None: "()"}

def spell(hint: Any) -> str:
    """A type or a signature, as IPFI writes it (15.2)."""
    if isinstance(hint, inspect.Signature):
        result = hint.return_annotation
        arguments = spell([parameter.annotation for parameter in hint.parameters.values()])
        return arguments + ("" if result is None else f" -> {spell(result)}")
    if isinstance(hint, list):
        return f"({', '.join(map(spell, hint))})"
    parts = f"<{', '.join(map(spell, get_args(hint)))}>" if get_args(hint) else ""
    return NAMES.get(get_origin(hint) or hint, "_") + parts

def fit(value: Any, hint: Any, handles: dict[int, Port]) -> Any:
    """Makes of a value what a hint says: streams and callbacks are found by their places (14.1)."""
    if isinstance(hint, inspect.Signature):
        bound = hint.bind(*fit([] if value is None else value, list, handles))
        for name, argument in bound.arguments.items():
            bound.arguments[name] = fit(argument, hint.parameters[name].annotation, handles)
        return bound.args
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Receiver, Sender, Callback, Callable):
        value = handles.pop(value, None)
    fits = kind not in NAMES or isinstance(value, (float, int) if kind is float else kind)
    check(fits, f"{value!r:.50} is no {getattr(kind, '__name__', kind)}")
    if isinstance(value, Port):
        value.hint = parts[0] if parts else Any
    return [fit(item, parts[0], handles) for item in value] if kind is list and parts else value

async def over(source: int, target: int, procedures: dict[str, Callable] = {}) -> Wire:
    """A wire over two file descriptors: of pipes, or of a serial port that is open and raw."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    incoming, outgoing = (asyncio.StreamReaderProtocol(r) for r in (reader, asyncio.StreamReader()))
    await loop.connect_read_pipe(lambda: incoming, open(source, "rb", 0))
    transport, _ = await loop.connect_write_pipe(lambda: outgoing, open(target, "wb", 0))
    return Wire(reader, asyncio.StreamWriter(transport, outgoing, reader, loop), procedures)
