"""Makes tune.safetensors: three steps of SGD with a classifier on a small ResNet, in each
of the ways that an encoder can be taught classes. What vicreg's evaluate.py (commit
4e12602) does are linear (weights=freeze: the encoder in eval mode, without gradients) and
finetune (model.train(), two rates). Of stages the stem and layer1 are as in linear, and in
running the whole network is in eval mode but learns.

Weights come from a seed; each batch keeps clear of edges, as far as the first of the four
sees them."""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(here, "../../check"), os.path.join(here, "../../model/testdata")]

import torch
from golden import edges, keep_clear, margin, write
from resnets import encoder
from torch import nn
from torch.nn import functional as F

os.chdir(here)

N, SIZE, CLASSES, STEPS = 8, 12, 5, 3
HEAD, BACKBONE, DECAY, MOMENTUM = 0.5, 0.125, 0.03125, 0.9


def fresh(state):
    backbone, head = encoder("resnet10", 2, "small", 1), nn.Linear(16, CLASSES)
    m = nn.ModuleDict({"backbone": backbone, "projector": nn.ModuleDict({"0": head})})
    m.load_state_dict(state)
    return m, backbone, head


def modes(backbone, way):
    backbone.train(way in ("finetune", "stages"))
    if way == "stages":
        for part in (backbone.conv1, backbone.bn1, backbone.layer1):
            part.eval().requires_grad_(False)
    if way == "linear":
        backbone.requires_grad_(False)


def run(way, state, batches, labels, out, meta):
    m, backbone, head = fresh(state)
    groups = [dict(params=head.parameters(), lr=HEAD)]
    if way != "linear":
        groups.append(dict(params=backbone.parameters(), lr=BACKBONE))
    sgd, losses, nearest = torch.optim.SGD(groups, 0, momentum=MOMENTUM, weight_decay=DECAY), [], 1.0
    modes(backbone, way)
    for step in range(STEPS):
        edges.clear()
        loss = F.cross_entropy(head(backbone(batches[step])), labels[step])
        nearest = min(nearest, margin())
        sgd.zero_grad()
        loss.backward()
        if step == 0:
            out |= {f"{way}.grad.projector.0.{k}": p.grad.clone() for k, p in head.named_parameters()}
        sgd.step()
        losses.append(loss.item())
    out[f"{way}.loss"] = torch.tensor(losses)
    out |= {f"{way}.after.{k}": v.clone() for k, v in m.state_dict().items() if "num_batches" not in k}
    meta[f"margin.{way}"] = f"{nearest:.2g}"


torch.manual_seed(21)
m = nn.ModuleDict({"backbone": encoder("resnet10", 2, "small", 1), "projector": nn.ModuleDict({"0": nn.Linear(16, CLASSES)})})
with torch.no_grad():
    for name, v in m.state_dict().items():
        if "running_mean" in name:
            v.copy_(0.3 * torch.randn(v.shape))
        elif "running_var" in name:
            v.copy_(0.5 + torch.rand(v.shape))
        elif ".bn" in name or "downsample.1" in name:
            if v.is_floating_point():
                v.add_(0.2 * torch.randn(v.shape))
for name, v in m.state_dict().items():
    if v.is_floating_point():
        v.copy_(v.float().double())  # as the file holds it
state = {k: v.clone() for k, v in m.state_dict().items()}
out = {f"init.{k}": v for k, v in state.items() if "num_batches" not in k}
meta = {"head": str(HEAD), "backbone": str(BACKBONE), "weight_decay": str(DECAY), "momentum": str(MOMENTUM)}
labels = [torch.randint(CLASSES, (N,)) for _ in range(STEPS)]
batches = []
for step in range(STEPS):
    _, backbone, _ = fresh(state)
    backbone.eval()
    batches.append(keep_clear(backbone, torch.randn(N, 1, SIZE, SIZE)))
    out |= {f"x{step}": batches[step], f"labels{step}": labels[step]}
for way in ("linear", "finetune", "stages", "running"):
    run(way, state, batches, labels, out, meta)
write("tune.safetensors", out, meta)
print(meta)
