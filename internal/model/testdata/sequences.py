"""Makes resnet1d*.safetensors and mlp.safetensors: weights, outputs of evaluation and
training, gradients. State and dout come from a seed, and so does x, which then keeps
clear of edges."""

import os
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.append("../../check")

import torch
from golden import ReLU, edges, keep_clear, margin, max_pool, relu, write
from torch import nn

torch.set_default_dtype(torch.float32)  # of what is drawn


class Block(nn.Module):
    def __init__(self, c, k, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(c, k, 3, stride, 1, bias=False), nn.BatchNorm1d(k)
        self.conv2, self.bn2 = nn.Conv1d(k, k, 3, 1, 1, bias=False), nn.BatchNorm1d(k)
        self.downsample = None
        if stride != 1 or c != k:
            self.downsample = nn.Sequential(nn.Conv1d(c, k, 1, stride, bias=False), nn.BatchNorm1d(k))

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet1D(nn.Module):
    def __init__(self, blocks, width, stem, channels):
        super().__init__()
        size, stride, pad, self.pool = {
            "large": (80, 4, 38, (4, 4, 0)),
            "imagenet": (7, 2, 3, (3, 2, 1)),
            "small": (7, 1, 3, None),
        }[stem]
        self.conv1, self.bn1 = nn.Conv1d(channels, width, size, stride, pad, bias=False), nn.BatchNorm1d(width)
        c = width
        for stage, n in enumerate(blocks):
            layer = []
            for i in range(n):
                k = width << stage
                layer.append(Block(c, k, 2 if stage > 0 and i == 0 else 1))
                c = k
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))

    def forward(self, x):
        x = relu(self.bn1(self.conv1(x)))
        if self.pool:
            size, stride, pad = self.pool
            x = max_pool(x.unsqueeze(2), (1, size), (1, stride), (0, pad)).squeeze(2)
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return x.mean(2)


def make(path, m, x, arch):
    for name, p in m.named_parameters():
        if "weight" in name and p.dim() == 1:
            nn.init.uniform_(p, 0.5, 1.5)
        if "bias" in name:
            nn.init.normal_(p, 0, 0.2)
    for name, b in m.named_buffers():
        if "running_mean" in name:
            nn.init.normal_(b, 0, 0.2)
        if "running_var" in name:
            nn.init.uniform_(b, 0.5, 1.5)
    m.double()
    state = {k: v.clone() for k, v in m.state_dict().items()}
    m.eval()
    shape = m(x.double()).shape
    dout = torch.randn(shape).double()
    torch.set_default_dtype(torch.float64)
    m.train()
    x = keep_clear(m, x.double())
    m.load_state_dict(state)
    out = {f"state.{k}": v for k, v in state.items() if "num_batches" not in k}
    m.eval()
    out["eval_out"] = m(x)
    m.train()
    edges.clear()
    x.requires_grad_()
    y = m(x)
    y.backward(dout)
    out |= {f"after.{k}": v for k, v in m.state_dict().items() if "running" in k}
    out |= {f"grad.{k}": p.grad for k, p in m.named_parameters()}
    last_first = (lambda t: t.transpose(1, 2)) if x.dim() == 3 else (lambda t: t)
    out |= {"train_out": y, "dout": dout, "x": last_first(x), "dx": last_first(x.grad)}
    write(path, out, {"torch": torch.__version__, "arch": arch, "margin": f"{margin():.2g}"})
    torch.set_default_dtype(torch.float32)


torch.manual_seed(1)
make("resnet1d18_w4_large.safetensors", ResNet1D([2, 2, 2, 2], 4, "large", 1), torch.randn(3, 1, 1500), "resnet1d-18")
make("resnet1d10_w4_imagenet.safetensors", ResNet1D([1, 1, 1, 1], 4, "imagenet", 2), torch.randn(4, 2, 133), "resnet1d-10")
make("resnet1d10_w4_small.safetensors", ResNet1D([1, 1, 1, 1], 4, "small", 3), torch.randn(4, 3, 50), "resnet1d-10")
layers, c = [], 7
for k in (20, 12, 16):
    layers += [nn.Linear(c, k), nn.BatchNorm1d(k), ReLU()]
    c = k
make("mlp.safetensors", nn.Sequential(*layers), torch.randn(9, 7), "mlp")
