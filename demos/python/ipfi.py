"""IPFI in Python: calls, streams and callbacks between two programs, over any bytes in order.

    async with ipfi.Wire(*await asyncio.open_connection("127.0.0.1", 7000)) as wire:
        print(await wire.call("greet", "Ada"))

Written from core/proto/SPEC.md; numbers in comments are its rules. All of it runs as tasks of asyncio: to cancel a
task that calls cancels the call, and a procedure whose caller gives it up is a task that is cancelled.
"""

import asyncio, collections, contextlib, contextvars, enum, inspect, io, itertools, math, struct, types, typing
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

current: contextvars.ContextVar["Wire"] = contextvars.ContextVar("current")  # in a procedure: who called it
living: set["Wire"] = set()  # asyncio alone would let go of a wire that waits
SMALLEST = 1 << 10, 8, 4 << 10, 4 << 10, 8, 1 << 10, 8, 8  # limits, in the order of the hello (3.1)
FRAME, CALLS, MESSAGE, WINDOW, STREAMS, CREDIT, CALLBACKS, BINDINGS = range(8)  # places; three are kinds too
POWERS = 7, 3, 8, 8, 1, 6, 5, 5  # of 2, by which this side's are larger: so that it needs no ADMIT (13)
LIMITS = [limit << power for limit, power in zip(SMALLEST, POWERS)]
MORE, HANDLES, DEADLINE, CALLBACK, NAMED, PRIORITY, TOTAL = 1, 2, 4, 8, 16, 96, 128  # flags (4.3)
PIECE, BACKLOG = 16 << 10, 1 << 20  # most bytes in a frame, so that all take turns; and that wait to be written

class Head(enum.IntEnum):
    """The first byte of a frame (4.2)."""
    CALL, ANSWER, ITEMS = 0x00, 0x40, 0x80
    OPEN, ARGUMENTS, RESULT, ERROR, CANCEL, ITEM, END, STOP, CREDIT = range(0xC0, 0xC9)
    ADMIT_ARGUMENTS, ADMIT_RESULT, BIND, RELEASE, PING, PONG, GOAWAY, BYE = range(0xC9, 0xD1)

GRAMMAR = {  # what a frame is about: a call that this side made or was asked for, a stream that it reads or sent,
    # and fields behind that number (4.2): m flags of a message, b byte, f fingerprint, v integer, t text
    Head.CALL: ("asked", ""), Head.OPEN: ("asked", "m"), Head.ARGUMENTS: ("asked", "m"),
    Head.CANCEL: ("asked", "v"), Head.ADMIT_RESULT: ("asked", "v"), Head.ADMIT_ARGUMENTS: ("made?", "v"),
    Head.ANSWER: ("made", ""), Head.RESULT: ("made", "m"), Head.ERROR: ("made", "bvt"), Head.ITEMS: ("read", ""),
    Head.ITEM: ("read", "m"), Head.END: ("read", "vt"), Head.STOP: ("sent", "v"), Head.CREDIT: ("sent", "v"),
    Head.BIND: ("", "ft"), Head.RELEASE: ("", ""), Head.PING: ("", ""), Head.PONG: ("", ""),
    Head.GOAWAY: ("", "t"), Head.BYE: ("", "")}
LAST = {(CALLS, True): Head.ERROR, (CALLS, False): Head.CANCEL, (STREAMS, True): Head.END,
        (STREAMS, False): Head.STOP, (CALLBACKS, False): Head.RELEASE}  # words, by kind and if this side sends

class Code(enum.IntEnum):
    """Why something ended (9); codes from 256 up belong to applications."""
    FINISHED, CANCELLED, DEADLINE, TOO_MANY_CALLS, NO_ROOM, GOING_AWAY, NO_PROCEDURE, SIGNATURE = range(8)
    NO_CALLBACK, BAD_ARGUMENTS, BAD_RESULT, PANICKED, TOO_LARGE, TOO_SLOW, FAILED, DROPPED = range(8, 16)
    LOST, BREACH, VERSION, CODEC, LIMIT, OVERDRAWN, IDLE = 17, 32, 33, 34, 35, 36, 39

