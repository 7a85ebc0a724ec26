#!/usr/bin/python3
"""Checkpoints as other projects write them, and what PyTorch makes of images with them.

Needs Debian's python3-torch and python3-torchvision (1.13, 0.14). Each file has random
weights and running statistics under the names of its project; the network is tiny. In
expected.safetensors are the images, x.NAME, and their features, y.NAME, in evaluation.
"""
import json
import os
import struct

import torch
from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.resnet import BasicBlock, Bottleneck

here = os.path.dirname(os.path.abspath(__file__))
expected = {}


class ResNet(nn.Module):
    """torchvision's ResNet of any width, made of its blocks."""

    def __init__(self, block=BasicBlock, blocks=(1, 1, 1, 1), width=2, stem=7, border=None, classes=0, channels=3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, stem, 2 if stem == 7 else 1, stem // 2 if border is None else border,
                               bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == 7 else nn.Identity()
        into = width
        for stage, n in enumerate(blocks):
            planes, layers = width << stage, []
            for i in range(n):
                stride, down = (2 if stage > 0 and i == 0 else 1), None
                if stride > 1 or into != planes * block.expansion:
                    down = nn.Sequential(nn.Conv2d(into, planes * block.expansion, 1, stride, bias=False),
                                         nn.BatchNorm2d(planes * block.expansion))
                layers.append(block(into, planes, stride, down))
                into = planes * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dim = into
        if classes:
            self.fc = nn.Linear(into, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(x))))).flatten(1)


class Block(nn.Module):
    """timm's Block: pre-norm, exact GELU, one matrix for queries, keys and values."""

    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.heads = heads

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.attn.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1) @ v
        x = x + self.attn.proj(a.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp.fc2(nn.functional.gelu(self.mlp.fc1(self.norm2(x))))


class ViT(nn.Module):
    """timm's VisionTransformer up to the class token, or to the mean without one."""

    def __init__(self, dim, depth, heads, patch=4, size=12, token=True, classes=0):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, dim, patch, patch)
        if token:
            self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, (size // patch) ** 2 + token, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.token = token
        if classes:
            self.head = nn.Linear(dim, classes)

    def forward(self, x, pos=None):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        if self.token:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = x + (self.pos_embed if pos is None else pos)
        for b in self.blocks:
            x = b(x)
        x = self.norm(x)
        return x[:, 0] if self.token else x.mean(1)


def sincos(grid, dim, rows_first):
    """The fixed positions of MoCo v3 (rows first) and of MAE, with a class token's zeros."""
    omega = 1 / 10000 ** (torch.arange(dim // 4) / (dim // 4))
    y, x = torch.meshgrid(torch.arange(grid * 1.0), torch.arange(grid * 1.0), indexing="ij")
    first, second = (y, x) if rows_first else (x, y)
    a, b = first.flatten()[:, None] * omega, second.flatten()[:, None] * omega
    return torch.cat([torch.zeros(1, dim), torch.cat([a.sin(), a.cos(), b.sin(), b.cos()], 1)])[None]


def live(net):
    """Gives a network weights and statistics by which every layer counts."""
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm1d)):
                m.running_mean.normal_(0, 0.2)
                m.running_var.uniform_(0.5, 2)
                m.num_batches_tracked.fill_(7)
            if getattr(m, "weight", None) is not None and m.weight.dim() == 1:
                m.weight.uniform_(0.7, 1.3)
                m.bias.normal_(0, 0.2)
    return net.eval()


def mlp(*widths, bias=True, last=False):
    layers = []
    for i, o in zip(widths, widths[1:-1]):
        layers += [nn.Linear(i, o, bias=bias), nn.BatchNorm1d(o), nn.ReLU()]
    return live(nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=last)))


def names(prefix, net):
    return {prefix + k: v for k, v in net.state_dict().items()}


def example(name, net, size=24, forward=None, channels=3):
    x = torch.randn(2, channels, size, size)
    with torch.no_grad():
        expected["x." + name], expected["y." + name] = x, (forward or net)(x)


def save(name, checkpoint, **how):
    torch.save(checkpoint, os.path.join(here, name + ".pth"), **how)


def safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.detach().contiguous().numpy().tobytes()
        kind = {torch.float32: "F32", torch.int64: "I64"}[t.dtype]
        header[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def resnets():
    net = live(ResNet(blocks=(2, 2, 2, 2)))
    example("backbone", net)
    save("backbone", net.state_dict(), _use_new_zipfile_serialization=False)

    net, head = live(ResNet(Bottleneck, (3, 4, 6, 3))), mlp(64, 12, 8, 8)
    example("vicreg", net)
    with torch.no_grad():
        expected["z.vicreg"] = head(expected["y.vicreg"])
    weights = {**names("module.backbone.", net), **names("module.projector.", head)}
    save("vicreg", {"epoch": 3, "model": weights,
                    "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}})

    net, head, maps = live(ResNet()), mlp(16, 12, 8), mlp(16, 4, 4)
    example("vicregl", net)
    with torch.no_grad():
        expected["z.vicregl"] = head(expected["y.vicregl"])
    save("vicregl", {"epoch": 1, "model": {**names("module.backbone.", net), **names("module.maps_projector.", maps),
                                           **names("module.projector.", head),
                                           **names("module.classifier.", nn.Linear(16, 10))}, "optimizer": {}})

    net = live(ResNet(classes=10))
    example("torchvision", net)
    save("torchvision", net.state_dict())
    safetensors(os.path.join(here, "torchvision.safetensors"), net.state_dict())

    net = live(ResNet(channels=1))
    example("grey", net, channels=1)
    save("grey", {"state_dict": net.half().state_dict()})
    with torch.no_grad():
        expected["y.grey"] = net.float()(expected["x.grey"])

    net = live(ResNet(classes=3))
    children = nn.Sequential(*list(net.children())[:-1])
    example("lightly", net)
    save("lightly", {"pytorch-lightning_version": "1.9.0", "epoch": 2, "state_dict": {
        **names("backbone.", children), **names("projection_head.layers.", mlp(16, 8, 4)),
        **names("backbone_momentum.", children)}})

    # lightly's ResNetGenerator: 3×3, shortcut for downsample; as a sequence of its
    # children it has lost the ReLU that was between them.
    net = live(ResNet(stem=3))
    renamed = {k.replace(".downsample.", ".shortcut."): v for k, v in net.state_dict().items()}
    example("lightly_generator", net, 12)
    save("lightly_generator", {**renamed, **names("linear.", nn.Linear(16, 10))})
    order = {"conv1": "0", "bn1": "1", "layer1": "2", "layer2": "3", "layer3": "4", "layer4": "5"}
    example("lightly_cifar", net, 12, lambda x: net.avgpool(
        net.layer4(net.layer3(net.layer2(net.layer1(net.bn1(net.conv1(x))))))).flatten(1))
    save("lightly_cifar", {"state_dict": {**{
        "backbone." + order[k.split(".")[0]] + "." + k.split(".", 1)[1]: v for k, v in renamed.items()},
        **names("projection_head.layers.", mlp(16, 8, 4))}})

    net = live(ResNet(stem=3, border=2))
    example("solo_cifar", net, 12)
    save("solo_cifar", {"epoch": 1, "state_dict": {
        **names("backbone.", net), **names("classifier.", nn.Linear(16, 10)), **names("projector.", mlp(16, 8, 4)),
        **names("momentum_backbone.", net), **names("momentum_projector.", mlp(16, 8, 4))}})

    net = live(ResNet())
    example("solo_old", net)
    save("solo_old", {"state_dict": {**names("encoder.", net), **names("classifier.", nn.Linear(16, 10)),
                                     **names("projector.", mlp(16, 8, 4))}})

    net, other = live(ResNet()), live(ResNet())
    example("moco", net)
    fc = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    save("moco", {"epoch": 200, "arch": "resnet10", "state_dict": {
        **names("module.encoder_q.", net), **names("module.encoder_q.fc.", fc), **names("module.encoder_k.", other),
        **names("module.encoder_k.fc.", fc), "module.queue": torch.randn(4, 8),
        "module.queue_ptr": torch.zeros(1, dtype=torch.long)}})

    example("mocov3", net)
    save("mocov3", {"arch": "resnet10", "state_dict": {
        **names("module.base_encoder.", net), **names("module.base_encoder.fc.", mlp(16, 8, 4)),
        **names("module.momentum_encoder.", other), **names("module.predictor.", mlp(4, 8, 4))}})

    example("swav", net)
    save("swav", {**names("module.", net), **names("module.projection_head.", mlp(16, 8, 4)),
                  **names("module.prototypes.", nn.Linear(4, 6, bias=False))})
    example("deepcluster", net)
    save("deepcluster", {"epoch": 1, "state_dict": {
        **names("module.", net), **names("module.projection_head.", mlp(16, 8, 4)),
        **names("module.prototypes.prototypes0.", nn.Linear(4, 6, bias=False))}})

    example("byol", net)
    save("byol", {**names("online_encoder.net.", net), **names("online_encoder.projector.", mlp(16, 8, 4)),
                  **names("target_encoder.net.", other), **names("online_predictor.", mlp(4, 8, 4))})
    children = nn.Sequential(*list(net.children()))
    example("byol_port", net)
    save("byol_port", {"online_network_state_dict": {**names("encoder.", children),
                                                     **names("projetion.net.", mlp(16, 8, 4))},
                       "target_network_state_dict": names("encoder.", children), "optimizer_state_dict": {}})

    example("simsiam", net)
    save("simsiam", {"epoch": 100, "state_dict": {
        **names("module.encoder.", net), **names("module.encoder.fc.", mlp(16, 16, 8)),
        **names("module.predictor.", mlp(8, 4, 8))}})

    example("barlow", net)
    save("barlow", {"epoch": 5, "model": {
        **names("module.backbone.", net), **names("module.projector.", mlp(16, 8, 8, bias=False)),
        **names("module.bn.", nn.BatchNorm1d(8, affine=False))}, "optimizer": {}})

    example("dino", net)
    save("dino", {"student": {**names("module.backbone.", other), **names("module.head.", mlp(16, 8, 8))},
                  "teacher": {**names("module.backbone.", net), **names("module.head.", mlp(16, 8, 8))},
                  "epoch": 9, "dino_loss": {"center": torch.zeros(1, 8)}})


def transformers():
    net = live(ViT(64, 1, 1, classes=10))
    example("timm_vit", net, 12)
    save("timm_vit", net.state_dict())

    net = live(ViT(16, 2, 4))
    example("dino_vit", net, 12)
    save("dino_vit", net.state_dict())
    # Larger images: positions are interpolated.
    grid = net.pos_embed[:, 1:].reshape(1, 3, 3, 16).permute(0, 3, 1, 2)
    for to in (5, 2):
        wide = nn.functional.interpolate(grid, size=(to, to), mode="bicubic", align_corners=False)
        pos = torch.cat([net.pos_embed[:, :1], wide.permute(0, 2, 3, 1).reshape(1, to * to, 16)], 1)
        example(f"dino_vit_{4 * to}", net, 4 * to, lambda x: net(x, pos))

    net = live(ViT(16, 1, 2, token=False))
    example("mean_vit", net, 12)
    save("mean_vit", {"model": net.state_dict()})

    net = live(ViT(24, 2, 12))
    net.pos_embed.data = sincos(3, 24, True)
    example("mocov3_vit", net, 12)
    save("mocov3_vit", {"arch": "vit_small", "state_dict": {
        **names("module.base_encoder.", net), **names("module.base_encoder.head.", mlp(24, 8, 4)),
        **names("module.momentum_encoder.", net), **names("module.predictor.", mlp(4, 8, 4))}})

    net, decoder = live(ViT(16, 2, 2)), live(ViT(8, 1, 2))
    net.pos_embed.data = sincos(3, 16, False)
    example("mae", net, 12)
    save("mae", {"model": {**net.state_dict(), "mask_token": torch.zeros(1, 1, 8),
                           "decoder_pos_embed": sincos(3, 8, False), **names("decoder_embed.", nn.Linear(16, 8)),
                           **names("decoder_blocks.", decoder.blocks), **names("decoder_norm.", decoder.norm),
                           **names("decoder_pred.", nn.Linear(8, 48))}, "epoch": 1, "scaler": {"scale": 1.0}})

    net = live(VisionTransformer(12, 4, 2, 2, 16, 64, num_classes=5))
    with torch.no_grad():
        net.encoder.pos_embedding.normal_()
        net.class_token.normal_()
    weights = net.state_dict()
    net.heads = nn.Identity()
    example("torchvision_vit", net, 12)
    save("torchvision_vit", weights)


torch.manual_seed(1)
resnets()
transformers()
safetensors(os.path.join(here, "expected.safetensors"), expected)
