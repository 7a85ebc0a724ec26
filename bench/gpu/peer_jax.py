#!/usr/bin/env python3
"""XLA's side on a GPU: one training step in plain JAX, as one JSON line.

    peer_jax.py step:resnet50:224:256:8192-8192-8192:bf16:xla

VICReg's step for ResNet-50 as peer.py has it: NHWC, bfloat16 products and activations, float32 weights, statistics,
loss and LARS; everything in one jitted function that gives its arguments away.
"""
import contextlib, fcntl, functools, json, os, sys, time

import jax
import jax.numpy as jnp
from jax import lax

half = jnp.bfloat16


class Init:
    def __init__(self):
        self.key, self.p = jax.random.PRNGKey(0), {}

    def normal(self, name, shape, std):
        self.key, sub = jax.random.split(self.key)
        self.p[name] = jax.random.normal(sub, shape) * std

    def norm(self, name, c):
        self.p[name + ".g"], self.p[name + ".b"] = jnp.ones(c), jnp.zeros(c)

    def conv(self, name, r, c, k):
        self.normal(name, (r, r, c, k), (2 / (r * r * k)) ** 0.5)
        self.norm(name, k)


STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def parameters(widths):
    i = Init()
    i.conv("stem", 7, 3, 64)
    c = 64
    for s, (w, n) in enumerate(STAGES):
        for b in range(n):
            q = f"{s}.{b}."
            i.conv(q + "1", 1, c, w), i.conv(q + "2", 3, w, w), i.conv(q + "3", 1, w, 4 * w)
            if b == 0:
                i.conv(q + "d", 1, c, 4 * w)
            c = 4 * w
    for e, d in enumerate(widths):
        i.normal(f"e{e}", (c, d), c**-0.5)
        i.norm(f"e{e}", d)
        c = d
    return i.p


def conv(p, n, x, stride=1):
    w = p[n].astype(half)
    pad = [(w.shape[0] // 2,) * 2] * 2
    return lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def norm(p, n, x):
    over = tuple(range(x.ndim - 1))
    f = x.astype(jnp.float32)
    mean = f.mean(over)
    var = (f * f).mean(over) - mean * mean
    return ((f - mean) * (lax.rsqrt(var + 1e-5) * p[n + ".g"]) + p[n + ".b"]).astype(half)


def network(p, x, widths):
    relu = jax.nn.relu
    x = relu(norm(p, "stem", conv(p, "stem", x, 2)))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), [(0, 0), (1, 1), (1, 1), (0, 0)])
    for s, (_, n) in enumerate(STAGES):
        for b in range(n):
            q, stride = f"{s}.{b}.", 2 if b == 0 and s > 0 else 1
            y = relu(norm(p, q + "1", conv(p, q + "1", x)))
            y = relu(norm(p, q + "2", conv(p, q + "2", y, stride)))
            y = norm(p, q + "3", conv(p, q + "3", y))
            x = relu(y + (norm(p, q + "d", conv(p, q + "d", x, stride)) if b == 0 else x))
    x = x.astype(jnp.float32).mean((1, 2)).astype(half)
    for e in range(len(widths)):
        x = x @ p[f"e{e}"].astype(half)
        if e < len(widths) - 1:
            x = relu(norm(p, f"e{e}", x))
    return x.astype(jnp.float32)


def loss(p, a, b, widths):
    za, zb = network(p, a, widths), network(p, b, widths)
    n, d = za.shape
    total = 25 * ((za - zb) ** 2).mean()
    for z in (za, zb):
        z = z - z.mean(0)
        var = (z * z).sum(0) / (n - 1)
        g = (z.astype(half) @ z.T.astype(half)).astype(jnp.float32)
        total += 12.5 * jax.nn.relu(1 - jnp.sqrt(var + 1e-4)).mean()
        total += ((g * g).sum() / (n - 1) ** 2 - (var * var).sum()) / d
    return total


def update(p, m, g):
    if p.ndim > 1:
        g = g + 1e-6 * p
        pn, gn = jnp.linalg.norm(p), jnp.linalg.norm(g)
        g = g * jnp.where((pn > 0) & (gn > 0), 1e-3 * pn / gn, 1.0)
    m = 0.9 * m + g
    return p - 0.1 * m, m


@contextlib.contextmanager
def alone():
    """As in peer.py."""
    if "PEER_LOCK" not in os.environ:
        yield
        return
    with open(os.environ["PEER_LOCK"], "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def main():
    spec = sys.argv[1]
    if spec == "version":
        print(json.dumps(dict(jax=jax.__version__)))
        return
    _, _, size, batch, expander, _, _ = spec.split(":")
    size, batch, widths = int(size), int(batch), tuple(int(d) for d in expander.split("-"))
    p = parameters(widths)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(p, m, a, b):
        total, g = jax.value_and_grad(loss)(p, a, b, widths)
        new = {k: update(p[k], m[k], g[k]) for k in p}
        return {k: v[0] for k, v in new.items()}, {k: v[1] for k, v in new.items()}, total

    keys = jax.random.split(jax.random.PRNGKey(1))
    a, b = (jax.random.normal(k, (batch, size, size, 3), half) for k in keys)
    m = {k: jnp.zeros_like(v) for k, v in p.items()}
    began, times = time.time(), []
    p, m, total = step(p, m, a, b)
    total.block_until_ready()
    with alone():
        for i in range(15):
            at = time.time()
            p, m, total = step(p, m, a, b)
            total.block_until_ready()
            if i >= 3:
                times.append(time.time() - at)
    times.sort()
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    print(json.dumps(dict(spec=spec, times_s=times, median_s=times[len(times) // 2], peak_mib=peak / 2**20,
                          took_s=time.time() - began)))


main()
