"""IPFI in Python: calls, streams and callbacks between two programs, over any bytes in order.

    async with ipfi.Wire(*await asyncio.open_connection("127.0.0.1", 7000)) as wire:
        print(await wire.call("greet", "Ada"))

Written from core/proto/SPEC.md; numbers in comments are its rules. To cancel the task that calls is
to cancel the call, and the task of its procedure. What nobody has to send it does not: BIND, ITEMS,
PING, deadlines (it cancels late calls), totals, priorities, fingerprints, types of items. Streams
and callbacks are found where they are an argument, a result or an item, not deep inside of one.
"""

import asyncio
import contextlib
import contextvars
import inspect
import struct
import zlib
from collections.abc import AsyncIterator
from itertools import chain, count

current = contextvars.ContextVar("current")  # in a procedure, the wire of its caller
PIECE, BACKLOG = 16 << 10, 1 << 20  # most bytes in a frame, so that all take turns; and unwritten
MORE, HANDLES, DEADLINE, CALLBACK, NAMED, PRIORITY, TOTAL = 1, 2, 4, 8, 16, 96, 128  # flags (4.3)
FRAME, CALLS, MESSAGE, WINDOW, STREAMS, CREDIT, CALLBACKS, BINDINGS = range(8)  # limits (3.1)
SMALLEST = 1 << 10, 8, 4 << 10, 4 << 10, 8, 1 << 10, 8, 8
LIMITS = 128 << 10, 32, 1 << 20, 1 << 20, 16, 64 << 10, 256, 256  # so that it needs no ADMIT (13)
HELLO = bytes.fromhex("1ff1 01 02 72881655")  # codec 2, and LIMITS as powers of 2

class Head:  # the first byte of a frame (4.2)
    CALL, ANSWER, ITEMS = 0x00, 0x40, 0x80
    OPEN, ARGUMENTS, RESULT, ERROR, CANCEL, ITEM, END, STOP, CREDIT = range(0xC0, 0xC9)
    ADMIT_ARGUMENTS, ADMIT_RESULT, BIND, RELEASE, PING, PONG, GOAWAY, BYE = range(0xC9, 0xD1)

FLAGS = {Head.OPEN: 0xFF, Head.ARGUMENTS: 3, Head.RESULT: 0x83, Head.ITEM: 3}  # that may be set

class Code:  # why something ended (9); those from 256 up belong to applications
    FINISHED, CANCELLED, DEADLINE, GOING_AWAY, NO_PROCEDURE, NO_CALLBACK = 0, 1, 2, 5, 6, 8
    BAD_ARGUMENTS, BAD_RESULT, TOO_LARGE, FAILED, DROPPED, LOST = 9, 10, 12, 14, 15, 17
    BREACH, CODEC, LIMIT, OVERDRAWN, IDLE = 32, 34, 35, 36, 39

class Error(Exception):
    """A call, a stream or a wire failed; if `retry_safe`, the procedure certainly did not run."""
    def __init__(self, code, text="", retry_safe=False):
        super().__init__(f"{text or 'failed'} (code {code})")
        self.code, self.text, self.retry_safe = code, text, retry_safe

def check(holds, text, code=Code.BREACH, retry_safe=False):
    if not holds:
        raise Error(code, text, retry_safe)

def take(r, form):  # a number, or so many bytes ("10s"), from what a stranger wrote
    size = struct.calcsize(">" + form)
    check(size <= len(r), "it ends too early")
    taken, = struct.unpack_from(">" + form, r)
    del r[:size]
    return taken

def take_varint(r, most=9):  # 2.1
    check(most, "an integer of more than nine bytes")
    byte = take(r, "B")
    return byte if byte < 128 else byte - 128 + (take_varint(r, most - 1) << 7)

def take_text(r, most=1024):  # 2.3
    check(len(r) <= most, f"a text of more than {most} bytes")
    return take(r, f"{len(r)}s").decode()

def varint(value):
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + varint(value >> 7)

