#!/usr/bin/env python3
"""PyTorch's side of a whole run on a GPU: trains by the recipe fashion-mnist, scores the encoder, prints one JSON line.

    recipe.py --epochs 100 --seed 1
    recipe.py --device cpu --way eager --train-images 2000 --epochs 2     where there is no card

Nothing holds it back: the images lie on the card, views are made there, many batches at a time, as tensor operations
that give Pillow's values, and the whole step is one captured CUDA graph (--way graph). Layers, views, loss, LARS,
schedule and order of scoring are those of vicreg's recipe, as in bench/recipe.py. Scores:
  knn     cosine-weighted k nearest neighbours, k=20, temperature 0.07
  linear  multinomial logistic regression on standardised features, C=1, until it converges
"""
import argparse, gzip, json, lzma, math, time
from pathlib import Path

import torch
import torch.nn as nn
import torchvision

from peer import vicreg

SIZE, WIDTH, EXPANDER, BATCH, WARMUP, PEAK, END = 28, 16, (512, 512, 512), 256, 1, 0.3, 0.001
TOGETHER = 32  # batches whose views are made at once


def args_():
    p = argparse.ArgumentParser()
    p.add_argument("--train-images", type=int, default=60000)
    p.add_argument("--epochs", type=int, default=100)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--precision", default="float32", choices=["float32", "tf32", "bf16"])
    p.add_argument("--way", default="graph", choices=["graph", "compile", "eager"])
    p.add_argument("--device", default="cuda")
    p.add_argument("--folder", default="/usr/share/datasets/fashion-mnist", help="of idx files, plain, .gz or .xz")
    p.add_argument("--json", help="also write the line to this file")
    return p.parse_args()


def idx(folder, name):
    for end, reader in (("", open), (".gz", gzip.open), (".xz", lzma.open)):
        path = Path(folder) / (name + end)
        if path.exists():
            with reader(path, "rb") as f:
                raw = f.read()
            dims = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(raw[3])]
            return torch.frombuffer(bytearray(raw[4 + 4 * raw[3]:]), dtype=torch.uint8).reshape(dims)
    raise SystemExit(f"no {name} in {folder}")


def load(folder, n):
    xtr, ytr = idx(folder, "train-images-idx3-ubyte"), idx(folder, "train-labels-idx1-ubyte")
    chosen = torch.arange(n) * len(xtr) // n  # those that vicreg's --limit takes
    return (xtr[chosen], ytr[chosen].long(), idx(folder, "t10k-images-idx3-ubyte"),
            idx(folder, "t10k-labels-idx1-ubyte").long())


# Views: torchvision's transforms for each image of a batch, with its own draws.

def uniform(like, lo, hi, *shape):
    return torch.empty(shape or (len(like),), device=like.device).uniform_(lo, hi)


def crops(x):
    """RandomResizedCrop.get_params: the first of ten tries that fits, else the whole image."""
    n = len(x)
    area, ratio = uniform(x, 0.2, 1, n, 10) * SIZE * SIZE, uniform(x, math.log(3 / 4), math.log(4 / 3), n, 10).exp()
    w, h = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (w > 0) & (w <= SIZE) & (h > 0) & (h <= SIZE)
    first = fits.int().argmax(1, keepdim=True)
    w, h = [torch.where(fits.any(1), v.gather(1, first)[:, 0], torch.full_like(v[:, 0], SIZE)) for v in (w, h)]
    return [(torch.floor(uniform(x, 0, 1) * (SIZE - v + 1)).clamp(max=SIZE - 1), v) for v in (w, h)]


