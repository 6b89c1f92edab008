"""IPFI in Python, written from core/proto/SPEC.md; numbers in comments are its rules."""

import asyncio
import contextlib
import inspect
import struct
import zlib
from collections.abc import AsyncIterator

class Code:  # why something ended (9); those from 256 up belong to applications
    FINISHED, CANCELLED, DEADLINE, GOING_AWAY, NO_PROCEDURE, NO_CALLBACK = 0, 1, 2, 5, 6, 8
    BAD_ARGUMENTS, BAD_RESULT, TOO_LARGE, FAILED, DROPPED, LOST = 9, 10, 12, 14, 15, 17
    BREACH, CODEC, LIMIT, OVERDRAWN, IDLE = 32, 34, 35, 36, 39

OPEN, ARGUMENTS, RESULT, ERROR, CANCEL, ITEM, END, STOP, CREDIT = range(0xC0, 0xC9)  # heads (4.2)
ADMIT_ARGUMENTS, ADMIT_RESULT, BIND, RELEASE, PING, PONG, GOAWAY, BYE = range(0xC9, 0xD1)
PIECE, BACKLOG = 16 << 10, 2 << 20  # most bytes in a frame, so that all take turns; and unwritten
MORE, HANDLES, DEADLINE, CALLBACK, NAMED, PRIORITY, TOTAL = 1, 2, 4, 8, 16, 96, 128  # flags (4.3)
FLAGS = {OPEN: 0xFF, ARGUMENTS: 3, RESULT: 0x83, ITEM: 3}  # that may be set
FRAME, CALLS, MESSAGE, WINDOW, STREAMS, ITEMS, CALLBACKS, BINDINGS = range(8)  # limits (3.1)
SMALLEST = 1 << 10, 8, 4 << 10, 4 << 10, 8, 1 << 10, 8, 8
LIMITS = 128 << 10, 32, 1 << 20, 1 << 20, 16, 64 << 10, 256, 256  # so that it needs no ADMIT (13)
TAILS = {**dict.fromkeys(FLAGS, LIMITS[FRAME]), ERROR: 1024, END: 1024, GOAWAY: 1024, BIND: 255}
HELLO = bytes.fromhex("1ff1 01 02 72881655")  # codec 2, and LIMITS as powers of 2

class Error(Exception):
    """A call, a stream or a wire failed; if `retry_safe`, the procedure certainly did not run."""
    def __init__(self, code, text="", retry_safe=False):
        super().__init__(f"{text or 'failed'} (code {code})")
        self.code, self.text, self.retry_safe = int(code) % (1 << 32), str(text), retry_safe

def check(holds, text, code=Code.BREACH):
    if not holds:
        raise Error(code, text, retry_safe=True)

def take(r, form):  # a number, or so many bytes ("10s"), from what a stranger wrote
    taken, = struct.unpack_from(">" + form, r)
    del r[:struct.calcsize(">" + form)]
    return taken

def take_int(r, most=9):  # 2.1
    check(most, "an integer of more than nine bytes")
    byte = take(r, "B")
    return byte if byte < 128 else byte - 128 + (take_int(r, most - 1) << 7)

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
        items = zip(value) if kind is list else value.items()
        number, body = len(value), b"".join(pack(part, things) for item in items for part in item)
    elif kind in (str, bytes):
        number = len(body := value.encode() if kind is str else value)
    for form in (number, *"BHIQbhiqd"):
        with contextlib.suppress(KeyError, TypeError, struct.error):
            head = HEADS[kind, form]
            return head + (b"" if form is number else struct.pack(">" + form, number)) + body
    check(callable(value) or hasattr(value, "__anext__"), f"cannot send {value!r}", Code.BAD_RESULT)
    things.append(value)
    return pack(len(things) - 1, things)

