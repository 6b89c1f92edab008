"""IPFI in Python: calls, streams and callbacks between two programs, over any bytes in order.

    with ipfi.dial("tcp:127.0.0.1:7000") as wire:
        print(wire.call("greet", "Ada"))

A `Wire` runs the protocol of `ipfi_protocol` on threads and blocks as functions do; `dial` and `serve` open links.
"""

import collections.abc, contextlib, functools, inspect, math, os, queue, select, shlex, socket, struct, subprocess
import threading, time, typing, urllib.parse, weakref, zlib
from typing import Any, Callable, Generic, Iterator, TypeVar

from ipfi_protocol import CALLBACK, CALLBACKS, CALLS, PROCEDURE, STREAMS
from ipfi_protocol import Code, Connection, Error, Limits, Message, Port, Reader, check

T = TypeVar("T")


def pack(value: Any, place: Callable[[Any], int]) -> bytes:
    """Writes a value in MessagePack (14.2); `place` says the place of a stream or callback."""

    def head(size: int, few: int, first: int, *wider: int) -> bytes:
        width = next(n for n, code in enumerate(wider) if code and size >> (8 << n) == 0)
        return bytes((first + size,)) if size < few else bytes((wider[width],)) + size.to_bytes(1 << width, "big")

    match value:
        case None | bool(): return b"\xc0" if value is None else b"\xc3" if value else b"\xc2"
        case int() if value >= 0: return head(value, 128, 0, 0xCC, 0xCD, 0xCE, 0xCF)
        case int():
            width = next(n for n in range(4) if n == 3 or -value <= 128 << (8 * ((1 << n) - 1)))
            sign = b"" if value >= -32 else bytes((0xD0 + width,))
            return sign + value.to_bytes(1 << width, "big", signed=True)
        case float(): return struct.pack(">Bd", 0xCB, value)
        case str(): return head(len(data := value.encode()), 32, 0xA0, 0xD9, 0xDA, 0xDB) + data
        case bytes() | bytearray(): return head(len(value), 0, 0, 0xC4, 0xC5, 0xC6) + value
        case list() | tuple():
            return head(len(value), 16, 0x90, 0, 0xDC, 0xDD) + b"".join(pack(v, place) for v in value)
        case dict(): return head(len(value), 16, 0x80, 0, 0xDE, 0xDF) + b"".join(
            pack(v, place) for item in value.items() for v in item)
        case _: return pack(place(value), place)


def unpack(r: Reader, depth: int = 128) -> Any:
    """Reads a value of MessagePack; allocates what came, not what a length claims."""
    check(depth, "values nested more than 128 deep")
    each = functools.partial(unpack, r, depth - 1)
    match r.number():
        case h if h < 0x80 or h >= 0xE0: return h if h < 0x80 else h - 256
        case h if h < 0x90: return {each(): each() for _ in range(h & 15)}
        case h if h < 0xA0: return [each() for _ in range(h & 15)]
        case h if h < 0xC0: return r.take(h & 31).decode()
        case 0xC0 | 0xC2 | 0xC3 as h: return {0xC0: None, 0xC2: False, 0xC3: True}[h]
        case 0xC4 | 0xC5 | 0xC6 as h: return r.take(r.number(1 << (h - 0xC4)))
        case 0xD9 | 0xDA | 0xDB as h: return r.take(r.number(1 << (h - 0xD9))).decode()
        case 0xDC | 0xDD as h: return [each() for _ in range(r.number(2 << (h - 0xDC)))]
        case 0xDE | 0xDF as h: return {each(): each() for _ in range(r.number(2 << (h - 0xDE)))}
        case 0xCA | 0xCB as h: return struct.unpack(">f" if h == 0xCA else ">d", r.take(4 << (h - 0xCA)))[0]
        case h if 0xCC <= h <= 0xD3: return int.from_bytes(r.take(1 << (h & 3)), "big", signed=h >= 0xD0)
        case h: raise ValueError(f"{h:#x} begins no value")


current = threading.local()  # in a procedure: `current.wire`, and `current.call`, with `stop` if it is cancelled


class Handle:
    """What a program holds of a wire; whoever drops it lets go of it."""

    def __init__(self, wire: "Wire | None" = None, port: Port | None = None, hint: Any = Any) -> None:
        self._wire, self._port, self._hint = wire, port or Port(STREAMS, True, False), hint
        if wire:
            weakref.finalize(self, wire._dropped.put, self._port).atexit = False

    def close(self, code: int = Code.FINISHED, text: str = "") -> None:
        """Ends a stream, gives a call up, or releases a callback."""
        with self._wire._locked() as c:
            c.last(self._port, code, text)


