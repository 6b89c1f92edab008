"""The protocol of IPFI, without threads, files and clocks: bytes in, bytes out.

Numbers in comments are rules of core/proto/SPEC.md. `Connection` is one side of a wire. Whoever drives it gives it
what came (`receive`) and the time (`tick`), sends what it gives (`transmit`), and serves the calls in `arrived`.
"""

import contextlib
import enum
import io
import itertools
import math
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple


class Code(enum.IntEnum):
    """Why something ended (9); codes from 256 up belong to applications."""
    FINISHED, CANCELLED, DEADLINE, TOO_MANY_CALLS, NO_ROOM, GOING_AWAY, NO_PROCEDURE, SIGNATURE = range(8)
    NO_CALLBACK, BAD_ARGUMENTS, BAD_RESULT, PANICKED, TOO_LARGE, TOO_SLOW, FAILED, DROPPED = range(8, 16)
    NOT_ALLOWED, LOST = 16, 17
    BREACH, VERSION, CODEC, LIMIT, OVERDRAWN, TOO_OFTEN, NO_ANSWER, IDLE = range(32, 40)


class Head(enum.IntEnum):
    """The first byte of a frame (4.2)."""
    CALL, ANSWER, ITEMS = 0x00, 0x40, 0x80
    OPEN, ARGUMENTS, RESULT, ERROR, CANCEL, ITEM, END, STOP, CREDIT = range(0xC0, 0xC9)
    ADMIT_ARGUMENTS, ADMIT_RESULT, BIND, RELEASE, PING, PONG, GOAWAY, BYE = range(0xC9, 0xD1)


class Limits(NamedTuple):
    """What the other side may make this one hold (3.1): powers of two times the smallest."""
    max_frame: int = 128 << 10
    max_calls: int = 64
    max_message: int = 1 << 20
    message_window: int = 1 << 20  # not less than max_message: this side never admits more (13)
    max_streams: int = 64
    stream_window: int = 64 << 10
    max_callbacks: int = 256
    max_bindings: int = 256


SMALLEST = Limits(1 << 10, 8, 4 << 10, 4 << 10, 8, 1 << 10, 8, 8)
CALLS, STREAMS, CALLBACKS = 1, 4, 6  # kinds of ports; their places in the limits
PROCEDURE, CALLBACK, NAMED = range(3)  # kinds of targets (5.3)
MORE, HANDLES, DEADLINE, TOTAL = 1, 2, 4, 128  # flags (4.3)
PIECE = 16 << 10  # bytes in a frame at most, so that all take turns


class Error(Exception):
    """A call, a stream or a wire failed; if `retry_safe`, the procedure certainly did not run."""

    def __init__(self, code: int, text: str = "", retry_safe: bool = False) -> None:
        super().__init__(f"{text or 'failed'} (code {int(code)})")
        self.code, self.text, self.retry_safe = code, text, retry_safe


def check(holds: Any, text: str, code: int = Code.BREACH, retry_safe: bool = False) -> None:
    """Raises an `Error` if something does not hold."""
    if not holds:
        raise Error(code, text, retry_safe)


class Reader(io.BytesIO):
    """Reads what a stranger wrote."""
    left = property(lambda self: len(self.getbuffer()) - self.tell())

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise EOFError("it ends too early")
        return self.read(size)

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.number()) > 127:
            check(shift < 56, "an integer of more than nine bytes")  # 2.1
            value, shift = value | (byte & 127) << shift, shift + 7
        return value | byte << shift

    def text(self) -> str:
        check(self.left <= 1024, "a text of more than 1024 bytes")  # 2.3
        return self.read().decode()


def varint(value: int) -> bytes:
    """Writes an integer (2.1)."""
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + varint(value >> 7)


def cut(text: str) -> bytes:
    """Writes a text (2.3)."""
    return text.encode(errors="replace")[:1024].decode(errors="ignore").encode()