def resampling(start, length):
    """The matrices of Pillow's bicubic resize of length pixels from start on to SIZE pixels."""
    i = torch.arange(SIZE, device=start.device)
    center = (i + 0.5) * (length / SIZE)[:, None]
    at = i - start[:, None]
    d = (at[:, None, :] + 0.5 - center[:, :, None]).abs()
    w = torch.where(d < 1, (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2)
    inside = (at >= 0) & (at < length[:, None])
    w = w * ((d < 2) & inside[:, None, :])
    return w / w.sum(2, keepdim=True)


def byte(x):
    return torch.floor(x.clamp(0, 255))


def jittered(x):
    """ColorJitter(0.4, 0.4) on four of five images, in either order."""
    b, c = (uniform(x, 0.6, 1.4)[:, None, None] for _ in range(2))

    def contrast(v):
        mean = torch.floor(v.mean((1, 2), keepdim=True) + 0.5)
        return byte(mean + c * (v - mean))

    some = lambda p: (torch.rand(len(x), device=x.device) < p)[:, None, None]
    return torch.where(some(0.8), torch.where(some(0.5), contrast(byte(b * x)), byte(b * contrast(x))), x)


def views(images, solarize, mean, std):
    """A view of each image, n × SIZE × SIZE bytes, as the network takes it."""
    x = images.float()
    (left, w), (top, h) = crops(x)
    across, down = resampling(left, w), resampling(top, h)
    flip = (torch.rand(len(x), device=x.device) < 0.5)[:, None, None]
    across = torch.where(flip, across.flip(1), across)
    exact, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, False
    x = byte(x @ across.transpose(1, 2) + 0.5)
    x = byte(down @ x + 0.5)
    torch.backends.cuda.matmul.allow_tf32 = exact
    x = jittered(x)
    if solarize:
        x = torch.where((torch.rand(len(x), device=x.device) < solarize)[:, None, None] & (x >= 128), 255 - x, x)
    return ((x / 255 - mean) / std)[:, None]


# Network, optimizer, training.

def network():
    resnet = torchvision.models.resnet
    m = resnet.ResNet(resnet.BasicBlock, [2, 2, 2, 2])
    m.inplanes, m.bn1 = WIDTH, nn.BatchNorm2d(WIDTH)
    for i in range(4):
        setattr(m, f"layer{i + 1}", m._make_layer(resnet.BasicBlock, WIDTH << i, 2, stride=1 if i == 0 else 2))
    m.conv1, m.maxpool, m.fc = nn.Conv2d(1, WIDTH, 3, 1, 1, bias=False), nn.Identity(), nn.Identity()
    for layer in m.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    layers, c = [], 8 * WIDTH
    for d in EXPANDER[:-1]:
        layers += [nn.Linear(c, d), nn.BatchNorm1d(d), nn.ReLU(True)]
        c = d
    return m, nn.Sequential(m, *layers, nn.Linear(c, EXPANDER[-1], bias=False))


class LARS:
    """Whose learning rate is a tensor, so that a graph can be captured once for all steps."""

    def __init__(self, params, decay=1e-4, momentum=0.9, eta=0.02):
        self.wide = [p for p in params if p.ndim > 1]
        self.params = self.wide + [p for p in params if p.ndim <= 1]
        self.m = [torch.zeros_like(p) for p in self.params]
        self.decay, self.momentum, self.eta = decay, momentum, eta

    @torch.no_grad()
    def step(self, lr):
        n = len(self.wide)
        g = [p.grad for p in self.params]
        decayed = torch._foreach_add(g[:n], self.wide, alpha=self.decay)
        wn, gn = (torch.stack(torch._foreach_norm(v)) for v in (self.wide, decayed))
        trust = torch.where((wn > 0) & (gn > 0), self.eta * wn / gn, torch.ones_like(wn))
        torch._foreach_mul_(self.m, self.momentum)
        torch._foreach_add_(self.m, [*torch._foreach_mul(decayed, list(trust.unbind())), *g[n:]])
        torch._foreach_sub_(self.params, torch._foreach_mul(self.m, [lr] * len(self.m)))


class Step:
    """A step on x and y with the learning rate lr; the loss is added to total."""

    def __init__(self, net, a):
        self.net, self.a, self.graph = net, a, None
        self.optimizer = LARS(list(net.parameters()))
        self.lr, self.total = (torch.zeros((), device=a.device) for _ in range(2))
        self.x, self.y = (torch.randn(BATCH, 1, SIZE, SIZE, device=a.device) for _ in range(2))
        self.forward = torch.compile(net) if a.way == "compile" else net
        state = {k: v.clone() for k, v in net.state_dict().items()}

        def restart():
            net.load_state_dict(state)
            for m in self.optimizer.m:
                m.zero_()
            loss = self.total.item()
            self.total.zero_()
            return loss

        if a.way == "graph":
            self.capture()
            self.lr.fill_(PEAK / 10)
            losses = []
            for step in self.eager, self.graph.replay:  # both must do the same
                restart()
                for _ in range(3):
                    step()
                losses.append(restart())
            if not math.isclose(*losses, rel_tol=0.01):
                raise SystemExit(f"three steps come to a loss of {losses[0]}, as a graph to {losses[1]}")
        else:
            self.warm()
        restart()

    def eager(self):
        for p in self.net.parameters():
            p.grad = None
        kind = "cuda" if self.a.device.startswith("cuda") else "cpu"
        with torch.autocast(kind, torch.bfloat16, self.a.precision == "bf16", cache_enabled=self.a.way != "graph"):
            za, zb = self.forward(self.x), self.forward(self.y)
        loss = vicreg(za.float(), zb.float())
        loss.backward()
        self.optimizer.step(self.lr)
        self.total += loss.detach()

    def warm(self):
        for _ in range(3):  # with a rate of 0: it finds its kernels
            self.eager()

    def capture(self):
        side = torch.cuda.Stream()  # as PyTorch's documentation has it
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.warm()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.eager()

    def __call__(self, x, y, lr):
        self.x.copy_(x), self.y.copy_(y), self.lr.fill_(lr)
        self.graph.replay() if self.graph else self.eager()


def wait(a):
    if a.device.startswith("cuda"):
        torch.cuda.synchronize()


def rate(step, warm, total):
    if step < warm:
        return PEAK * step / warm
    return PEAK * (END + (1 - END) * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))))