class Port:
    """One end of a call, a stream or a callback; as it stands, of a call by the other side."""
    kind, part, last = CALLS, RESULT, ERROR
    hears = ARGUMENTS, CANCEL, ADMIT_RESULT, ADMIT_ARGUMENTS, OPEN
    key = task = arguments = said = heard = more = None  # said and heard are the last words
    credit = owed = 0  # bytes to send beyond the window; bytes that came and were not credited
    closed = property(lambda self: self.said or self.heard or self.wire.ended)
    over = property(lambda self: self.said and self.heard if self.kind == STREAMS else
                    self.heard if self.mine else self.said)

    def __init__(self, wire, source=None):
        self.items = [(bytearray(), [])]  # that came; the last grows
        self.wire, self.source, self.turn = wire, source, asyncio.Lock()

    def open(self, number=None):  # 5.1, 6.1, 7.1; own numbers are the lowest that are free
        ports, self.mine = self.wire.ports, number is None
        free = (n for n in range(1 << 30) if (self.kind, True, n) not in ports)
        self.key = self.kind, self.mine, next(free) if self.mine else number
        check(self.mine or number < LIMITS[self.kind] and self.key not in ports, "no free number")
        ports[self.key] = self
        self.name = 2 * self.key[2] + (not self.mine) if self.kind == STREAMS else self.key[2]
        if self.source and self.kind != CALLBACKS:
            self.task = asyncio.create_task(self.run())
        return self

    def close(self, code=Code.FINISHED, text=""):
        """Says the last word, unless that was done, and lets go (5.2, 5.10, 6.5, 7.2, 7.4)."""
        if not self.said and self.wire.ports.get(self.key) is self:
            self.said, code = True, code or int(self.turn.locked())  # 1 inside of an item (6.2)
            words = {ERROR: (self.arguments is not None, code), RELEASE: ()}.get(self.last, (code,))
            self.wire.emit(self.last, self.name, *words, text=text * (self.last in (ERROR, END)))
        let_go(sum((handles for _, handles in self.items), list(self.arguments or ())))
        self.items = [(bytearray(), [])]

    def hear(self, error):  # the last word of the other side
        self.heard = self.heard or error
        if self.task:
            self.task.cancel()
        if self.last in (ERROR, END):
            self.close(error.code or Code.CANCELLED, "cancelled")

    def room(self, handles):  # for the next part; none if no number is free
        limits, new = self.wire.limits, [port.kind for port in (self, *handles) if not port.key]
        used = new + [kind for kind, mine, _ in self.wire.ports if mine]
        fits = all(used.count(kind) <= limits[kind] for kind in new)
        window = limits[WINDOW] if self.kind == CALLS else limits[ITEMS] - 1 - 128 * len(handles)
        return fits * min(self.credit + window, PIECE, limits[FRAME] - 640)

    async def send(self, value, flags=0, *opening):
        """Sends an item, arguments or a result as soon as limits and credit allow (5.5, 6.2)."""
        wire, head, things = self.wire, self.part, []
        data = whole = pack(value, things)
        ends = [thing if isinstance(thing, Receiver) and not (thing.key or thing.closed) else
                (Sender if isinstance(thing, AsyncIterator) else Callback)(wire, thing)
                for thing in things]
        async with self.turn:  # the parts of two items do not mix
            try:
                while data:
                    with contextlib.suppress(OSError, EOFError):
                        await wire.output.drain()
                    while not self.closed and len(ends) < 8 and (size := self.room(ends)) <= 0:
                        await wire.changed.wait()
                    check(not (flags & NAMED and wire.closing), "the wire closes", Code.GOING_AWAY)
                    if self.closed:
                        return check(self.kind == CALLS, "nobody wants more items", Code.DROPPED)
                    fits = len(data) <= wire.limits[MESSAGE] and len(ends) < 8
                    check(fits, "too large for the other side", Code.TOO_LARGE)
                    part, data = data[:size], data[size:]
                    if not self.key:
                        self.open()
                    listed = [4 * end.open().key[2] + end.handle for end in ends if not data]
                    self.credit -= len(part) + (self.kind == STREAMS) * (1 + 128 * len(listed))
                    self.said = head == RESULT and not data
                    flags |= MORE if data else HANDLES if ends else 0
                    front = head, self.name, flags, *opening, len(listed) or b"", *listed
                    short = self.said and part == whole and not ends  # ANSWER is enough
                    wire.emit(*((0x40 | self.name,) if short else front), part)
                    head, flags, opening = ARGUMENTS if head == OPEN else head, 0, ()
            finally:
                if data and data != whole:  # half an item ends its stream
                    self.close(Code.CANCELLED)

    async def receive(self, hint=None):
        """Takes a message or an item, and makes of it what a type hint or a signature says."""
        while len(self.items) < 2 and not self.closed:
            if self.owed >= LIMITS[ITEMS] // 2:  # all that came is used, or an item is long (6.4)
                self.wire.emit(CREDIT, self.name, self.owed)
                self.owed = 0
            await self.wire.changed.wait()
        if len(self.items) < 2:
            self.close()
            error = self.heard or Error(Code.FINISHED if self.key else Code.GOING_AWAY, "", True)
            raise error if error.code or self.kind == CALLS else StopAsyncIteration
        payload, handles = self.items.pop(0)
        try:
            value = fit(unpack(payload), hint, left := dict(enumerate(handles)))
            check(not payload, "more than one value")
        except (Error, TypeError, ValueError, struct.error) as error:
            let_go(handles)
            raise Error(Code.BAD_ARGUMENTS if self.source else Code.BAD_RESULT, error)
        let_go(left.values())
        return value

    async def run(self):  # sends what an iterator gives, or what a function returns
        try:
            if self.kind == STREAMS:
                self.arguments = self.source,  # to let go, if it is a stream that is passed on
                async for item in self.source:
                    await self.send(item)
                return self.close()
            self.arguments = await self.receive(inspect.signature(self.source, eval_str=True))
            result = self.source(*self.arguments)
            await self.send(await result if inspect.isawaitable(result) else result)
        except (Exception, asyncio.CancelledError) as error:
            told = error if isinstance(error, Error) else Error(Code.FAILED, repr(error))
            self.close(told.code, told.text)

