"""Makes resnet*_w4_*.safetensors (but not those of sequences), expander.safetensors and
ten_steps.safetensors.

State, x and dout stand in the files: the reference implementation drew them. What
follows from them is computed here in float64. In resnet34_w4_small and
resnet50_w4_imagenet, x keeps clear of edges; with other inputs, sixteen images of
each view, so do the batches of ten_steps."""

import os
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.append("../../check")

import torch
from golden import ReLU, edges, keep_clear, margin, max_pool, read, relu, write
from torch import nn
from torch.nn import functional as F


def conv_norm(c, k, size, stride, pad):
    return nn.Conv2d(c, k, size, stride, pad, bias=False), nn.BatchNorm2d(k)


class Block(nn.Module):
    """Two convolutions of 3×3; a bottleneck has 1×1, 3×3 and 1×1, to four times as
    many channels."""

    def __init__(self, c, k, stride, bottleneck):
        super().__init__()
        self.bottleneck, out = bottleneck, 4 * k if bottleneck else k
        if bottleneck:
            self.conv1, self.bn1 = conv_norm(c, k, 1, 1, 0)
            self.conv2, self.bn2 = conv_norm(k, k, 3, stride, 1)
            self.conv3, self.bn3 = conv_norm(k, out, 1, 1, 0)
        else:
            self.conv1, self.bn1 = conv_norm(c, k, 3, stride, 1)
            self.conv2, self.bn2 = conv_norm(k, k, 3, 1, 1)
        self.downsample = nn.Sequential(*conv_norm(c, out, 1, stride, 0)) if stride > 1 or c != out else None

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(relu(y)))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, bottleneck, width, stem, channels):
        super().__init__()
        self.pool = stem == "imagenet"
        self.conv1, self.bn1 = conv_norm(channels, width, *((7, 2, 3) if self.pool else (3, 1, 1)))
        c = width
        for stage, n in enumerate(blocks):
            layer = []
            for i in range(n):
                layer.append(Block(c, width << stage, 2 if stage > 0 and i == 0 else 1, bottleneck))
                c = (width << stage) * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))

    def forward(self, x):
        x = relu(self.bn1(self.conv1(x)))
        if self.pool:
            x = max_pool(x, 3, 2, (1, 1))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return x.mean((2, 3))


BLOCKS = {"resnet10": [1, 1, 1, 1], "resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3], "resnet50": [3, 4, 6, 3]}


def encoder(arch, width, stem, channels):
    return ResNet(BLOCKS[arch], arch == "resnet50", width, stem, channels)


def load(m, t, prefix):
    """The state of m from the tensors of a file; returns it under the same names."""
    state = {k: t[prefix + k] for k in m.state_dict() if "num_batches" not in k and prefix + k in t}
    m.load_state_dict(state, strict=False)
    return {prefix + k: v for k, v in state.items()}


def gradients(m, x, dout, out):
    y = m(x)
    y.backward(dout)
    return {"x": x, "dout": dout, out: y, "dx": x.grad, **{f"grad.{k}": p.grad for k, p in m.named_parameters()}}


def resnet(name, clear=False):
    path = name + ".safetensors"
    t, meta = read(path)
    arch, width, stem = name.split("_")
    m = encoder(arch, int(width[1:]), stem, t["x"].shape[1])
    x, state = t["x"], load(m, t, "state.")
    if clear:
        x = keep_clear(m, x)
        load(m, t, "state.")
    m.eval()
    out = {"eval_out": m(x)}
    m.train()
    edges.clear()
    out |= gradients(m, x.requires_grad_(), t["dout"], "train_out")
    out |= {f"after.{k}": v for k, v in m.state_dict().items() if "running" in k}
    if clear:
        meta["margin"] = f"{margin():.2g}"
    write(path, {**state, **out}, meta)


def projector(c, widths):
    layers = []
    for k in widths[:-1]:
        layers += [nn.Linear(c, k), nn.BatchNorm1d(k), ReLU()]
        c = k
    return nn.Sequential(*layers, nn.Linear(c, widths[-1], bias=False))


def expander():
    t, meta = read("expander.safetensors")
    m = projector(int(meta["input"]), [int(k) for k in meta["spec"].split("-")])
    state = load(m, t, "state.")
    write("expander.safetensors", {**state, **gradients(m, t["x"].requires_grad_(), t["dout"], "out")}, meta)


def vicreg(z1, z2):
    """As released; γ = 1, ε = 1e-4."""
    n, d = z1.shape
    total = 25 * F.mse_loss(z1, z2)
    for z in (z1, z2):
        z = z - z.mean(0)
        hinge = 1 - torch.sqrt(z.var(0) + 1e-4)
        total = total + 25 * relu(hinge).mean() / 2
        c = z.T @ z / (n - 1)
        total = total + (c.pow(2).sum() - c.diagonal().pow(2).sum()) / d
    return total


def lars(params, lr, momentum, meta):
    """A step as released. Biases and normalisations, of one dimension, have neither
    decay nor adaptation."""
    for p, m in zip(params, momentum):
        g = p.grad
        if p.ndim > 1:
            g = g + float(meta["weight_decay"]) * p
            w, u = p.norm(), g.norm()
            if w > 0 and u > 0:
                g = g * (float(meta["eta"]) * w / u)
        m.mul_(float(meta["momentum"])).add_(g)
        p.sub_(lr * m)


def ten_steps(n=16, size=14):
    t, meta = read("ten_steps.safetensors")
    m = nn.Module()
    m.backbone, m.projector = encoder("resnet10", 4, "small", 1), projector(32, [32, 32, 32])
    out = load(m, t, "init.")
    forward = lambda x: m.projector(m.backbone(x))

    def alone(x):  # every edge of the view x: ReLUs, and the hinge of the variance
        z = forward(x)
        vicreg(z, z)

    torch.manual_seed(1)
    m.train()
    params, losses, nearest = list(m.parameters()), [], 1.0
    momentum = [torch.zeros_like(p) for p in params]
    for step in range(10):
        x = torch.randn(n, 1, size, size)
        y = x + 0.3 * torch.randn(n, 1, size, size)
        was = {k: v.clone() for k, v in m.state_dict().items()}
        x, y = keep_clear(alone, x), keep_clear(alone, y)
        m.load_state_dict(was)
        m.zero_grad()
        edges.clear()
        loss = vicreg(forward(x), forward(y))
        nearest = min(nearest, margin())
        loss.backward()
        with torch.no_grad():
            lars(params, 0.3 * (step + 1) / 10, momentum, meta)
        out |= {f"x{step}": x, f"y{step}": y}
        losses.append(loss.item())
    out |= {f"final.{k}": v for k, v in m.state_dict().items() if "num_batches" not in k}
    meta["margin"] = f"{nearest:.2g}"
    write("ten_steps.safetensors", {**out, "loss": torch.tensor(losses)}, meta)


if __name__ == "__main__":
    resnet("resnet18_w4_imagenet")
    resnet("resnet18_w4_small")
    resnet("resnet34_w4_small", clear=True)
    resnet("resnet50_w4_imagenet", clear=True)
    expander()
    ten_steps()
