"""A path through a network between two namespaces: what it loses follows from a seed.

Two TUN devices (Linux, Documentation/networking/tuntap.rst), one in each namespace, and this process between them. The kernel's
TCP and a program's UDP go the same way and meet the same fate. Needs root.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from dataclasses import dataclass

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


@dataclass
class Path:
    """Both directions are alike."""

    rate: float = 2_500_000.0  # bytes a second
    delay: float = 0.010  # seconds, one way
    queue: float = 100_000.0  # bytes that the bottleneck holds
    loss: float = 0.0  # chances, for each packet
    double: float = 0.0
    held_up: float = 0.0  # overtaken by what comes within `hold`
    hold: float = 0.004


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class Namespaces:
    """`names` with the addresses 10.99.0.1 and 10.99.0.2; their TCP has this congestion control."""

    addresses = ("10.99.0.1", "10.99.0.2")

    def __init__(self, control):
        self.names = tuple(f"ipfi-{os.getpid()}-{side}" for side in "ab")
        self.tuns = []
        for number, name in enumerate(self.names):
            device = f"ipfi{os.getpid() % 100_000}{number}"
            run("ip", "netns", "add", name)
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
            run("ip", "link", "set", device, "netns", name)
            peer = self.addresses[1 - number]
            inside = ("ip", "-n", name)
            run(*inside, "addr", "add", self.addresses[number], "peer", peer, "dev", device)
            run(*inside, "link", "set", device, "mtu", "1500", "up")
            run(*inside, "link", "set", "lo", "up")
            # Of a route: not every control may be made the default of a namespace.
            run(*inside, "route", "replace", peer, "dev", device, "congctl", control)
            self.tuns.append(tun)

    def close(self):
        for name in self.names:
            run("ip", "netns", "del", name)
        for tun in self.tuns:
            os.close(tun)

    def command(self, side, *words):
        return ("ip", "netns", "exec", self.names[side], *words)


class Carrier(threading.Thread):
    """Carries packets until `stop` is called."""

    def __init__(self, tuns, path, seed):
        super().__init__(daemon=True)
        self.tuns, self.path = tuns, path
        self.randoms = [random.Random(2 * seed + side) for side in (0, 1)]
        self.free = [0.0, 0.0]
        self.flight = []
        self.count = 0
        self.stopped = False

    def stop(self):
        self.stopped = True
        self.join()

    def run(self):
        while not self.stopped:
            now = time.monotonic()
            while self.flight and self.flight[0][0] <= now:
                _, _, to, packet = heapq.heappop(self.flight)
                self.put(to, packet)
            wait = self.flight[0][0] - now if self.flight else 0.05
            ready, _, _ = select.select(self.tuns, [], [], max(0.0, min(wait, 0.05)))
            for tun in ready:
                self.take(self.tuns.index(tun))

    def put(self, to, packet):
        try:
            os.write(self.tuns[to], packet)
        except OSError:
            pass  # The namespace has no room: a loss like any other.

    def take(self, side):
        path, chance = self.path, self.randoms[side].random
        for _ in range(64):
            try:
                packet = os.read(self.tuns[side], 2048)
            except BlockingIOError:
                return
            now = time.monotonic()
            start = max(self.free[side], now)
            if (start - now) * path.rate > path.queue:
                continue
            self.free[side] = start + len(packet) / path.rate
            # Always as many numbers: the fate of a packet does not depend on that of others.
            lost, double, held, hold = chance(), chance(), chance(), chance()
            if lost < path.loss:
                continue
            arrival = self.free[side] + path.delay
            arrival += path.hold * hold if held < path.held_up else 0.0
            for _ in range(2 if double < path.double else 1):
                self.count += 1
                heapq.heappush(self.flight, (arrival, self.count, 1 - side, packet))