def let_go(things):  # those that are streams and callbacks (7.4)
    for port in [thing for thing in things if isinstance(thing, Port)]:
        port.close(Code.DROPPED)

class Call(Port):  # of this side
    part, last, hears = OPEN, CANCEL, (RESULT, ERROR, ADMIT_ARGUMENTS)

class Callback(Port):
    """A function of the other side; close it when it is not needed any more."""
    kind, last, handle = CALLBACKS, RELEASE, 0

    async def __call__(self, *arguments, **options):
        return await self.wire.call(self.name, *arguments, **options)

class Sender(Port):
    """The end of a stream on which to `send`; close it behind the last item."""
    kind, part, last, hears, handle = STREAMS, ITEM, END, (STOP, CREDIT), 1

class Receiver(Port, AsyncIterator):
    """The end of a stream that reads. Give a new one away, and who gets it has a `Sender`."""
    kind, last, hears, handle, __anext__ = STREAMS, STOP, (ITEM, END), 2, Port.receive

ENDS = Callback, Sender, Receiver  # by the kinds of handles that this side lists (4.7)
NAMES = {bool: "bool", int: "i64", float: "f64", str: "String", bytes: "Bytes", list: "Vec<_>",
         dict: "Map<_, _>", None: "()", **{end: f"{end.__name__}<_>" for end in ENDS}}

def fit(value, hint, handles):  # a whole argument or result may be a handle, by its place (14.1)
    if isinstance(hint, inspect.Signature):
        bound = hint.bind(*fit([] if value is None else value, list, handles))
        for name, argument in bound.arguments.items():
            bound.arguments[name] = fit(argument, hint.parameters[name].annotation, handles)
        return bound.args
    value = handles.pop(value, None) if hint in ENDS else value
    kind = (float, int) if hint is float else hint or object
    check(hint not in NAMES or isinstance(value, kind), f"{value!r:.50} is no {hint}")
    return value