def frame(head: int, *fields: int | str | bytes) -> bytes:
    """Writes a frame (4.1); the heads below OPEN contain their number, if it is below 63 (4.2)."""
    if head < Head.OPEN:
        head, fields = head | min(fields[0], 63), fields[1:] if fields[0] < 63 else (fields[0] - 63, *fields[1:])
    body = bytes((head,)) + b"".join(
        varint(f) if isinstance(f, int) else cut(f) if isinstance(f, str) else f for f in fields)
    return varint(len(body)) + body


class Message:
    """A payload and the handles that it refers to (5.5); of an item also what it costs (6.3)."""

    def __init__(self, payload: bytes | bytearray = b"", handles: list["Port"] | None = None, cost: int = 0) -> None:
        self.payload, self.handles, self.cost, self.begun = payload, handles or [], cost, False


class Port:
    """A call, stream or callback that is open; this side chose its number (`mine`), or the other did."""

    def __init__(self, kind: int, mine: bool, sends: bool, number: int = -1, function: Any = None) -> None:
        self.kind, self.mine, self.sends, self.number, self.function = kind, mine, sends, number, function
        self.target, self.flags, self.deadline = (), 0, math.inf  # of calls
        self.items, self.part, self.owed = deque[Message](), Message(bytearray()), 0  # came, comes; credit due for it
        self.begun, self.complete, self.credit = False, False, 0  # sending, receiving; what is allowed beyond a window
        self.end: tuple[int, str] | None = None  # the last word of the side that answers or sends items
        self.stop: int | None = None  # and of the side that wants them
        self.retry_safe, self.sending = False, None  # `sending`: the message of which a part was sent

    @property
    def field(self) -> int:
        return 2 * self.number + (not self.mine)  # 4.6