class Error(Exception):
    """A call, a stream or a wire failed; if `retry_safe`, the procedure certainly did not run."""

    def __init__(self, code: int, text: str = "", retry_safe: bool = False) -> None:
        super().__init__(f"{text or 'failed'} (code {int(code)})")
        self.code, self.text, self.retry_safe = code, text, retry_safe

def check(holds: Any, text: str, code: int = Code.BREACH, retry_safe: bool = False) -> None:
    if not holds:
        raise Error(code, text, retry_safe)

class Reader(io.BytesIO):
    """Reads what a stranger wrote; allocates what came, not what a length claims."""
    left = property(lambda self: len(self.getbuffer()) - self.tell())

    def take(self, size: int) -> bytes:
        check(size <= self.left, "it ends too early")
        return self.read(size)

    def number(self, size: int = 1, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), signed=signed)

    def varint(self) -> int:  # 2.1
        value = shift = 0
        while (byte := self.number()) > 127:
            check(shift < 56, "an integer of more than nine bytes")
            value, shift = value | (byte & 127) << shift, shift + 7
        return value | byte << shift

def varint(value: int) -> bytes:
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + varint(value >> 7)

SIZED = {  # heads of MessagePack (14.2): first and how many with the size in them; first before it, of which width
    dict: (0x80, 16, 0xDE, 2), list: (0x90, 16, 0xDC, 2), tuple: (0x90, 16, 0xDC, 2),
    str: (0xA0, 32, 0xD9, 1), bytes: (0xC4, 0, 0xC4, 1), bytearray: (0xC4, 0, 0xC4, 1)}

def unpack(r: Reader, depth: int = 128) -> Any:
    """Reads a value of MessagePack."""
    check(depth, "values nested more than 128 deep")
    head = r.number()
    if head < 0x80 or head >= 0xE0 or head in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}.get(head, head - 256 * (head >= 0xE0))
    if 0xCA <= head < 0xD4:
        numeric = r.take(4 << (head - 0xCA)) if head < 0xCC else r.number(1 << (head & 3), head >= 0xD0)
        return struct.unpack(">f" if head == 0xCA else ">d", numeric)[0] if head < 0xCC else numeric
    for kind, (short, few, long, width) in SIZED.items():
        if short <= head < short + few or long <= head < long + 4 - width:
            size = head - short if head < short + few else r.number(width << (head - long))
            if kind in (str, bytes):
                return r.take(size).decode() if kind is str else r.take(size)
            items = (unpack(r, depth - 1) for _ in range(size * (1 + (kind is dict))))
            return dict(zip(items, items)) if kind is dict else list(items)
    raise Error(Code.BREACH, f"{head:#x} begins no value")

