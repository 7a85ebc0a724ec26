"""The model of docs/scaling.md: what a step of P processes takes, and of what.

    python3 bench/scaling.py

prints its tables. Times are seconds, sizes bytes, rates bytes a second.
"""
import math
from dataclasses import dataclass


@dataclass
class Work:
    """What is trained. Sizes are those of ResNets and expanders as docs/recipes.md has them."""
    name: str
    parameters: float  # of encoder and expander
    norms: int  # layers that normalise by the batch
    width: int  # of embeddings
    views: int = 2


@dataclass
class Machine:
    """One process of it."""
    name: str
    fixed: float  # of a step, whatever the rows: the update, what starts it
    row: float  # forward and backward of all views of one image
    loss: float  # of 2048 rows of 8192 values, gradients included

    def local(self, rows):
        return self.fixed + rows * self.row

    def terms(self, rows, width):  # products of all rows, or of all columns: the smaller
        return self.loss * rows * width * min(rows, width) / (2048 * 8192 * 2048)


@dataclass
class Net:
    """What is between processes: small(P) is the time of a sum of a few kilobytes."""
    name: str
    latency: float  # of one message
    rate: float  # of large sums and gathers, of each process
    start: float = 0  # of each sum, before it leaves

    def small(self, p):
        return 0 if p == 1 else self.start + self.latency * math.ceil(math.log2(p))

    def gather(self, size, p):  # size is that of all ranks together
        return 0 if p == 1 else self.small(p) + (p - 1) / p * size / self.rate

    def sum(self, size, p):  # everybody's block to each, and the sums to all
        return 0 if p == 1 else 2 * self.small(p) + 2 * (p - 1) / p * size / self.rate


def step(work, machine, net, batch, p):
    """The parts of a step."""
    return {
        "own rows": machine.local(batch / p),
        "loss": machine.terms(batch, work.width),
        "statistics": 2 * work.views * work.norms * net.small(p),
        "embeddings": work.views * net.gather(4 * batch * work.width, p),
        "gradients": net.sum(4 * work.parameters, p),
    }


def table(work, machine, nets, cases):
    print(f"{work.name}; {machine.name}\n")
    print("| processes, batch | between them | own rows | loss | statistics | embeddings | gradients | step, ms "
          "| images/s | of P times one |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for p, batch in cases:
        for net in nets if p > 8 else nets[:1]:  # eight are one host
            parts = step(work, machine, net, batch, p)
            whole = sum(parts.values())
            alone = sum(step(work, machine, net, batch / p, 1).values())
            print(f"| {p}, {batch} | {net.name} | " + " | ".join(f"{1e3 * t:.1f}" for t in parts.values()) +
                  f" | {1e3 * whole:.1f} | {batch / whole:,.0f} | {100 * alone / whole:.0f}% |")
    print()


# docs/performance.md, "On an NVIDIA card": a step of 256 rows 68.1 ms, of which the update 2.3; the loss of 2048 rows 4.63.
H100 = Machine("H100, bf16", fixed=3e-3, row=(68.1e-3 - 3e-3 - 0.24e-3) / 256, loss=4.63e-3)
RESNET50 = Work("ResNet-50 at 224 px, expander 8192-8192-8192", 23.5e6 + 2048 * 8192 + 2 * 8192**2, 53 + 2, 8192)
NETS = [
    Net("NVLink, 8 × 400 Gbit/s a host", latency=4e-6, rate=330e9 / 2, start=12e-6),
    Net("one 100 Gbit/s a host of 8", latency=10e-6, rate=12.5e9, start=12e-6),
    Net("one 25 Gbit/s a host of 8", latency=20e-6, rate=3.1e9, start=12e-6),
]


def main():
    table(RESNET50, H100, NETS, [(8, 2048), (32, 2048), (256, 2048), (256, 16384)])


if __name__ == "__main__":
    main()
