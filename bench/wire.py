"""A wire of a given delay and rate between two network namespaces, for kernels without netem.

    python3 bench/wire.py FIRST SECOND DELAY_MS MBIT

Both namespaces must be there; each gets an interface wire0, 10.77.0.1 and 10.77.0.2. Every packet
arrives DELAY_MS after its last bit has left at MBIT a second; what waits to leave is 4 MB at most.
"""
import collections
import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
ROOM = 4 << 20


def end(namespace, address):
    """One end of the wire: what goes out at the interface can be read from it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/var/run/netns/{namespace}") as ns:
        if libc.setns(ns.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"namespace {namespace}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"wire0", IFF_TUN | IFF_NO_PI))
    for command in (f"link set lo up", f"addr add {address}/24 dev wire0", "link set wire0 mtu 9000 txqueuelen 2000 up"):
        subprocess.run(["ip", "-n", namespace, *command.split()], check=True)
    return fd


class Direction:
    def __init__(self, source, target, delay, rate):
        self.source, self.target, self.delay, self.rate = source, target, delay, rate
        self.flying, self.free, self.waits = collections.deque(), 0.0, 0

    def take(self, now):
        try:
            packet = os.read(self.source, 1 << 16)
        except BlockingIOError:
            return False
        if (self.free - now) * self.rate > ROOM:
            return True  # dropped, as a switch does
        self.free = max(self.free, now) + len(packet) / self.rate
        self.flying.append((self.free + self.delay, packet))
        return True

    def deliver(self, now):
        while self.flying and self.flying[0][0] <= now:
            try:
                os.write(self.target, self.flying.popleft()[1])
            except OSError:
                pass  # nobody is there any more

    def due(self):
        return self.flying[0][0] if self.flying else float("inf")


def main():
    first, second, delay, rate = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1e3, float(sys.argv[4]) * 1e6 / 8
    a, b = end(first, "10.77.0.1"), end(second, "10.77.0.2")
    ways = [Direction(a, b, delay, rate), Direction(b, a, delay, rate)]
    poll = select.epoll()
    poll.register(a, select.EPOLLIN)
    poll.register(b, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        wait = min(w.due() for w in ways) - time.monotonic()
        poll.poll(max(0.0, min(wait, 1.0)))
        for w in ways:
            while w.take(time.monotonic()):
                pass
            w.deliver(time.monotonic())


if __name__ == "__main__":
    main()