def pack(value: Any, place: Callable[[Any], int]) -> bytes:
    """Writes a value in MessagePack; `place` says the place of a stream or callback (14.1)."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, int):
        width = next((n for n in range(4) if -1 << (8 << n) - 1 <= value < 1 << (8 << n)), 3)
        head = b"" if -32 <= value < 128 else bytes((width + (0xCC if value >= 0 else 0xD0),))
        return head + value.to_bytes(1 << width, signed=value < 0)
    if type(value) not in SIZED:
        return pack(place(value), place)
    short, few, long, width = SIZED[type(value)]
    data = value.encode() if isinstance(value, str) else value
    size, power = len(data), next(n for n in range(3) if len(data) < 1 << (8 * width << n))
    head = bytes((short + size,)) if size < few else bytes((long + power,)) + size.to_bytes(width << power)
    items = itertools.chain(*data.items()) if isinstance(data, dict) else data
    return head + (data if isinstance(data, (bytes, bytearray)) else b"".join(pack(item, place) for item in items))

class Port:
    """A call, stream or callback that is open: what came of it, and the last words of both sides."""
    __class_getitem__ = classmethod(types.GenericAlias)  # Receiver[int]
    key = property(lambda self: (self.kind, self.mine, self.number))
    name = property(lambda self: self.number if self.kind != STREAMS else 2 * self.number + (not self.mine))  # 4.6

    def __init__(self, wire: "Wire", kind: int = STREAMS, mine: bool = True, sends: bool = False, number: int = -1,
                 source: Any = None) -> None:
        self.wire, self.kind, self.mine, self.sends, self.number = wire, kind, mine, sends, number
        self.source, self.task, self.hint = source, None, Any  # a function or iterator, and what runs it
        self.items: collections.deque[tuple] = collections.deque()  # what came: payload, handles, cost
        self.payload, self.handles, self.cost = bytearray(), [], 0  # what is coming
        self.credit, self.owed, self.turn = 0, 0, asyncio.Lock()  # beyond the first window; was used
        self.last: list = [None, None]  # words of who wants what comes and who sends: code, text, if retry safe

    def close(self, code: int = Code.FINISHED, text: str = "", started: bool = True) -> None:
        """Says the last word of this side, unless that was done (5.2, 5.10, 6.5, 7.2)."""
        if not self.last[self.sends] and self.wire.ports.get(self.key) is self:
            self.last[self.sends] = code, text, not started
            let_go(self.handles, *(handles for _, handles, _ in self.items))
            head, given = LAST[self.kind, self.sends], {"b": int(started), "v": code, "t": text}
            self.wire.emit(head, self.name, *(given[field] for field in GRAMMAR[head][1]))
            self.wire.free(self)

    async def send(self, value: Any, flags: int = 0, *opening: Any) -> None:
        """Sends an item, arguments or a result, as soon as limits and credit allow (5.5 to 5.7, 6.2, 6.3)."""
        wire, stream, handles = self.wire, self.kind == STREAMS, []

        def place(thing: Any) -> int:  # makes a handle of what is no plain value (14.1)
            kind = STREAMS if isinstance(thing, AsyncIterator) else CALLBACKS
            check(kind == STREAMS or callable(thing), f"{thing!r} cannot be sent", Code.BAD_RESULT)
            new = isinstance(thing, Receiver) and thing.number < 0
            handles.append(thing if new else Port(wire, kind, sends=True, source=thing))
            return len(handles) - 1

        def size() -> int:  # of the next part; below 0 if not even the handles may go
            kinds = new + [kind for kind, mine, _ in wire.ports if mine]
            window = self.credit + wire.limits[CREDIT if stream else WINDOW] - extra
            fits = all(kinds.count(kind) <= wire.limits[kind] for kind in new)
            return min(window, PIECE, wire.limits[FRAME] - 5 * len(handles) - 320) if fits else -1

        rest = whole = pack(value, place)
        new = [port.kind for port in (*handles, self) if port.number < 0]
        extra = 128 * len(handles) + 1 if stream else 0
        await wire.until(lambda: wire.limits)
        fits = wire.ended or len(rest) <= wire.limits[MESSAGE] and extra <= wire.limits[CREDIT] // 2
        check(fits and len(handles) <= 64, "too large for the other side", Code.TOO_LARGE, True)
        async with self.turn:  # the parts of two items do not mix
            while rest is not None:
                await wire.until(lambda: any(self.last) or size() >= min(1, len(rest)))
                if any(self.last) or wire.ended:
                    return check(not stream, "nobody wants more items", (self.last[0] or [0])[0] or Code.DROPPED)
                part, rest = rest[: size()], rest[size() :] or None
                flags |= MORE if rest else HANDLES if handles else 0
                if self.number < 0:
                    new.remove(CALLS)
                    self.add()
                listing = [len(handles), *(port.add() for port in handles)] if flags & HANDLES else []
                self.credit -= len(part) + (stream if rest else extra)
                head = Head.RESULT if self.sends else Head.OPEN if opening else Head.ARGUMENTS
                if head == Head.RESULT and part == whole and not flags | stream and self.number < 63:
                    wire.emit(Head.ANSWER | self.number, part)
                else:
                    wire.emit(Head.ITEM if stream else head, self.name, bytes((flags,)), *opening, *listing, part)
                flags, opening = 0, ()
                with contextlib.suppress(OSError):
                    await wire.output.drain()
        if self.kind == CALLS and self.sends:
            self.last[1] = Code.FINISHED, "", False
            wire.free(self)
        for port in handles:
            port.task = asyncio.create_task(port.feed()) if port.kind == STREAMS and port.sends else None

    def add(self) -> int:  # opens a port of this side; says how it is listed (4.7)
        self.number = next(n for n in itertools.count() if (self.kind, True, n) not in self.wire.ports)
        self.wire.ports[self.key] = self
        return 4 * self.number + (2 - self.sends if self.kind == STREAMS else 0)

    async def feed(self) -> None:  # sends what an iterator gives
        try:
            async for item in self.source:
                await self.send(item)
            self.close()
        except Exception as error:
            self.close(*word(error))

def let_go(*lists: list[Port]) -> None:  # 7.4
    for port in filter(None, itertools.chain(*lists)):
        port.close(Code.DROPPED)

class Callback(Port):
    """A function of the other side; close it when it is not needed any more."""

    async def __call__(self, *arguments: Any, **options: Any) -> Any:
        return await self.wire.call(self.number, *arguments, **options)

class Sender(Port):
    """The end of a stream on which to `send`; close it behind the last item."""

class Receiver(Port, AsyncIterator):
    """The end of a stream that reads. Give a new one away, and who gets it has a `Sender`."""

    async def __anext__(self) -> Any:
        await self.wire.until(lambda: self.items or any(self.last))
        if not self.items:
            self.close()
            code, text, _ = self.last[1] or self.last[0]
            check(not code or not self.last[1], text, code)
            raise StopAsyncIteration
        payload, handles, cost = self.items.popleft()
        self.used(cost)
        return value_of(payload, handles, self.hint)

    def used(self, cost: int = 0) -> None:  # gives credit (6.3), ahead of use if it holds nothing else (6.4)
        self.owed += cost
        due = self.owed + self.cost * (not self.items)
        if due >= LIMITS[CREDIT] // 2 and not any(self.last):
            self.wire.emit(Head.CREDIT, self.name, due)
            self.credit, self.owed = self.credit + due, self.owed - due

class Wire(contextlib.AbstractAsyncContextManager):
    """A live wire: call the procedures of the other side, which may call `procedures`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                 procedures: dict[str, Callable] = {}) -> None:
        self.procedures, self.bound = {**procedures, "ipfi.describe": self.describe}, []  # by name; by BIND
        self.input, self.output, self.changed, self.ended = reader, writer, asyncio.Event(), None
        self.limits, self.closing, self.refused = [], False, False  # of the other side; who says GOAWAY
        self.ports: dict[tuple[int, bool, int], Port] = {}  # by kind, mine, number
        writer.transport.set_write_buffer_limits(PIECE)
        writer.write(bytes((0x1F, 0xF1, 1, 2, *(a << 4 | b for a, b in zip(POWERS[::2], POWERS[1::2])))))
        self.done = asyncio.create_task(self.reading())  # gives why the wire has ended
        living.add(self)

    async def call(self, target: str | int, *arguments: Any, returns: Any = Any,
                   deadline: float | None = None) -> Any:
        """Calls a procedure by its name; `returns` is a type hint for the result, `deadline` is in seconds."""
        is_open = not self.ended and (isinstance(target, int) or not self.refused)
        check(is_open, "the wire is closing", Code.GOING_AWAY, True)
        flags, opening = CALLBACK, target
        if isinstance(target, str):
            flags, opening = NAMED, bytes(8) + varint(len(target.encode())) + target.encode()
        late = [] if deadline is None else [math.ceil(deadline * 1000)]
        call = Port(self, CALLS)
        try:
            async with asyncio.timeout(deadline):
                await call.send(list(arguments) or None, flags | DEADLINE * len(late), opening, *late)
                await self.until(lambda: call.last[1])
        except TimeoutError:
            call.close(Code.DEADLINE)
            raise Error(Code.DEADLINE, "the deadline has passed") from None
        finally:
            call.close(Code.CANCELLED)
        code, text, retry_safe = call.last[1] or (Code.GOING_AWAY, "the wire has ended", True)
        check(not code, text, code, retry_safe)
        check(call.items, "the result is too large", Code.TOO_LARGE)
        return value_of(*call.items.popleft()[:2], returns)

    def close(self, code: int = Code.FINISHED, text: str = "") -> None:
        """Ends the wire when all that runs has ended (8.2), or with another code at once (8.4)."""
        if not self.ended and (code or not self.closing):
            self.closing = self.refused = True
            self.emit(Head.GOAWAY, code, text)
            self.end(Error(code, text)) if code else self.free()

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
        for port in self.ports.values():
            port.last[1] = port.last[1] or (error.code or Code.GOING_AWAY, error.text, not error.code)
            port.task and port.task.cancel()
        self.ports.clear()
        self.input.set_exception(EOFError())  # wakes who reads
        self.changed.set()

    def free(self, port: Port | None = None) -> None:  # once its last words were said
        if port and (port.last[0] or port.kind == CALLS) and (port.last[1] or port.kind == CALLBACKS):
            self.ports.pop(port.key, None)
        if self.closing and not self.ended and all(port.kind == CALLBACKS for port in self.ports.values()):
            self.emit(Head.BYE)  # 8.3
            self.end(Error(Code.FINISHED, "closed"))
        self.changed.set()

    async def reading(self) -> Error:
        try:
            first, second, version, codec, *limits = await self.input.readexactly(8)
            powers = [power for byte in limits for power in divmod(byte, 16)]
            check((first, second) == (0x1F, 0xF1) and 15 not in powers, "the peer does not speak IPFI")
            check(version, "version 0", Code.VERSION)
            check(codec in (0, 2), f"codec {codec}, but this side has 2", Code.CODEC)
            self.limits = [limit << power for limit, power in zip(SMALLEST, powers)]
            while not self.ended:
                self.changed.set()
                length = await self.input.readexactly(1)
                while length[-1] > 127 and len(length) < 10:
                    length += await self.input.readexactly(1)
                size = Reader(length).varint()
                check(size <= LIMITS[FRAME], f"a frame of {size} bytes", Code.LIMIT)
                r = Reader(await self.input.readexactly(size))
                if self.output.transport.get_write_buffer_size() > BACKLOG:
                    await self.output.drain()  # the other side makes this one answer, and does not read
                if size and not self.ended:
                    self.frame(r)
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
        head, number = r.number(), 0
        if head > Head.BYE:
            return  # 4.4
        if head < Head.OPEN:
            head, number = head & 0xC0, head & 63
        number += r.varint() if number == 63 or Head.OPEN <= head < Head.BYE else 0
        about, fields = GRAMMAR[head]
        sends, stream = about == "sent", about in ("sent", "read")
        of_call = CALLS, about != "asked", number
        port = self.ports.get((STREAMS, bool(number & 1), number >> 1) if stream else of_call)
        if about == "made" or stream:
            is_open = port and port.sends == sends and not port.last[not sends]
            check(is_open, "a call or stream that is not open, or the wrong way")
            check(head not in (Head.ANSWER, Head.ITEMS) or not port.cost, "something whole between parts")
        flags = r.number() if "m" in fields else 0
        check(not flags & ~{Head.OPEN: 0xFF, Head.RESULT: 0x83}.get(head, 3), "unknown flags")
        started = r.number() if "b" in fields else 1
        r.take(8 if "f" in fields else 0)
        value = r.varint() if "v" in fields else 0
        check(started < 2 and ("t" not in fields or r.left <= 1024), "neither started nor not, or a long text")
        text = r.read().decode() if "t" in fields else ""
        match head:
            case Head.CALL | Head.OPEN:
                check(not port and number < LIMITS[CALLS], "too many calls at once, or one again")
                self.part(self.called(number, flags, r), flags, r)
            case Head.ARGUMENTS | Head.RESULT | Head.ITEM | Head.ANSWER: self.part(port, flags, r)
            case Head.ITEMS:
                while r.left:
                    start, item = r.tell(), r.take(r.varint())
                    self.part(port, 0, Reader(item), r.tell() - start - len(item))
            case Head.ERROR | Head.END | Head.CANCEL | Head.STOP if port:
                port.last[not port.sends] = value, text, not started
                check(head != Head.END or value or not port.cost, "a stream ends in the middle of an item")
                if port.sends and port.task:  # which perhaps has not begun
                    port.task.add_done_callback(lambda _: port.close(value, "cancelled"))
                    port.task.cancel()
                elif port.sends:
                    port.close(value, started=False)
            case Head.CREDIT | Head.ADMIT_ARGUMENTS | Head.ADMIT_RESULT if port: port.credit += value
            case Head.BIND:
                check(number == len(self.bound) < LIMITS[BINDINGS], "a procedure is bound out of turn")
                check(len(text.encode()) < 256, "a name of more than 255 bytes")
                self.bound.append(text)
            case Head.RELEASE: check(self.ports.pop((CALLBACKS, True, number), None), "no such callback")
            case Head.PING: self.emit(Head.PONG, number)
            case Head.GOAWAY:
                self.refused = True
                number in (Code.FINISHED, Code.IDLE) or self.end(Error(number, text))
            case Head.BYE: self.end(Error(Code.FINISHED, "closed"))
        check(not r.left, "a frame goes on after its end")
        self.free(port)

    def called(self, number: int, flags: int, r: Reader) -> Port | None:  # the other side calls (5.3)
        check(flags & (CALLBACK | NAMED) < 24 and flags & PRIORITY < 96, "an unknown target or priority")
        call = self.ports[CALLS, False, number] = Port(self, CALLS, False, True, number)
        name = r.take(8) and r.take(r.number()).decode() if flags & NAMED else r.varint()
        r.varint() if flags & DEADLINE else None  # the caller will cancel it
        if flags & CALLBACK:
            call.source = self.ports.get((CALLBACKS, True, name), call).source
        elif not self.closing:
            call.source = self.procedures.get(name if flags & NAMED else dict(enumerate(self.bound)).get(name))
        if call.source:
            return call
        closing = Code.GOING_AWAY if self.closing else Code.NO_PROCEDURE
        return call.close(Code.NO_CALLBACK if flags & CALLBACK else closing, started=False)

    def part(self, port: Port | None, flags: int, r: Reader, overhead: int = 1) -> None:
        """Takes a part of arguments, of a result or of an item (5.5, 6.2)."""
        total, handles = r.varint() if flags & TOTAL else 0, []
        count = r.varint() if flags & HANDLES else 0
        check(count <= 64, "more than 64 handles")
        for number, kind in (divmod(r.varint(), 4) for _ in range(count)):
            key = STREAMS if kind else CALLBACKS, False, number
            fits = kind < 3 and key not in self.ports and number < LIMITS[key[0]]
            check(fits, "a handle of no kind, in use, or one too many")
            handles.append((Callback, Receiver, Sender)[kind](self, key[0], False, kind == 2, number))
            self.ports[key] = handles[-1]
        cost, data, stream = overhead + 128 * count + r.left, r.read(), port and port.kind == STREAMS
        if stream:
            port.credit -= cost
            check(port.credit + LIMITS[CREDIT] >= 0, "more than there was credit for", Code.OVERDRAWN)
        if not port or port.last[0]:  # nobody wants it any more
            let_go(handles)
        else:
            check(not port.task, "arguments go on after their end")
            port.payload += data
            port.handles, port.cost = port.handles + handles, port.cost + cost
            if max(total, len(port.payload) + (flags & MORE)) > LIMITS[MESSAGE]:  # 5.6
                check(not stream, "an item is too large", Code.LIMIT)
                port.close(Code.TOO_LARGE, "too large for this side", started=False)
            elif flags & MORE:
                stream and port.used()
            else:
                port.items.append((bytes(port.payload), port.handles, port.cost))
                port.payload, port.handles, port.cost = bytearray(), [], 0
                port.task = asyncio.create_task(self.serve(port)) if port.sends else None
        if port and port.kind == CALLS and port.mine and not flags & MORE:
            port.last[1] = Code.FINISHED, "", False

    async def serve(self, call: Port) -> None:  # runs a procedure or callback
        current.set(self)
        (payload, handles, _), started = call.items.popleft(), False
        try:
            arguments = value_of(payload, handles, call.source, True)
            started = True
            result = call.source(*arguments)
            await call.send(await result if inspect.isawaitable(result) else result)
        except BaseException as error:
            code, text = word(error) if not call.last[0] else (call.last[0][0], "cancelled")
            for port in (*handles, call):
                port.close(code, text, started)

    def describe(self, known: list[int]) -> dict:  # 15.1
        told = []
        for name, function in list(self.procedures.items())[:-1]:
            kinds, result = hints(function)
            signature = spell(kinds) + (f" -> {spell(result)}" if result is not None else "")
            doc = inspect.getdoc(function) or ""
            told.append({"name": name, "signature": signature, "doc": doc, "fingerprint": 0})
        digest = zlib.crc32(repr(told).encode())
        return {"Known": digest} if digest in known else {"New": {"hash": digest, "procedures": told}}