class Connection:
    """One side of a wire: `receive` bytes, `transmit` bytes, tell the time by `tick`, serve the calls in `arrived`."""

    def __init__(self, limits: Limits = Limits(), codec: int = 2) -> None:
        self.limits, self.codec, self.peer = limits, codec, SMALLEST  # until the hello (3.3)
        self.now, self.greeted, self.closing, self.refused = 0.0, False, False, False
        self.ended: Error | None = None
        self.ports: dict[tuple[int, bool, int], Port] = {}  # by kind, mine, number
        self.arrived: deque[Port] = deque()
        self.names: dict[tuple, int] = {}  # procedures bound by this side, and by the other:
        self.bound: list[tuple[int, str]] = []
        self.input, self.need, self.pong, self.said = bytearray(), 1, None, deque[Port]()
        n = [(value // unit).bit_length() - 1 for value, unit in zip(limits, SMALLEST)]
        self.out = bytearray((0x1F, 0xF1, 1, codec, *(a << 4 | b for a, b in zip(n[::2], n[1::2]))))

    def room(self, kind: int, wanted: int = 1) -> bool:
        """Whether so many more calls, streams or callbacks may be opened."""
        return sum(key[:2] == (kind, True) for key in self.ports) + wanted <= self.peer[kind]

    def add(self, port: Port) -> int:
        """Opens a port of this side; says what stands for it in a list of handles (4.7)."""
        port.number = next(n for n in itertools.count() if (port.kind, True, n) not in self.ports)
        self.ports[port.kind, True, port.number] = port
        return 4 * port.number + (2 - port.sends if port.kind == STREAMS else 0)

    def call(self, target: tuple, flags: int = 0, deadline: float = math.inf) -> Port:
        """Opens a call of (PROCEDURE or CALLBACK, number) or (NAMED, fingerprint, name); then `send` arguments."""
        closing = self.ended or self.refused and target[0] != CALLBACK
        check(not closing, "the wire has ended or is closing", Code.GOING_AWAY, True)
        check(self.room(CALLS), "too many calls at once", Code.TOO_MANY_CALLS, True)
        self.add(call := Port(CALLS, True, False))
        call.flags = flags | target[0] << 3 | (DEADLINE if deadline < math.inf else 0)
        call.target, call.deadline = target, deadline
        return call

    def bind(self, name: str, fingerprint: int = 0) -> tuple:
        """The target for a procedure (5.4)."""
        key = NAMED, fingerprint, name.encode()
        check(len(key[2]) <= 255, "a name of more than 255 bytes", Code.NO_PROCEDURE, True)
        if key not in self.names and len(self.names) < self.peer.max_bindings:
            self.names[key] = len(self.names)
            self.out += frame(Head.BIND, self.names[key], fingerprint.to_bytes(8, "little"), name)
        return (PROCEDURE, self.names[key]) if key in self.names else key

    def send(self, port: Port, message: Message) -> Iterator[None]:
        """Sends arguments, a result or an item; step it on after every change (5.5 to 5.7, 6.2, 6.3)."""
        handles, rest, flags, fields, first = message.handles, memoryview(message.payload), 0, b"", True
        streams = sum(handle.kind == STREAMS for handle in handles)
        cost = 1 + 128 * len(handles) if port.kind == STREAMS else 0
        while len(rest) > self.peer.max_message and not self.greeted:
            yield
        fits = len(rest) <= self.peer.max_message and cost <= self.peer.stream_window // 2 and len(handles) <= 64
        check(fits, "too large for the other side", Code.TOO_LARGE, True)
        while not self.ended and (port.end or port.stop) is None:
            window = port.credit + (self.peer.stream_window if cost else self.peer.message_window)
            size = min(window - cost, self.peer.max_frame - 5 * len(handles) - 320, PIECE)
            room = self.room(STREAMS, streams) and self.room(CALLBACKS, len(handles) - streams)
            if len(self.out) > PIECE or size < min(1, len(rest)) or not room or port.sending not in (None, message):
                yield
                continue
            if first and port.kind == CALLS and port.mine:
                flags, (_, number, *name) = port.flags, port.target
                fields = number.to_bytes(8, "little") + bytes((len(name[0]),)) + name[0] if name else varint(number)
                left = max(0.0, port.deadline - self.now)
                fields += varint(math.ceil(left * 1000)) if flags & DEADLINE else b""
            part, rest, total = rest[:size], rest[size:], len(rest)
            flags |= MORE if rest else 0
            if handles and not rest:  # all in the last frame, and in force from then on (7.5)
                flags, listing = flags | HANDLES, [len(handles), *map(self.add, handles)]
                fields += b"".join(map(varint, listing))
            port.begun, port.credit, port.sending = True, port.credit - len(part), message if rest else None
            if cost and first and not flags and window >= len(length := varint(total)) + total:
                port.credit -= len(length)
                self.out += frame(Head.ITEMS, port.field, length, part)
            elif cost:
                port.credit -= 1 if rest else cost
                self.out += frame(Head.ITEM, port.field, bytes((flags,)), fields, part)
            elif first and not flags:
                self.out += frame(Head.CALL if port.mine else Head.ANSWER, port.number, fields, part)
            else:
                head = Head.RESULT if not port.mine else Head.OPEN if first else Head.ARGUMENTS
                self.out += frame(head, port.number, bytes((flags,)), fields, part)
            if not rest:
                if port.kind == CALLS and not port.mine:
                    port.end = Code.FINISHED, ""
                    self.said.append(port)
                for handle in handles:
                    if handle.kind == STREAMS and (handle.end or handle.stop) is not None:
                        word, handle.end, handle.stop = handle.end or (handle.stop,), None, None
                        self.last(handle, *word)
                return
            flags, fields, first = 0, b"", False

    def last(self, port: Port, code: int = 0, text: str = "", started: bool = True) -> None:
        """The last word of this side about a port, unless it was said (5.2, 5.10, 6.5, 7.2)."""
        if self.ended or (port.end if port.sends else port.stop) is not None:
            return
        if port.sends:
            port.end = int(code), text
        else:
            port.stop = int(code)
        self.let_go(port.part, *port.items)
        port.items.clear()
        match port.kind, port.sends:
            case _ if port.number < 0: return  # it is said when somebody is there who can be told
            case (1, False):
                port.end, port.retry_safe = port.end or (port.stop, text or "given up"), not port.begun
                self.out += frame(Head.CANCEL, port.number, port.stop) if port.begun else b""
            case (1, True): self.out += frame(Head.ERROR, port.number, int(started), *port.end)
            case (4, True): self.out += frame(Head.END, port.field, *port.end)
            case (4, False): self.out += frame(Head.STOP, port.field, port.stop)
            case _: self.out += frame(Head.RELEASE, port.number)
        self.said.append(port)

    def _forget(self, port: Port) -> None:
        """Frees a number when the last words on it have passed; those of this side not before they go out."""
        calls = port.kind == CALLS and port.mine and port.begun
        if not calls and port not in self.said and (port.kind != STREAMS or None not in (port.end, port.stop)):
            self.ports.pop((port.kind, port.mine, port.number), None)

    def let_go(self, *messages: Message) -> None:
        """Gives up the handles of messages that came (7.4)."""
        for handle in itertools.chain.from_iterable(message.handles for message in messages):
            self.last(handle, Code.DROPPED)

    def take(self, port: Port) -> Message | None:
        """The next item, if there is one; gives credit for it (6.3)."""
        item = port.items.popleft() if port.items else None
        port.owed += item.cost if item else 0
        self._grant(port)
        if port.end and not item:
            self.last(port)
        return item

    def _grant(self, s: Port) -> None:
        """Gives credit for what was used (6.3), and ahead of use for an item that is under way (6.4)."""
        due = s.owed + (0 if s.items else s.part.cost)
        if due >= self.limits.stream_window // 2 and (s.end or s.stop or self.ended) is None:
            s.credit, s.owed, s.part.cost = s.credit + due, 0, s.part.cost if s.items else 0
            self.out += frame(Head.CREDIT, s.field, due)

    def close(self, code: int = Code.FINISHED, text: str = "") -> None:
        """Ends the wire when all that runs has ended (8.2), or with another code at once (8.4)."""
        if not self.ended and (code or not self.closing):
            self.closing = self.refused = True
            self.out += frame(Head.GOAWAY, int(code), text)
            if code:
                self.end(Error(code, text))

    def end(self, error: Error) -> None:
        """The bytes have ended (8.5), or the wire in another way (8.6)."""
        self.ended = self.ended or error
        for port in self.ports.values():
            if port.kind == CALLS and port.mine and port.end is None:
                port.end, port.retry_safe = (error.code or Code.GOING_AWAY, error.text), not (error.code and port.begun)
            port.stop = Code.LOST if port.stop is None else port.stop

    def tick(self, now: float) -> float | None:
        """Tells the time in seconds; says in how many it has to be told again."""
        self.now = now
        for call in [port for port in self.ports.values() if port.deadline <= now]:
            call.deadline = math.inf
            if call.mine:
                self.last(call, Code.DEADLINE, "the deadline has passed")
            else:
                call.stop = Code.DEADLINE
        soonest = min((port.deadline for port in self.ports.values()), default=math.inf)
        return soonest - now if soonest < math.inf else None

    def transmit(self) -> bytes:
        """Bytes to be sent."""
        while self.said:  # nobody who does not read can make last words pile up
            self._forget(self.said.popleft())
        if self.pong is not None and not self.ended:
            self.out += frame(Head.PONG, self.pong)
        if self.closing and not self.ended and all(port.kind == CALLBACKS for port in self.ports.values()):
            self.out += frame(Head.BYE)
            self.end(Error(Code.FINISHED, "closed"))
        out, self.out, self.pong = bytes(self.out), bytearray(), None
        return out

    def receive(self, data: bytes) -> None:
        """Takes bytes that came, in any number."""
        self.input += data
        try:
            if not self.greeted and not self._greet() or len(self.input) < self.need:
                return
            r, start, self.need = Reader(self.input), 0, 1
            with contextlib.suppress(EOFError):
                while not self.ended:
                    start = r.tell()
                    check((length := r.varint()) <= self.limits.max_frame, f"a frame of {length} bytes", Code.LIMIT)
                    self.need = r.tell() - start + length
                    body = Reader(r.take(length))
                    self.need = 1
                    try:
                        self._frame(body) if length else None
                    except (EOFError, ValueError) as error:
                        raise Error(Code.BREACH, f"a frame that cannot be read: {error}")
            del self.input[:start]
        except Error as error:
            self.close(error.code, error.text)

    def _greet(self) -> bool:
        """Reads the hello (3)."""
        check(b"\x1f\xf1".startswith(self.input[:2]), "the peer does not speak IPFI")
        if len(self.input) < 8:
            return False
        hello, self.input, self.greeted = self.input[:8], self.input[8:], True
        check(hello[2], "version 0", Code.VERSION)
        check(hello[3] in (0, self.codec), f"codec {hello[3]}, but this side has {self.codec}", Code.CODEC)
        exponents = [n for byte in hello[4:] for n in (byte >> 4, byte & 15)]
        check(15 not in exponents, "a limit that is reserved")
        self.peer = Limits(*(unit << n for unit, n in zip(SMALLEST, exponents)))
        return True

    def _frame(self, r: Reader) -> None:
        """Reads a frame (4)."""
        head, number = r.number(), 0
        if head < Head.OPEN:
            head, number = head & 0xC0, head & 63
            number += r.varint() if number == 63 else 0
        elif head < Head.BYE:
            number = r.varint()
        flags = r.number() if head in (Head.OPEN, Head.ARGUMENTS, Head.RESULT, Head.ITEM) else 0
        check(not flags & ~{Head.OPEN: 0xFF, Head.RESULT: 0x83}.get(head, 3), "unknown flags")
        mine = head in (Head.ANSWER, Head.RESULT, Head.ERROR, Head.ADMIT_ARGUMENTS)
        port = self.ports.get((CALLS, mine, number))
        if head in (Head.ITEMS, Head.ITEM, Head.END, Head.STOP, Head.CREDIT):
            port, back = self.ports.get((STREAMS, bool(number & 1), number >> 1)), head in (Head.STOP, Head.CREDIT)
            is_open = port and port.sends == back and (port.stop if back else port.end) is None
            check(is_open, "a stream that is not open, or the wrong way")
        check(port or not mine or head == Head.ADMIT_ARGUMENTS, "an answer to a call that is not open")
        check(head != Head.ANSWER or not port.part.begun, "an answer in the middle of a result")
        match head:
            case Head.CALL | Head.OPEN: self._called(r, number, flags)
            case Head.ANSWER | Head.ARGUMENTS | Head.RESULT: self._message(r, port, flags)
            case Head.ERROR:
                check((started := r.number()) < 2, "neither started nor not")
                self._answered(port, r.varint(), r.text(), not started)
            case Head.CANCEL:
                code = r.varint()
                if port and port.end is None:
                    port.stop = code
                    if port.begun or not port.complete:
                        self.last(port, code, started=port.complete)
            case Head.ADMIT_ARGUMENTS | Head.ADMIT_RESULT:
                more = r.varint()
                if port:
                    port.credit += more
            case Head.ITEMS:
                check(not port.part.begun, "items in the middle of an item")
                while r.left:
                    before = r.left
                    port.items.append(Message(r.take(r.varint())))
                    port.items[-1].cost = before - r.left
                    self._paid(port, before - r.left)
            case Head.ITEM:
                part, handles = port.part, self._handles(r, flags)
                cost = 1 + 128 * len(handles) + r.left
                part.payload, part.handles = part.payload + r.read(), part.handles + handles
                part.cost, part.begun = part.cost + cost, True
                check(len(part.payload) <= self.limits.max_message, "an item is too large", Code.LIMIT)
                if not flags & MORE:
                    port.items.append(part)
                    port.part = Message(bytearray())
                self._paid(port, cost)
            case Head.END:
                port.end = r.varint(), r.text()
                check(port.end[0] or not port.part.begun, "a stream ends in the middle of an item")
                self.let_go(port.part)
                self._forget(port)
            case Head.STOP:
                port.stop = r.varint()
                self.last(port, Code.CANCELLED)
                self._forget(port)
            case Head.CREDIT: port.credit += r.varint()
            case Head.BIND:
                check(number == len(self.bound), "a procedure is bound out of turn")
                check(number < self.limits.max_bindings, "too many procedures are bound", Code.LIMIT)
                self.bound.append((int.from_bytes(r.take(8), "little"), r.take(min(r.left, 255)).decode()))
            case Head.RELEASE:
                check(self.ports.pop((CALLBACKS, True, number), None), "a callback that does not exist is released")
            case Head.PING: self.pong = number
            case Head.GOAWAY:
                text, self.refused = r.text(), True
                if number not in (Code.FINISHED, Code.IDLE):
                    self.end(Error(number, text))
            case Head.BYE: self.end(Error(Code.FINISHED, "closed"))
            case _ if head > Head.BYE: r.read()
        check(not r.left, "a frame goes on after its end")

    def _called(self, r: Reader, number: int, flags: int) -> None:
        """The other side calls (5.3)."""
        check(number < self.limits.max_calls, "too many calls at once", Code.LIMIT)
        check((CALLS, False, number) not in self.ports, "the number of a call is in use")
        check((kind := flags >> 3 & 3) < 3 and flags >> 5 & 3 < 3, "an unknown kind of target or priority")
        call = self.ports[CALLS, False, number] = Port(CALLS, False, True, number)
        named = kind == NAMED
        call.target = (kind, r.take(8), r.take(r.number()).decode()) if named else (kind, r.varint())
        call.flags, call.deadline = flags, self.now + r.varint() / 1000 if flags & DEADLINE else math.inf
        call.function = self.ports.get((CALLBACKS, True, call.target[1])) if kind == CALLBACK else None
        if self.closing and kind != CALLBACK:
            self.last(call, Code.GOING_AWAY, started=False)
        elif kind == CALLBACK and not call.function:
            self.last(call, Code.NO_CALLBACK, started=False)
        elif kind == PROCEDURE and call.target[1] >= len(self.bound):
            self.last(call, Code.NO_PROCEDURE, started=False)
        self._message(r, call, flags)

    def _message(self, r: Reader, call: Port | None, flags: int) -> None:
        """A part of arguments or of a result came (5.5)."""
        total, handles = r.varint() if flags & TOTAL else 0, self._handles(r, flags)
        if not call or call.end is not None:
            self.let_go(Message(r.read(), handles))
        else:
            check(not call.complete, "arguments go on after their end")
            call.part.payload, call.part.handles = call.part.payload + r.read(), call.part.handles + handles
            size, call.part.begun = len(call.part.payload), True
            longer = not call.mine and bool(flags & MORE)  # than this (5.6)
            if max(size + longer, total) > self.limits.max_message:
                self.last(call, Code.TOO_LARGE, "too large for this side", started=False)
            elif size > self.limits.message_window:
                raise Error(Code.OVERDRAWN, "more than the window of a message")
            elif not flags & MORE:
                call.items.append(call.part)
                call.complete, call.part = True, Message()
                self.arrived.extend([] if call.mine else [call])
        if call and call.mine and not flags & MORE:
            self._answered(call)

    def _answered(self, call: Port, code: int = 0, text: str = "", retry_safe: bool = False) -> None:
        """The last word on a call of this side came (5.1)."""
        self.let_go(call.part)
        if call.end is None:
            call.end, call.retry_safe, call.stop = (code, text), retry_safe, 0
        del self.ports[CALLS, True, call.number]

    def _handles(self, r: Reader, flags: int) -> list[Port]:
        """Takes handles over (4.7)."""
        handles, count = [], r.varint() if flags & HANDLES else 0
        check(count <= 64, "more than 64 handles")
        for number, kind in (divmod(r.varint(), 4) for _ in range(count)):
            key = STREAMS if kind else CALLBACKS, False, number
            check(kind < 3 and key not in self.ports, "a handle of no kind, or in use")
            check(number < self.limits[key[0]], "too many streams or callbacks at once", Code.LIMIT)
            self.ports[key] = Port(key[0], False, kind == 2, number)
            handles.append(self.ports[key])
        return handles

    def _paid(self, s: Port, cost: int) -> None:
        """The other side has spent credit (6.3) for what came; if nobody wants that it is dropped (6.6)."""
        s.credit -= cost
        check(self.limits.stream_window + s.credit >= 0, "more than there was credit for", Code.OVERDRAWN)
        if s.stop is not None:
            self.let_go(s.part, *s.items)
            s.items.clear()
            s.part.payload, s.part.handles = bytearray(), []
        self._grant(s)