class Pending(Handle):
    """A call that is under way."""

    def result(self) -> Any:
        """Waits for what it returns; a procedure that is cancelled gives up what it waits for."""
        call = getattr(current, "call", self._port)
        self._wire.wait(lambda: self._port.end or call.stop is not None)
        self.close(Code.CANCELLED)
        code, text = self._port.end
        check(not code, text, code, self._port.retry_safe)
        return self._wire._unpack(self._port.items.popleft(), self._hint)


class Callback(Handle):
    """A function of the other side."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._wire._start((CALLBACK, self._port.number), arguments, **options).result()


class Sender(Handle, Generic[T]):
    """The end of a stream that sends."""

    def send(self, value: T) -> None:
        """Sends an item as soon as there is credit for it."""
        message = self._wire._pack(value)
        with self._wire._locked():
            check(self._port.end is None, "this stream has been closed")
            self._wire._send(self._port, message)
            check(self._port.stop is None, "nobody wants more items", self._port.stop)

    def finish(self) -> None:
        """Says that this is all, and waits until all of it was used."""
        self.close()
        self._wire.wait(lambda: self._port.stop is not None)
        check(self._port.stop == 0, "not all items were wanted", self._port.stop)


class Receiver(Handle, Iterator[T]):
    """The end of a stream that reads: an iterator. Hand a new one over, and the other side has a `Sender`."""

    def __next__(self) -> T:
        port = self._port
        with self._wire._locked() as c:
            self._wire.wait(lambda: port.items or port.end or port.stop is not None)
            message = c.take(port)
        if message:
            return self._wire._unpack(message, self._hint)
        code, text = port.end or (Code.LOST if port.stop == Code.LOST else 0, "the wire has ended")
        check(not code, text, code)
        raise StopIteration


class Wire(contextlib.AbstractContextManager):
    """A live wire: call the procedures of the other side, which may call `procedures`."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], int], hang_up: Callable[[], Any],
                 procedures: dict[str, Callable] | None = None, limits: Limits = Limits()) -> None:
        self.procedures = {**(procedures or {}), "ipfi.describe": self._describe}
        self._connection, self._changed, self._dropped = Connection(limits), threading.Condition(), queue.SimpleQueue()
        self._read, self._write, self._hang_up = read, write, hang_up
        self._threads = [threading.Thread(target=run, daemon=True) for run in (
            self._reading, self._writing, self._sweeping)]
        for thread in self._threads:
            thread.start()

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Calls a procedure and waits for its result; options as for `start`."""
        with contextlib.closing(self.start(name, *arguments, **options)) as pending:  # also if it is interrupted
            return pending.result()

    def start(self, name: str, *arguments: Any, **options: Any) -> Pending:
        """Calls a procedure. Options: `returns`, a type hint; `deadline`, seconds; `priority`, 1 is high, 2 is low."""
        with self._locked() as c:
            target = c.bind(name)
        return self._start(target, arguments, **options)

    def describe(self) -> list[dict[str, Any]]:
        """What the other side offers: name, signature, doc and fingerprint of each procedure (15.1)."""
        return self.call("ipfi.describe", [])["New"]["procedures"]

    def wait(self, until: Callable[[], Any] = lambda: False) -> Error | None:
        """Waits until this is true, or the wire has ended; says why it has."""
        with self._changed:
            self._changed.wait_for(lambda: self._connection.ended or until())
            return self._connection.ended

    def close(self, code: int = Code.FINISHED, text: str = "") -> None:
        """Ends the wire when all that runs has ended, or with another code at once."""
        with self._locked() as c:
            c.close(code, text)
        self.wait()
        self._threads[1].join(5)  # until the last bytes are out

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self.close(Code.CANCELLED if kind else Code.FINISHED)

    def _start(self, target: tuple, arguments: tuple, returns: Any = Any, deadline: float = math.inf,
               priority: int = 0) -> Pending:
        message = self._pack(list(arguments) or None)
        with self._locked() as c:
            self.wait(lambda: c.room(CALLS))
            port = c.call(target, priority << 5, c.now + deadline)
            pending = Pending(self, port, returns)
            self._send(port, message)
        return pending

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self._changed:
            self._connection.now = time.monotonic()
            yield self._connection
            while self._connection.arrived:
                call = self._connection.arrived.popleft()
                threading.Thread(target=self._serve, args=(call,), daemon=True).start()
            self._changed.notify_all()

    def _send(self, port: Port, message: Message) -> None:
        for _ in self._connection.send(port, message):
            self._changed.notify_all()
            self._changed.wait()
        for handle in message.handles:
            if handle.kind == STREAMS and handle.sends and handle.number >= 0:
                threading.Thread(target=self._feed, args=(Sender(self, handle), handle.function), daemon=True).start()

    def _sweeping(self) -> None:
        for port in iter(self._dropped.get, None):
            with self._locked() as c:
                c.last(port, Code.FINISHED if port.sends else Code.DROPPED)
                c.let_go(*port.items)

    def _reading(self) -> None:
        data = b"-"
        while data:
            try:
                data = self._read(1 << 16)
            except OSError:
                data = b""
            with self._locked() as c:
                c.receive(data) if data else c.end(Error(Code.LOST, "the connection was lost"))

    def _writing(self) -> None:
        c = self._connection
        while True:
            with self._changed:
                wait, data = c.tick(time.monotonic()), c.transmit()
                self._changed.notify_all()
                if not data and c.ended:
                    break
                if not data:
                    self._changed.wait(wait)
            try:
                while data:
                    data = data[self._write(data) :]
            except OSError:
                with self._locked():
                    c.end(Error(Code.LOST, "the connection was lost"))
        with contextlib.suppress(OSError):
            self._hang_up()
        self._dropped.put(None)

    def _pack(self, value: Any) -> Message:
        handles: list[Port] = []

        def place(thing: Any) -> int:
            if isinstance(thing, Receiver) and not thing._wire:
                thing.__init__(self, thing._port, thing._hint)
            elif not isinstance(thing, Iterator) and not callable(thing):
                raise TypeError(f"a {type(thing).__name__} cannot be sent")
            own = isinstance(thing, Receiver) and thing._port.number < 0
            kind = STREAMS if isinstance(thing, Iterator) else CALLBACKS
            handles.append(thing._port if own else Port(kind, True, True, -1, thing))
            return len(handles) - 1

        return Message(pack(value, place), handles)

    def _feed(self, sender: Sender, items: Iterator) -> None:
        try:
            for item in items:
                sender.send(item)
            sender.close()
        except Exception as error:
            sender.close(Code.FAILED, str(error))

    def _unpack(self, message: Message, hint: Any, code: int = Code.BAD_RESULT) -> Any:
        """A value as a program sees it."""
        kinds = {STREAMS: Receiver, CALLBACKS: Callback}
        handles = [Sender(self, port) if port.sends else kinds[port.kind](self, port) for port in message.handles]
        try:
            value = unpack(r := Reader(message.payload))
            check(not r.left, "more than one value")
            return arguments(value, hint, handles) if inspect.isroutine(hint) else shape(value, hint, handles)
        except (EOFError, TypeError, ValueError, Error) as error:
            raise Error(code, str(error)) from None

    def _serve(self, call: Port) -> None:
        """Runs a procedure or callback, on a thread of its own."""
        current.wire, current.call, started, c, message = self, call, False, self._connection, call.items.popleft()
        kind, number, *name = call.target
        name = name[0] if name else c.bound[number][1] if kind == PROCEDURE else ""
        function = call.function.function if call.function else self.procedures.get(name)
        try:
            check(function, f"there is no procedure {name}", Code.NO_PROCEDURE)
            values, started = self._unpack(message, function, Code.BAD_ARGUMENTS), True
            result = self._pack(function(*values))
            with self._locked():
                self._send(call, result)
                c.last(call, call.stop or Code.CANCELLED)  # it was cancelled meanwhile, and said nothing
        except BaseException as error:  # also sys.exit() is an answer
            code, text = getattr(error, "code", Code.FAILED), getattr(error, "text", f"{type(error).__name__}: {error}")
            with self._locked():
                c.last(call, code, text, started)
                for port in message.handles:
                    c.last(port, code, text)

    def _describe(self, known: list[int]) -> dict:
        """Tells what there is (15.1)."""
        told = [{"name": name, "signature": spell(function), "doc": inspect.getdoc(function) or "", "fingerprint": 0}
                for name, function in self.procedures.items() if function != self._describe]
        digest = zlib.crc32(repr(told).encode())
        return {"Known": digest} if digest in known else {"New": {"hash": digest, "procedures": told}}


def shape(value: Any, hint: Any, handles: list) -> Any:
    """Makes of a value what a type hint says: streams and callbacks are found by their places (14.1)."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (Sender, Receiver, collections.abc.Callable, Callback):
        fits = type(value) is int and value < len(handles) and isinstance(handles[value], kind)
        check(fits, f"{value!r} is no place of a {kind.__name__}", Code.BAD_RESULT)
        handles[value], value = None, handles[value]
        value._hint = parts[0] if parts else Any
    elif kind is float and type(value) is int:
        value = float(value)
    elif kind in (bool, int, float, str, bytes, list, dict):
        check(type(value) is kind, f"{value!r:.50} is no {kind.__name__}", Code.BAD_RESULT)
        if kind is list and parts:
            value = [shape(item, parts[0], handles) for item in value]
    return value