def word(error: BaseException) -> tuple[int, str]:  # what the other side is told of it
    known = isinstance(error, Error)
    return (error.code, error.text) if known else (Code.FAILED, f"{type(error).__name__}: {error}")

NAMES = {bool: "bool", int: "i64", float: "f64", str: "String", bytes: "Bytes", list: "Vec", dict: "Map",
         None: "()", Receiver: "Receiver", Sender: "Sender", Callback: "Callback", Callable: "Callback"}

def value_of(payload: bytes, handles: list[Port], hint: Any, function: bool = False) -> Any:
    """The value of a message, as a type hint says; the arguments, if the hint is a function."""
    left, r = list(handles), Reader(payload)
    try:
        value = unpack(r)
        check(not r.left, "more than one value")
        if not function:
            return fit(value, hint, left)
        kinds, _ = hints(hint)
        values = inspect.signature(hint).bind(*(value or [])).args
        return [fit(item, kind, left) for item, kind in zip(values, kinds + kinds[-1:] * len(values))]
    except (TypeError, ValueError, Error) as error:
        raise Error(Code.BAD_ARGUMENTS if function else Code.BAD_RESULT, str(error), True) from None
    finally:
        let_go(left)

def hints(function: Callable) -> tuple[list, Any]:  # for its arguments, and its result
    signature = inspect.signature(function, eval_str=True)
    return [parameter.annotation for parameter in signature.parameters.values()], signature.return_annotation

