"""The link of the ring in Python."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import ipfi


def pass_on(text: str) -> str:
    return ipfi.current.wire.call("pass", text + " -> Python")


ipfi.serve("stdio:", {"pass": pass_on})
