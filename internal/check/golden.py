"""For the programs that make golden files: reading, writing, and edges. docs/golden.md
tells which program makes what."""

import json
import os
import struct

import numpy as np
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "u1"}


def read(path):
    """The tensors of a file, floats as float64, and its metadata."""
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    meta, tensors = header.pop("__metadata__", {}), {}
    for name, t in header.items():
        first, last = t["data_offsets"]
        v = torch.from_numpy(np.frombuffer(data[first:last], TYPES[t["dtype"]]).reshape(t["shape"]).copy())
        tensors[name] = v.double() if v.is_floating_point() else v
    return tensors, meta


def write(path, tensors, meta):
    """Writes tensors, floats as float32. A file that holds these values already, but
    for rounding, is left as it is. Says what it did."""
    was, had = read(path) if os.path.exists(path) else ({}, {})
    far, names = 0.0, set(was) == set(tensors)
    for name, t in tensors.items():
        if name in was and was[name].shape == t.shape:
            far = max(far, distance(t.detach(), was[name]))
        else:
            names = False
    for key, v in meta.items():
        if key in had and number(v) and number(had[key]):
            far = max(far, distance(torch.tensor(float(v)), torch.tensor(float(had[key]))))
        elif had.get(key) != v and key not in ("note", "torch"):  # which say with what
            names = False
    if names and far <= 1e-6:
        print(f"{path}: the same within {far:.1g}, left as it is")
        return
    header, data = {"__metadata__": meta}, b""
    for name, t in sorted(tensors.items()):
        t = t.detach().contiguous()
        kind = {torch.int64: "I64", torch.uint8: "U8"}.get(t.dtype, "F32")
        b = (t.float() if kind == "F32" else t).numpy().tobytes()
        header[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + data)
    print(f"{path}: written, {os.path.getsize(path)} bytes" + (f", {far:.1g} from what it held" if names else ""))


def distance(a, b):
    """‖a − b‖ / ‖b‖, of values as float32 holds them; what is below 1e-12 is rounding."""
    a, b = (torch.where(t.abs() < 1e-12, 0.0, t).float().double() for t in (a.double(), b.double()))
    d = (a - b).norm().item()
    return d / b.norm().item() if d else 0.0


def number(s):
    try:
        float(s)
    except ValueError:
        return False
    return True


# Edges: values whose sign decides the gradient.

edges = []  # since the last clear()


def relu(x):
    edges.append(x)
    return torch.relu(x)


class ReLU(torch.nn.Module):
    def forward(self, x):
        return relu(x)


def max_pool(x, size, stride, pad):
    """Of what a ReLU gave, n × c × h × w. Its edges are how far the largest of each
    window lies above the second; where all are zero, the ReLU lets no gradient through."""
    n, c, h, w = x.shape
    y = F.pad(x, (pad[1], pad[1], pad[0], pad[0]), value=-1.0)
    windows = F.unfold(y.reshape(n * c, 1, *y.shape[2:]), size, stride=stride)
    top = windows.topk(2, 1).values
    edges.append((top[:, 0] - top[:, 1])[top[:, 0] > 0])
    return F.max_pool2d(x, size, stride, pad)


def margin():
    """How near the nearest edge is to zero."""
    return min(e.detach().abs().min().item() for e in edges if e.numel())


GRID = 2.0 ** -18  # of inputs, so that rounding on the way to them does not show


def keep_clear(run, x, least=1e-3, rounds=20):
    """Moves x a little, until no edge that run(x) leaves is within least of zero.
    Every edge that stands near is taken as a linear function of x: those within 1.3
    of least are sent to 1.6 of it, the others stay."""
    x = (x / GRID).round() * GRID
    for _ in range(rounds):
        x = x.detach().requires_grad_()
        edges.clear()
        run(x)
        if margin() >= least:
            return x.detach()
        rows, moves = [], []
        for e in edges:
            e = e.reshape(-1)
            for i in (e.detach().abs() < 2.5 * least).nonzero().reshape(-1).tolist():
                v = e[i].item()
                rows.append(torch.autograd.grad(e[i], x, retain_graph=True)[0].reshape(-1))
                moves.append((1.6 * least - abs(v)) * (1 if v >= 0 else -1) if abs(v) < 1.3 * least else 0.0)
        rows = torch.stack(rows)
        gram = rows @ rows.T
        gram += 1e-6 * gram.diagonal().mean() * torch.eye(len(gram))
        x = x.detach() + (rows.T @ torch.linalg.solve(gram, torch.tensor(moves))).reshape(x.shape)
        x = (x / GRID).round() * GRID
    raise SystemExit(f"{margin():.1g} from an edge after {rounds} rounds")