def train(step, x, a, mean, std):
    steps = len(x) // BATCH
    wait(a)
    done, losses, start = 0, [], time.time()
    for _ in range(a.epochs):
        order = torch.randperm(len(x), device=x.device)
        for first in range(0, steps, TOGETHER):
            chosen = x[order[first * BATCH:min(first + TOGETHER, steps) * BATCH]]
            va, vb = views(chosen, 0, mean, std), views(chosen, 0.2, mean, std)
            for i in range(0, len(chosen), BATCH):
                step(va[i:i + BATCH], vb[i:i + BATCH], rate(done, WARMUP * steps, a.epochs * steps))
                done += 1
        losses.append(step.total.item() / steps)
        step.total.zero_()
    wait(a)
    return time.time() - start, losses


# Scores.

@torch.inference_mode()
def features(enc, x, mean, std):
    enc.eval()
    return torch.cat([enc(((b.float() / 255 - mean) / std)[:, None]) for b in x.split(1000)]).float()


def knn(ftr, ytr, fte, yte, k=20, temperature=0.07):
    ftr, fte = (nn.functional.normalize(f.double()) for f in (ftr, fte))
    hits = 0
    for f, y in zip(fte.split(1000), yte.split(1000)):
        s, j = (f @ ftr.T).topk(min(k, len(ftr)), 1)
        votes = torch.zeros(len(s), int(ytr.max()) + 1, dtype=s.dtype, device=s.device)
        votes.scatter_add_(1, ytr[j], (s / temperature).exp())
        hits += int((votes.argmax(1) == y).sum())
    return hits / len(yte)


def linear(ftr, ytr, fte, yte):
    ftr, fte = ftr.double(), fte.double()
    mean, std = ftr.mean(0), ftr.std(0, unbiased=False)
    std = torch.where(std > 0, std, torch.ones_like(std))
    ftr, fte = (ftr - mean) / std, (fte - mean) / std
    w = torch.zeros(ftr.shape[1], int(ytr.max()) + 1, dtype=ftr.dtype, device=ftr.device, requires_grad=True)
    b = torch.zeros(w.shape[1], dtype=ftr.dtype, device=ftr.device, requires_grad=True)
    fit = torch.optim.LBFGS([w, b], max_iter=500, tolerance_grad=1e-7, tolerance_change=1e-10, history_size=20,
                            line_search_fn="strong_wolfe")

    def closure():
        fit.zero_grad()
        loss = nn.functional.cross_entropy(ftr @ w + b, ytr) + w.pow(2).sum() / (2 * len(ftr))
        loss.backward()
        return loss

    fit.step(closure)
    with torch.no_grad():
        return ((fte @ w + b).argmax(1) == yte).float().mean().item()


def main():
    a = args_()
    torch.manual_seed(a.seed)
    tf32 = a.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    xtr, ytr, xte, yte = (v.to(a.device) for v in load(a.folder, a.train_images))
    mean, std = (xtr.double() / 255).mean().item(), (xtr.double() / 255).std(unbiased=False).item()
    enc, net = network()
    net.to(a.device, memory_format=torch.channels_last).train()
    untrained = [f(*(v for x, y in ((xtr, ytr), (xte, yte)) for v in (features(enc, x, mean, std), y)))
                 for f in (knn, linear)]
    net.train()
    began = time.time()
    step = Step(net, a)
    wait(a)
    prepared = time.time() - began
    few = xtr[:TOGETHER * BATCH]
    views(few, 0.2, mean, std)
    wait(a)
    began = time.time()
    views(few, 0.2, mean, std)
    wait(a)
    made = (time.time() - began) * 2 * BATCH / len(few)
    seconds, losses = train(step, xtr, a, mean, std)
    ftr, fte = features(enc, xtr, mean, std), features(enc, xte, mean, std)
    line = json.dumps(dict(
        torch=torch.__version__, way=a.way, precision=a.precision, seed=a.seed, epochs=a.epochs, images=len(xtr),
        train_seconds=seconds, step_ms=1e3 * seconds / (a.epochs * (len(xtr) // BATCH)), views_ms=1e3 * made,
        prepared_seconds=prepared, losses=losses, random_init_knn=untrained[0], random_init_linear=untrained[1],
        knn=knn(ftr, ytr, fte, yte), linear=linear(ftr, ytr, fte, yte)))
    print(line, flush=True)
    if a.json:
        Path(a.json).write_text(line + "\n")


if __name__ == "__main__":
    main()
