#!/usr/bin/env python3
"""What `udp:` carries over a path that loses packets, beside the kernel's TCP over the same one.

tests/benches-links/tcp.py [IPFI-BRIDGE [CONTROL]]: needs root; takes ten minutes. The same program moves the bytes, the
transports take turns, and a seed decides alike for both what is lost. CONTROL is TCP's congestion control: cubic (RFC 9438),
unless it is said, to which `udp:` is meant to be fair. On a path with losses of its own bbr takes more than its share.
"""

import os
import statistics
import subprocess
import sys
import time

from path import Carrier, Namespaces, Path

SEEDS = range(1, 6)
CASES = [
    ("no loss", Path(), 10_000_000),
    ("1 % loss", Path(loss=0.01), 6_000_000),
    ("1 % loss, 2 % doubled, 2 % overtaken", Path(loss=0.01, double=0.02, held_up=0.02), 6_000_000),
    ("5 % loss", Path(loss=0.05), 2_000_000),
    ("5 % loss, 5 % doubled, 5 % overtaken", Path(loss=0.05, double=0.05, held_up=0.05), 2_000_000),
]


def goodput(spaces, bridge, scheme, path, volume, seed):
    """Bytes a second from the start of the sender until the receiver has them all."""
    carrier = Carrier(spaces.tuns, path, seed)
    carrier.start()
    block = bytes(range(256)) * 256
    listener = (bridge, f"{scheme}-listen:{spaces.addresses[1]}:7000", "stdio:", "--once", "-q")
    dialler = (bridge, "stdio:", f"{scheme}:{spaces.addresses[1]}:7000", "-q")
    receiver = subprocess.Popen(
        spaces.command(1, *listener), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    time.sleep(0.5)  # It says nothing when it is ready; nobody counts this time.
    source = subprocess.Popen(
        ("head", "-c", str(volume), "/dev/zero"), stdout=subprocess.PIPE)
    start = time.monotonic()
    sender = subprocess.Popen(
        spaces.command(0, *dialler), stdin=source.stdout, stdout=subprocess.DEVNULL)
    got = 0
    while got < volume:
        piece = os.read(receiver.stdout.fileno(), len(block))
        if not piece:
            break
        got += len(piece)
    seconds = time.monotonic() - start
    for process in (sender, receiver, source):
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    carrier.stop()
    if got != volume:
        sys.exit(f"{scheme}, seed {seed}: {got} of {volume} bytes arrived")
    return volume / seconds


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    bridge = sys.argv[1] if len(sys.argv) > 1 else f"{here}/../../target/release/ipfi-bridge"
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        sys.exit("needs root and /dev/net/tun")
    spaces = Namespaces(sys.argv[2] if len(sys.argv) > 2 else "cubic")
    print(f"{'path: 20 Mbit/s, 20 ms and':<38} {'tcp':>9} {'udp':>9} bytes/s  udp/tcp")
    try:
        for name, path, volume in CASES:
            runs = {"tcp": [], "udp": []}
            for seed in SEEDS:
                for scheme, values in runs.items():
                    values.append(goodput(spaces, bridge, scheme, path, volume, seed))
            tcp, udp = (statistics.median(values) for values in runs.values())
            print(f"{name:<38} {tcp:9.0f} {udp:9.0f}          {udp / tcp:.2f}", flush=True)
    finally:
        spaces.close()


if __name__ == "__main__":
    main()
