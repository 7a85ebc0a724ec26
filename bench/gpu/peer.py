#!/usr/bin/env python3
"""PyTorch's side on a GPU: workloads given as arguments, one JSON line each.

    peer.py version
    peer.py step:ENCODER:SIZE:BATCH:EXPANDER:PRECISION:WAY ...   WAY: eager, compile, graphs
    peer.py embed:ENCODER:SIZE:BATCH:PRECISION:WAY               WAY: eager, compile
    peer.py loss:N:D

A step is VICReg's released recipe: two views in a pass each, bfloat16 by autocast, channels_last, LARS. Written to be
as fast as PyTorch gets: cuDNN's benchmark mode, gradients set to none, views already on the card, in the layout that
convolutions like. graphs is torch.compile with CUDA graphs (reduce-overhead). Times are those of the card, by events.
"""
import contextlib, fcntl, json, os, sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision

torch.backends.cudnn.benchmark = True
MODES = {"eager": None, "compile": "default", "graphs": "reduce-overhead"}


def precision(name):
    tf32 = name != "float32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    return torch.bfloat16 if name == "bf16" else torch.float32


def squares_off_diagonal(c):
    return c.pow(2).sum() - c.diagonal().pow(2).sum()


def vicreg(x, y):
    n, d = x.shape
    invariance = F.mse_loss(x, y)
    x, y = x - x.mean(0), y - y.mean(0)
    std = F.relu(1 - torch.sqrt(x.var(0) + 1e-4)).mean() / 2 + F.relu(1 - torch.sqrt(y.var(0) + 1e-4)).mean() / 2
    cov = squares_off_diagonal(x.T @ x / (n - 1)) / d + squares_off_diagonal(y.T @ y / (n - 1)) / d
    return 25 * invariance + 25 * std + cov


class LARS(torch.optim.Optimizer):
    def __init__(self, params, lr, decay=1e-6, momentum=0.9, eta=0.001):
        super().__init__(params, dict(lr=lr, decay=decay, momentum=momentum, eta=eta))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad
                if p.ndim > 1:
                    g = g.add(p, alpha=group["decay"])
                    pn, gn = p.norm(), g.norm()
                    one = torch.ones_like(pn)
                    g = g * torch.where(pn > 0, torch.where(gn > 0, group["eta"] * pn / gn, one), one)
                state = self.state[p]
                if "m" not in state:
                    state["m"] = torch.zeros_like(p)
                state["m"].mul_(group["momentum"]).add_(g)
                p.add_(state["m"], alpha=-group["lr"])


def network(encoder, size, widths):
    m = getattr(torchvision.models, encoder)(zero_init_residual=True)
    if size <= 64:
        m.conv1, m.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    layers, c = [], m.fc.in_features
    m.fc = nn.Identity()
    for d in widths[:-1]:
        layers += [nn.Linear(c, d), nn.BatchNorm1d(d), nn.ReLU(True)]
        c = d
    layers += [nn.Linear(c, widths[-1], bias=False)]
    return nn.Sequential(m, nn.Sequential(*layers)).cuda().to(memory_format=torch.channels_last)


@contextlib.contextmanager
def alone():
    """Holds the file PEER_LOCK names, so that only one of several processes uses the card."""
    if "PEER_LOCK" not in os.environ:
        yield
        return
    with open(os.environ["PEER_LOCK"], "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def timed(f, steps, warm=5):
    f()  # compiles, where it is to be compiled
    torch.cuda.synchronize()
    times = []
    with alone():
        for _ in range(warm):
            f()
        torch.cuda.synchronize()
        for _ in range(steps):
            a, b = torch.cuda.Event(True), torch.cuda.Event(True)
            a.record()
            f()
            b.record()
            b.synchronize()
            times.append(a.elapsed_time(b) / 1e3)
    return times


def step(encoder, size, batch, expander, numbers, way):
    t, size, batch = precision(numbers), int(size), int(batch)
    net = network(encoder, size, [int(d) for d in expander.split("-")])
    optimizer = LARS(net.parameters(), 0.1)
    x = torch.randn(batch, 3, size, size, device="cuda").to(memory_format=torch.channels_last)
    y = torch.randn_like(x)
    forward, loss = net, vicreg
    if MODES[way]:
        forward, loss = torch.compile(net, mode=MODES[way]), torch.compile(vicreg)

    def f():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=t, enabled=t != torch.float32):
            a, b = forward(x), forward(y)
        loss(a.float(), b.float()).backward()
        optimizer.step()

    return timed(f, 12)


def embed(encoder, size, batch, numbers, way):
    t, size, batch = precision(numbers), int(size), int(batch)
    m = getattr(torchvision.models, encoder)()
    m.fc = nn.Identity()
    m = m.eval().cuda().to(memory_format=torch.channels_last).to(t)
    x = torch.randn(batch, 3, size, size, device="cuda").to(memory_format=torch.channels_last).to(t)
    f = m if not MODES[way] else torch.compile(m, mode=MODES[way])
    with torch.inference_mode():
        return timed(lambda: f(x), 20)


def loss(n, d):
    precision("float32")
    x, y = (torch.randn(int(n), int(d), device="cuda", requires_grad=True) for _ in range(2))

    def f():
        x.grad = y.grad = None
        vicreg(x, y).backward()

    return timed(f, 20)


def main():
    for spec in sys.argv[1:]:
        what, *args = spec.split(":")
        if what == "version":
            print(json.dumps(dict(torch=torch.__version__, cudnn=torch.backends.cudnn.version(),
                                  card=torch.cuda.get_device_name(0))), flush=True)
            continue
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        began = time.time()
        try:
            times = dict(step=step, embed=embed, loss=loss)[what](*args)
        except torch.cuda.OutOfMemoryError as e:
            print(json.dumps(dict(spec=spec, error=str(e).splitlines()[0])), flush=True)
            continue
        times.sort()
        print(json.dumps(dict(spec=spec, times_s=times, median_s=times[len(times) // 2],
                              peak_mib=torch.cuda.max_memory_allocated() / 2**20, took_s=time.time() - began)), flush=True)
        torch._dynamo.reset()


if __name__ == "__main__":
    main()