class Wire:
    """A live wire: call the other side, which may call `procedures`. Hold it until it is `done`."""
    def __init__(self, reader, writer, procedures={}):
        self.procedures = {"ipfi.describe": self.describe, **procedures}
        self.bound, self.ports, self.input, self.output = {}, {}, reader, writer  # ports by keys
        self.limits, self.closing, self.ended, self.changed = [0] * 8, False, None, asyncio.Event()
        writer.write(HELLO)
        self.done = asyncio.create_task(self.reading())  # gives why the wire has ended
        self.done.add_done_callback(lambda _: self.end(Error(Code.LOST, "cancelled")))

    async def call(self, target, *arguments, returns=None):
        """Calls by name; `returns` is a type. Who cancels the task that calls cancels the call."""
        flags, opening, call = CALLBACK, target, Call(self)
        if isinstance(target, str):
            flags, opening = NAMED, bytes((*bytes(8), len(target.encode()))) + target.encode()
        try:
            await call.send(list(arguments) or None, flags, opening)
            return await call.receive(returns)
        finally:
            call.close(Code.CANCELLED)

    def close(self, code=Code.FINISHED, text=""):
        """Ends the wire when all that runs has ended (8.2), with another code at once; await it."""
        if not self.ended and (code or not self.closing):
            self.closing = not code
            self.emit(GOAWAY, code, text=text)
            if code:
                self.end(Error(code, text))
        return asyncio.shield(self.done)

    def emit(self, head, *fields, text=""):  # writes a frame (4.1)
        body = b"".join(varint(field) if isinstance(field, int) else field for field in fields)
        body += text.encode(errors="replace")[:1024].decode(errors="ignore").encode()
        if not self.ended and not self.output.is_closing():
            self.output.write(varint(1 + len(body)) + bytes((head,)) + body)
        self.tidy()

    def tidy(self):  # after each frame: numbers are free when the last words were said
        self.ports = {key: port for key, port in self.ports.items() if not port.over}
        if self.closing and not self.ended and all(kind == CALLBACKS for kind, *_ in self.ports):
            self.output.write(bytes((1, BYE)))  # 8.3
            self.end(Error(Code.FINISHED, "closed"))
        self.changed.set()  # wakes all who wait now
        self.changed.clear()

    def end(self, error):  # and with the wire all that was open (8.6)
        self.ended, self.closing = self.ended or error, True
        for port in list(self.ports.values()):
            port.hear(Error(error.code or Code.GOING_AWAY, error.text, not error.code))
        self.input.set_exception(EOFError())  # wakes who reads
        self.tidy()

    async def reading(self):
        try:
            hello = await self.input.readexactly(8)
            check(hello[:2] == HELLO[:2] and hello[2] and "f" not in hello[4:].hex(), "not IPFI")
            check(hello[3] in (0, 2), f"codec {hello[3]}, but this side has 2", Code.CODEC)
            self.limits = [least << int(n, 16) for least, n in zip(SMALLEST, hello.hex()[8:])]
            while not self.ended:
                self.tidy()
                while self.output.transport.get_write_buffer_size() > BACKLOG and not self.ended:
                    await asyncio.sleep(0.1)  # of answers to somebody who does not read
                length = bytearray(await self.input.readexactly(1))
                while length[-1] > 127 and len(length) < 10:
                    length += await self.input.readexactly(1)
                check((size := take_int(length)) <= LIMITS[FRAME], "long frame", Code.LIMIT)
                self.frame(bytearray(await self.input.readexactly(size)))
        except (Error, ValueError, struct.error) as error:
            self.close(getattr(error, "code", Code.BREACH), str(error))
        except (EOFError, OSError):
            self.end(Error(Code.LOST, "the connection was lost"))
        self.output.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.output.wait_closed(), 5)  # until the last bytes are out
        return self.ended

    def frame(self, r):  # takes one (4)
        head, number = take(r, "B") if r else 0xFF, 0
        if short := head < OPEN:
            head, number = (OPEN, RESULT, ITEM)[head >> 6], head & 63
        if number == 63 or not short and head < BYE:
            number += take_int(r)
        call, stream = (CALLS, head in Call.hears, number), (STREAMS, bool(number & 1), number >> 1)
        port = self.ports.get(stream if ITEM <= head <= CREDIT else call) or Port(self)
        right = head >= BIND or head in port.hears and not port.heard
        right = right and (not port.more if short else head != ARGUMENTS or port.more != 0)
        flags = take(r, "B") if head in FLAGS and not short else 0
        check(right and not flags & ~FLAGS.get(head, 0), "nothing open, out of order, or bad flags")
        if head == ITEM and short:
            while left := len(r):
                self.part(port, 0, take(r, f"{take_int(r)}s"), left - len(r))
        elif head in FLAGS:
            if head == OPEN:
                self.called(port, number, flags, r)
            self.part(port, flags, r)
        elif head in (ERROR, END, CANCEL, STOP):
            started = take(r, "B") if head == ERROR else 1
            code, text = take_int(r), r.decode() if head in (ERROR, END) else ""
            check(started < 2 and (head != END or code or not port.more), "an early end")
            port.hear(Error(code, text, not started))
        elif head in (CREDIT, ADMIT_ARGUMENTS, ADMIT_RESULT):
            port.credit += take_int(r)
        elif head == BIND:
            check(take(r, "8s") and number == len(self.bound) < LIMITS[BINDINGS], "out of turn")
            self.bound[number] = r.decode()
        elif head == RELEASE:
            check(self.ports.pop((CALLBACKS, True, number), None), "no such callback")
        elif head == PING:
            self.emit(PONG, number)
        elif head == GOAWAY and number in (Code.FINISHED, Code.IDLE):
            self.close(text=r.decode())
        elif head in (GOAWAY, BYE):
            self.end(Error(number, r.decode() or "closed"))
        check(len(r) <= TAILS.get(head, 0) or head > BYE, "more than its fields")  # 4.5

    def called(self, port, number, flags, r):  # 5.3
        kind = flags >> 3 & 3  # of target: the number of a BIND, a callback, or a name
        check(kind < 3 and flags & PRIORITY < PRIORITY, "no such target or priority")
        target = take(r, f"{take(r, '8xB')}s").decode() if kind == 2 else take_int(r)
        named = not self.closing and self.procedures.get(self.bound.get(target, target))
        port.source = self.ports.get((CALLBACKS, True, target), port).source if kind == 1 else named
        port.open(number)
        if not port.source:
            code = Code.GOING_AWAY if self.closing else Code.NO_PROCEDURE
            port.close(Code.NO_CALLBACK if kind == 1 else code)

    def part(self, port, flags, r, cost=0):  # of a message or an item (5.5, 6.2)
        _, total, many = (take_int(r) if flags & bit else 0 for bit in (DEADLINE, TOTAL, HANDLES))
        listing = [divmod(take_int(r), 4) for _ in range(many)]
        check(many <= 64 and all(kind < 3 for _, kind in listing), "no such handles")
        new = [ENDS[-kind](self).open(number) for number, kind in listing]  # as the other side sees
        port.owed += (port.kind == STREAMS) * (cost or 1 + 128 * len(new) + len(r))
        check(port.owed <= LIMITS[ITEMS], "more than there was credit for", Code.OVERDRAWN)
        payload, handles = port.items[-1]
        payload += r
        handles += new
        port.more = flags & MORE
        if max(total, len(payload) + port.more) > LIMITS[MESSAGE]:  # 5.6
            check(port.last == ERROR, "a message is too large", Code.LIMIT)
            port.close(Code.TOO_LARGE, "too large for this side")
        if not port.more:
            port.items.append((bytearray(), []))
            if port.last == CANCEL:
                port.hear(Error(Code.FINISHED))
        if port.said or not port.key:  # nobody wants it
            port.close()

    def describe(self, known: list):  # 15.1; whatever is known, all is told
        told = []
        for name, function in list(self.procedures.items())[1:]:
            shape, doc = inspect.signature(function, eval_str=True), inspect.getdoc(function)
            names = ", ".join(NAMES.get(p.annotation, "_") for p in shape.parameters.values())
            text = f"({names}) -> {NAMES.get(shape.return_annotation, '_')}".removesuffix(" -> ()")
            told.append({"name": name, "signature": text, "doc": doc or "", "fingerprint": 0})
        return {"New": {"hash": zlib.crc32(repr(told).encode()), "procedures": told}}

async def over(source, target, procedures={}):
    """A wire over two file descriptors: of pipes, or of a serial port that is open and raw."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    incoming, outgoing = (asyncio.StreamReaderProtocol(r) for r in (reader, asyncio.StreamReader()))
    await loop.connect_read_pipe(lambda: incoming, open(source, "rb", 0))
    transport, _ = await loop.connect_write_pipe(lambda: outgoing, open(target, "wb", 0))
    return Wire(reader, asyncio.StreamWriter(transport, outgoing, reader, loop), procedures)