HEADS = {  # of MessagePack (14.2), by kind of value, and number in the head or form of one behind
    (kind, number): bytes((first + place,)) for kind, first, numbers in (
        (int, 0x00, range(128)), (dict, 0x80, range(16)), (list, 0x90, range(16)),
        (str, 0xA0, range(32)), (type(None), 0xC0, [None]), (bool, 0xC2, [False, True]),
        (bytes, 0xC4, "BHI"), (float, 0xCA, "fd"), (int, 0xCC, "BHIQbhiq"), (str, 0xD9, "BHI"),
        (list, 0xDC, "HI"), (dict, 0xDE, "HI"), (int, 0xE0, range(-32, 0)))
    for place, number in enumerate(numbers)}
MEANINGS = {head: meaning for meaning, head in HEADS.items()}

def unpack(r, depth=128):
    head = take(r, "c")
    check(depth and head in MEANINGS, "a head of no value, or values nested more than 128 deep")
    kind, number = MEANINGS[head]
    number = take(r, number) if isinstance(number, str) else number
    if kind in (list, dict):
        items = [unpack(r, depth - 1) for _ in range(number * (2 if kind is dict else 1))]
        return items if kind is list else dict(zip(items[::2], items[1::2]))
    value = take(r, f"{number}s") if kind in (str, bytes) else number
    return value.decode() if kind is str else value

def pack(value, things):  # of what it cannot write it writes the place, and puts it to the things
    kind, number, body = list if type(value) is tuple else type(value), value, b""
    if kind in (list, dict):
        items = value if kind is list else chain(*value.items())
        number, body = len(value), b"".join(pack(item, things) for item in items)
    elif kind in (str, bytes):
        body = value.encode() if kind is str else value
        number = len(body)
    elif kind not in (int, float, bool, type(None)):
        things.append(value)
        return pack(len(things) - 1, things)
    for form in (number, *"BHIQbhiqd"):
        with contextlib.suppress(KeyError, struct.error):
            head = HEADS[kind, form]
            return head + (b"" if form is number else struct.pack(">" + form, number)) + body
    raise Error(Code.BAD_RESULT, f"{number} has more than 64 bits", True)

