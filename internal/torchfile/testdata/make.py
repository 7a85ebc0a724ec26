"""Writes the files that the tests of package torchfile read, and expected.json with what PyTorch
reads of them: for each tensor its shape, type and the bits of its elements as float32.

Run with Debian's PyTorch: /usr/bin/python3 make.py"""

import argparse
import collections
import json
import os
import pickle
import zipfile

import numpy
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(0)
expected = {}


def described(value, name=""):
    """All tensors of a value by the names that torchfile gives them."""
    if isinstance(value, torch.Tensor):
        bits = value.detach().float().contiguous().reshape(-1).numpy().view(numpy.uint32)
        kind = str(value.dtype).removeprefix("torch.")
        return {name or "tensor": {"shape": list(value.shape), "type": kind, "bits": bits.tolist()}}
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    out = {}
    if isinstance(value, dict):
        for key, v in value.items():
            out |= described(v, f"{name}.{key}" if name else str(key))
    return out


def save(name, value, **how):
    torch.save(value, name, **how)
    expected[name] = described(torch.load(name))


def both(name, value):
    save(name + ".pth", value)
    save(name + "_legacy.pth", value, _use_new_zipfile_serialization=False)


numbers = torch.tensor([[0.0, -1.5, 3.0], [100.0, 0.1, -0.0]])
both("types", {
    "float64": numbers.double() / 3, "float32": numbers / 3, "float16": (numbers / 3).half(),
    "bfloat16": (numbers / 3).bfloat16(),
    "edges16": torch.tensor([6e-8, 6.1e-5, 65504.0, float("inf"), -float("inf")]).half(),
    "int64": torch.tensor([-5, 1 << 40]), "int32": torch.tensor([-5, 1 << 30], dtype=torch.int32),
    "int16": torch.tensor([-5, 300], dtype=torch.int16), "int8": torch.tensor([-5, 127], dtype=torch.int8),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8), "bool": torch.tensor([True, False]),
    "number": torch.tensor(7), "empty": torch.zeros(0, 3),
})

base = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
both("views", {
    "whole": base, "transposed": base[0, 0].t(), "permuted": base.permute(3, 1, 0, 2), "part": base[1, 1:, 2],
    "steps": base[:, ::2, ::3, 1::2], "expanded": base[0, 0, :1, :2].expand(3, 4, 2), "last": base[1, 2, 3, 4],
    "channels": base.contiguous(memory_format=torch.channels_last),
    "far": torch.arange(40000).to(torch.uint8)[::13000],
})

norm = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.BatchNorm1d(2))
optimizer = torch.optim.SGD(norm.parameters(), lr=0.5, momentum=0.9)
norm(torch.randn(4, 2)).sum().backward()
optimizer.step()
nested = {
    "epoch": 3, "arch": "resnet50", "best": numpy.float64(71.25), "done": True, "nothing": None,
    "state_dict": collections.OrderedDict(("module." + k, v) for k, v in norm.state_dict().items()),
    "with_metadata": norm.state_dict(),
    "optimizer": optimizer.state_dict(),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "list": [torch.zeros(1), {"deep": (torch.ones(1), 5)}], 7: torch.full((1,), 7.0),
    "args": argparse.Namespace(arch="vit_small", patch=16, wd=0.04),
    "kinds": [torch.device("cpu"), torch.float16, torch.Size([1, 2]), {1, 2}, frozenset([3]), numpy.arange(3.0)],
    "counts": collections.defaultdict(list, a=[1]), "big": 1 << 70, "long text": "x" * 5000, "bytes": b"\x00\xff",
    "class": torch.nn.GELU,
}
both("nested", nested)
save("protocol4.pth", nested, pickle_protocol=4)
save("alone.pth", torch.arange(3.0))
save("list.pth", [torch.ones(1), torch.zeros(1)])

# What is listed and cannot be read, or is refused.
torch.save({"q": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "sparse": torch.eye(2).to_sparse(),
            "csr": torch.eye(2).to_sparse_csr(), "meta": torch.empty(2, 3, device="meta"),
            "complex": torch.ones(2, dtype=torch.complex64), "fine": torch.ones(2)}, "unreadable.pth")
for name, legacy in ("model.pth", False), ("model_legacy.pth", True):
    torch.save(torch.nn.Linear(2, 2), name, _use_new_zipfile_serialization=not legacy)
torch.jit.script(torch.nn.Linear(2, 2)).save("script.pth")
with open("plain.pth", "wb") as f:
    pickle.dump({"w": numpy.ones(3)}, f)
with zipfile.ZipFile("alone.pth") as z, zipfile.ZipFile("packed.pth", "w", zipfile.ZIP_DEFLATED) as packed:
    for entry in z.namelist():
        packed.writestr(entry, z.read(entry))

with open("expected.json", "w") as f:
    json.dump(expected, f, separators=(",", ":"))
    f.write("\n")
