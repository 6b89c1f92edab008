#!/usr/bin/env python3
"""What `arq+` makes of a bad serial line, beside gensio's `relpkt,msgdelim` on the same one.

tests/benches-links/gensio.py [IPFI-BRIDGE [SEEDS]]: takes a quarter of an hour. The line is two ptys with a paced, seeded fault
injector between them, 115,200 baud and 5 ms each way. All take turns on it, plain bytes too: what they get is
the measure, since a busy machine slows everything down alike.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

VOLUME = 60_000
LIMIT = 40.0  # seconds; a clean line needs 5.2
COLUMNS = ["", "flip=1e-5", "flip=1e-4", "flip=3e-4", "flip=1e-3", "drop=1e-4,insert=1e-4"]


def commands(bridge, ends):
    """The receiver and the sender of each contender."""

    def arq(fec):
        addresses = [f"arq+serial:{end},baud=115200,fec={fec}" for end in ends]
        return (bridge, "-q", addresses[1], "stdio:"), (bridge, "-q", "stdio:", addresses[0])

    def gensio(mode, end):
        return ("gensiot", f"relpkt(mode={mode}),msgdelim,serialdev,{end},115200N81")

    plain = [f"serial:{end},baud=115200" for end in ends]
    rows = {
        "plain": ((bridge, "-q", plain[1], "stdio:"), (bridge, "-q", "stdio:", plain[0])),
        "arq, fec=off": arq("off"),
        "arq, fec=auto": arq("auto"),
    }
    if shutil.which("gensiot"):
        rows["gensio relpkt"] = (gensio("server", ends[1]), gensio("client", ends[0]))
    return rows


def stop(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def goodput(bridge, row, faults, seed):
    """Bytes a second from the start of the sender until the receiver has all of them, unharmed, or 0."""
    with tempfile.TemporaryDirectory() as folder:
        ends = [os.path.join(folder, name) for name in "ab"]
        comma = "," if faults else ""
        noise = f"rate=11520,delay=5ms,seed={seed}{comma}{faults}"
        line = subprocess.Popen(
            (bridge, "-q", f"noise+pty:{ends[0]},delay=5ms", f"noise+pty:{ends[1]},{noise}"))
        while not all(os.path.exists(end) for end in ends):
            time.sleep(0.01)
        receive, send = commands(bridge, ends)[row]
        text = os.urandom(VOLUME)
        receiver = subprocess.Popen(receive, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(0.5)
        start = time.monotonic()
        sender = subprocess.Popen(send, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(receiver.stdout.fileno(), False)
        os.set_blocking(sender.stdin.fileno(), False)
        got, given = bytearray(), 0
        while len(got) < VOLUME and time.monotonic() - start < LIMIT:
            try:
                given += os.write(sender.stdin.fileno(), text[given:given + 4096])
            except (BlockingIOError, BrokenPipeError):
                pass
            got += receiver.stdout.read(65536) or b""
            time.sleep(0.002)
            if sender.poll() is not None or receiver.poll() is not None:
                break
        seconds = time.monotonic() - start
        for process in (sender, receiver, line):
            stop(process)
        right = bytes(got) == text
        return VOLUME / seconds if right else 0.0


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    bridge = sys.argv[1] if len(sys.argv) > 1 else f"{here}/../../target/release/ipfi-bridge"
    seeds = range(1, 1 + (int(sys.argv[2]) if len(sys.argv) > 2 else 3))
    rows = [row for row in commands(bridge, "ab") if row != "plain"]
    print(f"{'of what plain bytes get':<24}" + "".join(f"{row:>16}" for row in rows), flush=True)
    for faults in COLUMNS:
        shares = {row: [] for row in rows}
        for seed in seeds:
            plain = goodput(bridge, "plain", "", seed)
            for row in rows:
                shares[row].append(goodput(bridge, row, faults, seed) / plain)
        medians = (statistics.median(values) for values in shares.values())
        print(f"{faults or 'clean':<24}" + "".join(f"{m:16.2f}" for m in medians), flush=True)


if __name__ == "__main__":
    main()