def fit(value: Any, hint: Any, handles: list[Port | None]) -> Any:
    """Makes of a value what a type hint says: streams and callbacks are found by their places (14.1)."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (Sender, Receiver, Callback, Callable):
        there = type(value) is int and value < len(handles) and isinstance(handles[value], kind)
        check(there, f"{value!r} is no place of a {kind.__name__}")
        handles[value], value = None, handles[value]
        value.hint = parts[0] if parts else Any
    elif kind is list and parts and isinstance(value, list):
        return [fit(item, parts[0], handles) for item in value]
    fits = kind not in list(NAMES)[:7] or type(value) is kind or (kind, type(value)) == (float, int)
    check(fits, f"{value!r:.50} is no {getattr(kind, '__name__', kind)}")
    return value

def spell(hint: Any) -> str:
    """A type, or those of all arguments, as IPFI writes it (15.2)."""
    if isinstance(hint, list):
        return f"({', '.join(map(spell, hint))})"
    parts = typing.get_args(hint)
    return NAMES.get(typing.get_origin(hint) or hint, "_") + (f"<{', '.join(map(spell, parts))}>" if parts else "")

async def over(source: int, target: int, procedures: dict[str, Callable] = {}) -> Wire:
    """A wire over two file descriptors: of pipes, or of a serial port that is open and raw (`tty.setraw`)."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), open(source, "rb", 0))
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, open(target, "wb", 0))
    return Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop), procedures)