class Port:
    """One end of what is open; as it stands, of a call by the other side or a callback for it."""
    kind, listed, part, last, words = CALLS, 0, Head.RESULT, Head.ERROR, slice(0, 3)
    hears = Head.ARGUMENTS, Head.CANCEL, Head.ADMIT_RESULT, Head.ADMIT_ARGUMENTS, Head.OPEN
    key = task = said = heard = more = None  # last words: own, and of the other side
    started, credit, owed = False, 0, 0  # both beyond the windows
    closed = property(lambda self: self.said or self.heard or self.wire.ended)
    over = property(lambda self: self.said and self.heard if self.kind == STREAMS else
                    self.heard if self.mine else self.said)
    __class_getitem__ = classmethod(lambda cls, item: cls)  # Receiver[int]

    def __init__(self, wire, source=None, kind=None):
        self.wire, self.source, self.kind = wire, source, kind or self.kind
        self.items, self.turn = [(bytearray(), [])], asyncio.Lock()  # that came; the last grows

    def open(self, number=None):
        ports, self.mine = self.wire.ports, number is None
        if self.mine:
            number = next(n for n in count() if (self.kind, True, n) not in ports)
        self.key = self.kind, self.mine, number
        check(self.mine or number < LIMITS[self.kind] and self.key not in ports, "no free number")
        ports[self.key] = self
        self.name = 2 * number + (not self.mine) if self.kind == STREAMS else number  # 4.6
        if self.source and self.kind != CALLBACKS:
            self.task = asyncio.create_task(self.run())
        return self

    def close(self, code=Code.FINISHED, text=""):
        """Says the last word, unless that was done, and lets go (5.2, 5.10, 6.5, 7.2, 7.4)."""
        if not self.said and self.wire.ports.get(self.key) is self:
            self.said = True
            self.wire.emit(self.last, self.name, *(self.started, code, text)[self.words])
        let_go(chain(*(handles for _, handles in self.items)))
        self.items = [(bytearray(), [])]

    def hear(self, error):  # the last word of the other side
        self.heard = self.heard or error
        if self.task:
            self.task.cancel()
        if self.last in (Head.ERROR, Head.END):
            self.close(error.code, "cancelled")

    def room(self, handles):  # for the next part; none if no number is free
        limits, new = self.wire.limits, [port.kind for port in (self, *handles) if not port.key]
        used = new + [kind for kind, mine, _ in self.wire.ports if mine]
        fits = all(used.count(kind) <= limits[kind] for kind in new)
        window = limits[WINDOW] if self.kind == CALLS else limits[CREDIT] - 1 - 128 * len(handles)
        return fits * min(self.credit + window, PIECE, limits[FRAME] - 640)

    async def send(self, value, flags=0, *opening):
        """Sends an item, arguments or a result as soon as limits and credit allow (5.5, 6.2)."""
        wire, head, things = self.wire, self.part, []
        data = whole = pack(value, things)
        handles = [wire.handle(thing) for thing in things]
        most = min(64, wire.limits[CREDIT] // 300 if self.kind == STREAMS else 64)  # handles
        fits = len(data) <= wire.limits[MESSAGE] and len(handles) <= most
        check(fits, "too large for the other side", Code.TOO_LARGE, True)
        async with self.turn:  # the parts of two items do not mix
            while data:
                with contextlib.suppress(OSError, EOFError):
                    await wire.output.drain()
                while not self.closed and (size := self.room(handles)) <= 0:
                    await wire.change()
                if self.closed:
                    return check(self.kind == CALLS, "nobody wants more items", Code.DROPPED)
                part, data = data[:size], data[size:]
                if not self.key:
                    self.open()
                listing = [4 * port.open().key[2] + port.listed for port in handles if not data]
                flags |= MORE if data else HANDLES if handles else 0
                self.credit -= len(part) + (self.kind == STREAMS) * (1 + 128 * len(listing))
                self.said = head == Head.RESULT and not data
                if self.said and part == whole and not handles:
                    wire.emit(Head.ANSWER | self.name, part)
                else:
                    listing = [len(listing), *listing] if listing else []
                    wire.emit(head, self.name, bytes((flags,)), *opening, *listing, part)
                head, flags, opening = Head.ARGUMENTS if head == Head.OPEN else head, 0, ()

    async def receive(self, hint=None, code=Code.BAD_RESULT):
        """Takes a message or an item, and makes of it what a type hint or a signature says."""
        while len(self.items) < 2 and not self.closed:
            if self.owed >= LIMITS[CREDIT] // 2:  # all that came is used, or an item is long (6.4)
                self.wire.emit(Head.CREDIT, self.name, self.owed)
                self.owed = 0
            await self.wire.change()
        if len(self.items) < 2:
            self.close()
            error = self.heard or self.wire.ended or Error(Code.FINISHED)
            raise error if error.code or self.kind == CALLS else StopAsyncIteration
        payload, handles = self.items.pop(0)
        try:
            value = fit(unpack(payload), hint, left := dict(enumerate(handles)))
            check(not payload, "more than one value")
        except (Error, TypeError, ValueError) as error:
            let_go(handles)
            raise Error(code, str(error), True) from None
        let_go(left.values())
        return value

    async def run(self):  # sends what an iterator gives, or what a function returns
        current.set(self.wire)
        arguments = ()
        try:
            if self.kind == STREAMS:
                async for item in self.source:
                    await self.send(item)
                return self.close()
            signature = inspect.signature(self.source, eval_str=True)
            arguments = await self.receive(signature, Code.BAD_ARGUMENTS)
            self.started = True
            result = self.source(*arguments)
            await self.send(await result if inspect.isawaitable(result) else result)
        except (Exception, asyncio.CancelledError) as error:
            told = error if isinstance(error, Error) else Error(Code.FAILED, repr(error))
            self.close(told.code, told.text)
            let_go(argument for argument in arguments if isinstance(argument, Port))

def let_go(handles):  # 7.4
    for port in handles:
        port.close(Code.DROPPED)

class Call(Port):  # of this side
    part, last, words = Head.OPEN, Head.CANCEL, slice(1, 2)
    hears = Head.RESULT, Head.ERROR, Head.ADMIT_ARGUMENTS

class Callback(Port):
    """A function of the other side; close it when it is not needed any more."""
    kind, last, words = CALLBACKS, Head.RELEASE, slice(0)

    async def __call__(self, *arguments, **options):
        return await self.wire.call(self.name, *arguments, **options)

class Sender(Port):
    """The end of a stream on which to `send`; close it behind the last item."""
    kind, listed, part, last, words = STREAMS, 1, Head.ITEM, Head.END, slice(1, 3)
    hears = Head.STOP, Head.CREDIT

class Receiver(Port, AsyncIterator):
    """The end of a stream that reads. Give a new one away, and who gets it has a `Sender`."""
    kind, listed, last, words = STREAMS, 2, Head.STOP, slice(1, 2)
    hears = Head.ITEM, Head.END

    def __anext__(self):
        return self.receive()

NAMES = {bool: "bool", int: "i64", float: "f64", str: "String", bytes: "Bytes", list: "Vec<_>",
         dict: "Map<_, _>", Callback: "Callback<_>", Sender: "Sender<_>", Receiver: "Receiver<_>"}

def fit(value, hint, handles):  # streams and callbacks are found by their places (14.1)
    if isinstance(hint, inspect.Signature):
        bound = hint.bind(*fit([] if value is None else value, list, handles))
        for name, argument in bound.arguments.items():
            bound.arguments[name] = fit(argument, hint.parameters[name].annotation, handles)
        return bound.args
    if hint in (Callback, Sender, Receiver):
        value = handles.pop(value, None)
    fits = hint not in NAMES or isinstance(value, (float, int) if hint is float else hint)
    check(fits, f"{value!r:.50} is no {hint}")
    return value

class Wire(contextlib.AbstractAsyncContextManager):
    """A live wire: call the other side, which may call `procedures`. Hold it until it is `done`."""
    def __init__(self, reader, writer, procedures={}):
        self.procedures, self.bound = {**procedures, "ipfi.describe": self.describe}, {}
        self.input, self.output, self.changed = reader, writer, asyncio.Event()
        self.limits, self.closing, self.ended = [0] * 8, False, None  # of the other; said GOAWAY
        self.ports = {}  # that are open, by kind, if they are of this side, and number
        writer.write(HELLO)
        self.done = asyncio.create_task(self.reading())  # gives why the wire has ended

    async def call(self, target, *arguments, returns=None, deadline=None):
        """Calls a procedure by its name; `returns` is a type, `deadline` is in seconds."""
        flags, opening, call = CALLBACK, target, Call(self)
        if isinstance(target, str):
            flags, opening = NAMED, bytes((*bytes(8), len(target.encode()))) + target.encode()
        try:
            async with asyncio.timeout(deadline):
                while not any(self.limits) and not self.ended:
                    await self.change()
                going = self.ended or self.closing and flags == NAMED
                check(not going, "the wire is closing", Code.GOING_AWAY, True)
                await call.send(list(arguments) or None, flags, opening)
                return await call.receive(returns)
        except TimeoutError:
            call.close(Code.DEADLINE)
            raise Error(Code.DEADLINE, "the deadline has passed") from None
        finally:
            call.close(Code.CANCELLED)

    def close(self, code=Code.FINISHED, text=""):
        """Ends the wire when all that runs has ended (8.2), or with another code at once (8.4)."""
        if not self.ended and (code or not self.closing):
            self.closing = not code
            self.emit(Head.GOAWAY, code, text)
            if code:
                self.end(Error(code, text))

    async def __aexit__(self, kind, *_):
        self.close(Code.CANCELLED if kind else Code.FINISHED)
        await self.done

    async def change(self):
        self.changed.clear()
        await self.changed.wait()

    def emit(self, head, *fields):  # writes a frame (4.1)
        body = bytearray((head,))
        for field in fields:
            if isinstance(field, str):  # 2.3
                field = field.encode(errors="replace")[:1024].decode(errors="ignore").encode()
            body += varint(field) if isinstance(field, int) else field
        if not self.ended:
            self.output.write(varint(len(body)) + body)
        self.tidy()

    def tidy(self):  # after each frame: numbers are free when the last words were said
        self.ports = {key: port for key, port in self.ports.items() if not port.over}
        if self.closing and not self.ended and all(kind == CALLBACKS for kind, *_ in self.ports):
            self.output.write(bytes((1, Head.BYE)))  # 8.3
            self.end(Error(Code.FINISHED, "closed"))
        self.changed.set()

    def end(self, error):  # and with the wire all that was open (8.6)
        self.ended = self.ended or error
        for port in list(self.ports.values()):
            port.hear(Error(error.code or Code.GOING_AWAY, error.text, not error.code))
        self.input.set_exception(EOFError())  # wakes who reads
        self.changed.set()

    def handle(self, thing):  # what to give away with a message
        if isinstance(thing, AsyncIterator):
            return thing if isinstance(thing, Receiver) and not thing.key else Sender(self, thing)
        check(callable(thing), f"{thing!r} cannot be sent", Code.BAD_RESULT)
        return Port(self, thing, CALLBACKS)

    async def reading(self):
        try:
            hello = await self.input.readexactly(8)
            powers = [power for byte in hello[4:] for power in divmod(byte, 16)]
            check(hello[:2] == HELLO[:2] and hello[2] and 15 not in powers, "this is not IPFI")
            check(hello[3] in (0, 2), f"codec {hello[3]}, but this side has 2", Code.CODEC)
            self.limits = [least << power for least, power in zip(SMALLEST, powers)]
            while not self.ended:
                self.tidy()
                if self.output.transport.get_write_buffer_size() > BACKLOG:
                    await self.output.drain()  # of answers to somebody who does not read
                length = bytearray(await self.input.readexactly(1))
                while length[-1] > 127 and len(length) < 10:
                    length += await self.input.readexactly(1)
                size = take_varint(length)
                check(size <= LIMITS[FRAME], f"a frame of {size} bytes", Code.LIMIT)
                self.frame(bytearray(await self.input.readexactly(size)))
        except (Error, ValueError) as error:
            self.close(getattr(error, "code", Code.BREACH), str(error))
        except (EOFError, OSError):
            self.end(Error(Code.LOST, "the connection was lost"))
        self.output.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.output.wait_closed(), 5)  # until the last bytes are out
        return self.ended

    def frame(self, r):  # takes one (4)
        head, number = take(r, "B") if r else 0xFF, 0
        if short := head < Head.OPEN:
            head, number = (Head.OPEN, Head.RESULT, Head.ITEM)[head >> 6], head & 63
        if number == 63 or not short and head < Head.BYE:
            number += take_varint(r)
        key = CALLS, head in Call.hears, number
        if Head.ITEM <= head <= Head.CREDIT:
            key = STREAMS, bool(number & 1), number >> 1
        port = self.ports.get(key) or Port(self)
        right = head >= Head.BIND or head in port.hears and not port.heard
        check(right and not (short and port.more), "about what is not open, or the wrong way")
        flags = take(r, "B") if head in FLAGS and not short else 0
        check(not flags & ~FLAGS.get(head, 0), "unknown flags")
        match head:
            case Head.ITEM if short:
                while left := len(r):
                    item = bytearray(take(r, f"{take_varint(r)}s"))
                    self.part(port, 0, item, left - len(r) - len(item))
            case Head.OPEN | Head.ARGUMENTS | Head.RESULT | Head.ITEM:
                if head == Head.OPEN:
                    self.called(port, number, flags, r)
                self.part(port, flags, r)
            case Head.ERROR | Head.END | Head.CANCEL | Head.STOP:
                started = take(r, "B") if head == Head.ERROR else 1
                code, text = take_varint(r), take_text(r) if head in (Head.ERROR, Head.END) else ""
                check(started < 2 and (head != Head.END or code or not port.more), "an early end")
                port.hear(Error(code, text, not started))
            case Head.CREDIT | Head.ADMIT_ARGUMENTS | Head.ADMIT_RESULT:
                port.credit += take_varint(r)
            case Head.BIND:
                check(take(r, "8s") and number == len(self.bound) < LIMITS[BINDINGS], "out of turn")
                self.bound[number] = self.procedures.get(take_text(r, 255))
            case Head.RELEASE:
                check(self.ports.pop((CALLBACKS, True, number), None), "no such callback")
            case Head.PING:
                self.emit(Head.PONG, number)
            case Head.GOAWAY:
                error = Error(number, take_text(r))
                self.close() if number in (Code.FINISHED, Code.IDLE) else self.end(error)
            case Head.BYE:
                self.end(Error(Code.FINISHED, "closed"))
        check(not r or head > Head.BYE, "a frame goes on after its end")  # 4.4

    def called(self, call, number, flags, r):  # 5.3
        kind = flags >> 3 & 3  # of target: a bound procedure, a callback, or a name
        check(kind < 3 and flags & PRIORITY < PRIORITY, "no such target or priority")
        size = take(r, "8s") and take(r, "B") if kind == 2 else 0
        target = take(r, f"{size}s").decode() if kind == 2 else take_varint(r)
        if flags & DEADLINE:
            take_varint(r)  # the caller will cancel it
        code = Code.GOING_AWAY if self.closing else Code.NO_PROCEDURE
        if kind == 1 or not self.closing:
            callback = self.ports.get((CALLBACKS, True, target), call)
            sources = self.bound.get(target), callback.source, self.procedures.get(target)
            call.source = sources[kind]
        call.open(number)
        if not call.source:
            call.close(Code.NO_CALLBACK if kind == 1 else code)

    def part(self, port, flags, r, overhead=1):  # of a message or an item (5.5, 6.2)
        total = take_varint(r) if flags & TOTAL else 0
        many = take_varint(r) if flags & HANDLES else 0
        check(many <= 64, "more than 64 handles")
        listing = [divmod(take_varint(r), 4) for _ in range(many)]
        check(all(kind < 3 for _, kind in listing), "a handle of no kind")
        new = [(Callback, Receiver, Sender)[kind](self).open(number) for number, kind in listing]
        port.owed += overhead + 128 * len(new) + len(r) if port.kind == STREAMS else 0
        check(port.owed <= LIMITS[CREDIT], "more than there was credit for", Code.OVERDRAWN)
        payload, handles = port.items[-1]
        payload += r
        handles += new
        port.more = flags & MORE
        if max(total, len(payload) + port.more) > LIMITS[MESSAGE]:  # 5.6
            check(port.last == Head.ERROR, "a message is too large", Code.LIMIT)
            port.close(Code.TOO_LARGE, "too large for this side")
        if not port.more:
            port.items.append((bytearray(), []))
            if port.last == Head.CANCEL:
                port.hear(Error(Code.FINISHED))
        if port.said or not port.key:  # nobody wants it
            port.close()
        r.clear()

    def describe(self, known: list):  # 15.1
        told = []
        for name, function in list(self.procedures.items())[:-1]:
            signature, doc = inspect.signature(function, eval_str=True), inspect.getdoc(function)
            names = ", ".join(NAMES.get(p.annotation, "_") for p in signature.parameters.values())
            result = signature.return_annotation
            text = f"({names})" if result is None else f"({names}) -> {NAMES.get(result, '_')}"
            told.append({"name": name, "signature": text, "doc": doc or "", "fingerprint": 0})
        digest = zlib.crc32(repr(told).encode())
        new = {"New": {"hash": digest, "procedures": told}}
        return {"Known": digest} if digest in known else new

async def over(source, target, procedures={}):
    """A wire over two file descriptors: of pipes, or of a serial port that is open and raw."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    incoming, outgoing = (asyncio.StreamReaderProtocol(r) for r in (reader, asyncio.StreamReader()))
    await loop.connect_read_pipe(lambda: incoming, open(source, "rb", 0))
    transport, _ = await loop.connect_write_pipe(lambda: outgoing, open(target, "wb", 0))
    return Wire(reader, asyncio.StreamWriter(transport, outgoing, reader, loop), procedures)
