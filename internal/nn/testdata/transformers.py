"""Makes the golden files of transformer layers and networks, here and in the packages
kernel and model: layers written out as timm writes them, float64, fixed seeds."""

import os
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.append("../../check")

import torch
import torch.nn as nn, torch.nn.functional as F
from golden import write

out = "../.."

def f32(t): return t.to(torch.float32).to(torch.float64)
def rnd(*s): return f32(torch.randn(*s))

def randomise(m, scale=0.3):
    with torch.no_grad():
        for n, p in m.named_parameters():
            p.copy_(f32(torch.randn_like(p) * scale + (1 if "norm" in n and n.endswith("weight") else 0)))

class Attention(nn.Module):  # timm 0.9 vision_transformer.py, without fused attention
    def __init__(s, dim, heads):
        super().__init__()
        s.heads, s.scale = heads, (dim // heads) ** -0.5
        s.qkv, s.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
    def forward(s, x, mask=None):
        B, N, C = x.shape
        q, k, v = s.qkv(x).reshape(B, N, 3, s.heads, C // s.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q * s.scale) @ k.transpose(-2, -1)
        if mask is not None: a = a.masked_fill(mask[:, None, None, :], float("-inf"))
        return s.proj((a.softmax(-1) @ v).transpose(1, 2).reshape(B, N, C))

class Mlp(nn.Module):
    def __init__(s, d):
        super().__init__()
        s.fc1, s.fc2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
    def forward(s, x): return s.fc2(F.gelu(s.fc1(x)))

class Block(nn.Module):
    def __init__(s, d, heads):
        super().__init__()
        s.norm1, s.attn, s.norm2, s.mlp = nn.LayerNorm(d, eps=1e-6), Attention(d, heads), nn.LayerNorm(d, eps=1e-6), Mlp(d)
    def forward(s, x, mask=None):
        x = x + s.attn(s.norm1(x), mask)
        return x + s.mlp(s.norm2(x))

class ViT(nn.Module):
    def __init__(s, d, depth, heads, size, patch, ch, pool):
        super().__init__()
        s.pool, n = pool, (size // patch) ** 2
        if pool == "class": s.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        s.pos_embed = nn.Parameter(torch.zeros(1, n + (pool == "class"), d))
        s.patch_embed = nn.Module(); s.patch_embed.proj = nn.Conv2d(ch, d, patch, patch)
        s.blocks = nn.Sequential(*[Block(d, heads) for _ in range(depth)])
        s.norm = nn.LayerNorm(d, eps=1e-6)
    def forward(s, x):
        x = s.patch_embed.proj(x).flatten(2).transpose(1, 2)
        if s.pool == "class": x = torch.cat([s.cls_token.expand(x.shape[0], -1, -1), x], 1)
        x = s.norm(s.blocks(x + s.pos_embed))
        return x[:, 0] if s.pool == "class" else x.mean(1)

class Text(nn.Module):
    def __init__(s, d, depth, heads, context):
        super().__init__()
        s.token_embed = nn.Embedding(258, d)
        s.pos_embed = nn.Parameter(torch.zeros(1, context, d))
        s.blocks = nn.ModuleList([Block(d, heads) for _ in range(depth)])
        s.norm = nn.LayerNorm(d, eps=1e-6)
    def forward(s, t):
        pad = t == 0
        x = s.token_embed(t) + s.pos_embed[:, :t.shape[1]]
        for b in s.blocks: x = b(x, pad)
        x = s.norm(x).masked_fill(pad[:, :, None], 0)
        return x.sum(1) / (~pad).sum(1, keepdim=True)

def record(path, m, x, call, meta, grad_x=True, mask=None):
    T = {"state." + n: p for n, p in m.named_parameters()}
    if grad_x: x.requires_grad_(True)
    y = call(x)
    dy = rnd(*y.shape)
    if mask is not None: dy = dy.masked_fill(mask[:, :, None], 0)
    y.backward(dy)
    T.update({"grad." + n: p.grad for n, p in m.named_parameters()})
    T.update({"x": x, "out": y, "dout": dy})
    if grad_x: T["dx"] = x.grad
    if mask is not None: T["mask"] = mask.to(torch.float64)
    note = {"note": "PyTorch %s, float64, stored as float32; dout is random" % torch.__version__}
    write(path, T, {**note, **{k: str(v) for k, v in meta.items()}})

torch.manual_seed(1)
m = nn.LayerNorm(20, eps=1e-6)
with torch.no_grad():
    m.weight.copy_(1 + rnd(20) / 4); m.bias.copy_(rnd(20)); m.weight.copy_(f32(m.weight))
record(out + "/nn/testdata/layernorm.safetensors", m, f32(rnd(7, 20) * 3 + 5), m, {"eps": 1e-6})

u = f32(torch.cat([torch.linspace(-12, 12, 481), rnd(500) * 2])).requires_grad_(True)
dy = rnd(981); y = F.gelu(u); y.backward(dy)
write(out + "/kernel/testdata/gelu.safetensors", {"x": u, "out": y, "dout": dy, "dx": u.grad}, {"note": "torch.nn.functional.gelu, exact; float64"})

for name, masked in (("attention", False), ("attention_masked", True)):
    torch.manual_seed(2)
    m = Attention(24, 3); randomise(m)
    x, mask = rnd(3, 11, 24), None
    if masked:
        mask = torch.zeros(3, 11, dtype=torch.bool); mask[0, 7:] = True; mask[1, 3] = True; mask[1, 10] = True
    record(out + f"/nn/testdata/{name}.safetensors", m, x, lambda x: m(x, mask), {"heads": 3}, mask=mask)

torch.manual_seed(3)
m = Block(24, 3); randomise(m)
record(out + "/nn/testdata/block.safetensors", m, rnd(2, 9, 24), m, {"heads": 3})

for pool in ("class", "mean"):
    torch.manual_seed(4)
    m = ViT(16, 2, 2, 8, 4, 3, pool); randomise(m)
    record(out + f"/model/testdata/vit_{pool}.safetensors", m, rnd(3, 3, 8, 8), m, dict(dim=16, depth=2, heads=2, patch=4, pool=pool))

torch.manual_seed(5)
m = Text(12, 2, 2, 10); randomise(m)
t = torch.randint(1, 258, (4, 9)); t[0, 5:] = 0; t[2, 3] = 0; t[2, 8] = 0; t[3, 1:] = 0; t[1, 4] = 257
record(out + "/model/testdata/text.safetensors", m, t, m, dict(dim=12, depth=2, heads=2, context=10), grad_x=False)