def arguments(values: list | None, function: Callable, handles: list) -> list:
    """The arguments of a procedure, by its type hints."""
    values, signature = values or [], inspect.signature(function, eval_str=True)
    signature.bind(*values)
    parameters = list(signature.parameters.values())
    parameters += parameters[-1:] * len(values)  # for *arguments
    return [shape(value, parameter.annotation, handles) for value, parameter in zip(values, parameters)]


def spell(hint: Any) -> str:
    """A signature as IPFI writes it (15.2)."""
    names = {int: "i64", float: "f64", str: "String", bytes: "Bytes", bool: "bool", None: "()", list: "Vec",
             dict: "Map", collections.abc.Callable: "Callback<_, _>"}
    if inspect.isroutine(hint):
        signature = inspect.signature(hint, eval_str=True)
        arguments, result = (p.annotation for p in signature.parameters.values()), signature.return_annotation
        return f"({', '.join(map(spell, arguments))})" + (f" -> {spell(result)}" if result is not None else "")
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (Sender, Receiver, list, dict):
        parts = [spell(part) for part in parts] or ["_", "_"][: 1 + (kind is dict)]
        return f"{names.get(kind, kind.__name__)}<{', '.join(parts)}>"
    return names.get(kind, "_")


def dial(address: str, procedures: dict[str, Callable] | None = None, limits: Limits = Limits()) -> Wire:
    """A wire over tcp:HOST:PORT, unix:PATH, exec:COMMAND, serial:DEVICE[,baud=N] or stdio:"""
    scheme, _, rest = address.partition(":")
    where, *options = (urllib.parse.unquote(part) for part in rest.split(","))
    match scheme:
        case "tcp" | "unix":
            family, target = socket_address(scheme, where)
            link = socket.socket(family)
            link.connect(target)
            return over_socket(link, procedures, limits)
        case "exec":
            child = subprocess.Popen(shlex.split(where), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            return Wire(child.stdout.read, child.stdin.write, child.stdin.close, procedures, limits)
        case "serial":
            import termios, tty
            reader = writer = os.open(where, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(reader, termios.TCSANOW)
            modes = termios.tcgetattr(reader)
            modes[4] = modes[5] = getattr(termios, "B" + dict(o.split("=") for o in options).get("baud", "115200"))
            termios.tcsetattr(reader, termios.TCSANOW, modes)
        case "stdio":
            reader, writer = 0, os.dup(1)
            os.dup2(2, 1)  # what the program prints must not come in between
        case _:
            raise ValueError(f"{address}: use tcp:, unix:, exec:, serial: or stdio:")
    link = (functools.partial(f, fd) for f, fd in ((os.read, reader), (os.write, writer), (os.close, writer)))
    return Wire(*link, procedures, limits)


def socket_address(scheme: str, where: str) -> tuple[int, Any]:
    """The family and the address of a socket."""
    host, _, port = where.rpartition(":")
    family = socket.AF_UNIX if scheme == "unix" else socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, where if scheme == "unix" else (host.strip("[]"), int(port))


def over_socket(link: socket.socket, procedures: dict[str, Callable] | None, limits: Limits) -> Wire:
    """A wire over a connected socket."""
    if link.family != socket.AF_UNIX:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    def hang_up() -> None:
        link.shutdown(socket.SHUT_WR)
        select.select([link], [], [], 5)  # the other side has so much time to read the last bytes
        link.shutdown(socket.SHUT_RDWR)

    return Wire(link.recv, link.send, hang_up, procedures, limits)


def serve(address: str, procedures: dict[str, Callable], limits: Limits = Limits()) -> Error | None:
    """Serves whoever connects to tcp-listen:HOST:PORT or unix-listen:PATH; at any other address one peer."""
    scheme, _, where = address.partition("-listen:")
    if not where:
        with dial(address, procedures, limits) as wire:
            return wire.wait()
    family, target = socket_address(scheme, where)
    with socket.create_server(target, family=family) as listener:
        while True:
            over_socket(listener.accept()[0], procedures, limits)
