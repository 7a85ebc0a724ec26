#!/usr/bin/python3
"""PyTorch's side of the whole run: trains by the recipe fashion-mnist, scores the
encoder, prints one JSON line.

Before the clock starts it tries both layouts, with and without a process that
makes the views, for a few steps each, and takes the fastest. Conventions are those
of the released code, as in vicreg's recipe. Scores:
  knn     cosine-weighted k nearest neighbours, k=20, temperature 0.07
  linear  multinomial logistic regression on standardised features
Needs Debian's python3-torch, python3-torchvision, python3-sklearn and
dataset-fashion-mnist; run with /usr/bin/python3.
"""
import argparse, gzip, itertools, json, math, resource, time, warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torchvision import transforms as T

import peer


def args_():
    p = argparse.ArgumentParser()
    p.add_argument("--train-images", type=int, default=20000)
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--trial-steps", type=int, default=4)
    p.add_argument("--folder", default="/usr/share/datasets/fashion-mnist")
    return p.parse_args()


SIZE, WIDTH, EXPANDER, BATCH, WARMUP, PEAK = 28, 16, "512-512-512", 256, 1, 0.3


def load(folder, n):
    def idx(name):
        with gzip.open(Path(folder) / name) as f:
            raw = f.read()
        dims = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(raw[3])]
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)
    xtr, ytr, xte, yte = [idx(f + ".gz") for f in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                                  "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")]
    chosen = np.arange(n) * len(xtr) // n  # those that vicreg's --limit takes
    return xtr[chosen], ytr[chosen], xte, yte


class TwoViews(torch.utils.data.Dataset):
    def __init__(self, x, mean, std):
        def view(solarize):
            return T.Compose([
                T.ToPILImage(), T.RandomResizedCrop(SIZE, scale=(0.2, 1.0), interpolation=T.InterpolationMode.BICUBIC),
                T.RandomHorizontalFlip(), T.RandomApply([T.ColorJitter(0.4, 0.4)], 0.8),
                T.RandomSolarize(128, solarize), T.ToTensor(), T.Normalize(mean, std)])
        self.x, self.first, self.second = x, view(0.0), view(0.2)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.first(self.x[i]), self.second(self.x[i])


def network(a):
    enc, d = peer.encoder(argparse.Namespace(encoder="resnet18", width=WIDTH, stem="small", channels=1))
    for m in enc.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
    return enc, nn.Sequential(enc, peer.expander(d, EXPANDER))


def train(net, data, a, layout, workers, steps=0):
    """Trains for all epochs, or for some steps; returns the seconds that took."""
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=workers,
                                         persistent_workers=workers > 0)
    net.to(memory_format=layout).train()
    opt = peer.LARS(net.parameters())
    total, warm, step, start = a.epochs * len(loader), WARMUP * len(loader), 0, time.time()
    for _ in range(a.epochs):
        for x, y in loader:
            if steps and step == 1:
                start = time.time()  # after the first, which finds its kernels
            opt.lr = PEAK * BATCH / 256 * (step / warm if step < warm else
                                           0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))))
            opt.zero_grad()
            peer.vicreg(net(x.to(memory_format=layout)), net(y.to(memory_format=layout))).backward()
            opt.step()
            step += 1
            if step == steps:
                return time.time() - start
    return time.time() - start


@torch.inference_mode()
def features(enc, x, mean, std):
    enc.eval()
    out = []
    for i in range(0, len(x), 512):
        b = torch.from_numpy(np.ascontiguousarray(x[i:i + 512])).float()[:, None] / 255
        out.append(enc((b - mean[0]) / std[0]))
    return torch.cat(out).numpy()


def knn(ftr, ytr, fte, yte, k=20, temperature=0.07):
    ftr, fte = [torch.from_numpy(f / np.linalg.norm(f, axis=1, keepdims=True)) for f in (ftr, fte)]
    y, hits = torch.from_numpy(ytr.astype(np.int64)), 0
    for i in range(0, len(fte), 1000):
        s, j = (fte[i:i + 1000] @ ftr.T).topk(k, 1)
        votes = torch.zeros(len(s), int(y.max()) + 1).scatter_add_(1, y[j], (s / temperature).exp())
        hits += int((votes.argmax(1).numpy() == yte[i:i + 1000]).sum())
    return hits / len(yte)


def linear(ftr, ytr, fte, yte):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    scale = StandardScaler().fit(ftr)
    return float(LogisticRegression(max_iter=300).fit(scale.transform(ftr), ytr).score(scale.transform(fte), yte))


def main():
    a = args_()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(a.threads)
    xtr, ytr, xte, yte = load(a.folder, a.train_images)
    mean, std = [float(xtr.mean() / 255)], [float(xtr.std() / 255)]
    data = TwoViews(xtr, mean, std)
    ways = list(itertools.product(("nchw", "channels_last"), (0, 1)))
    layouts = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
    trial = {w: train(network(a)[1], data, a, layouts[w[0]], w[1], 1 + a.trial_steps) for w in ways}
    layout, workers = min(trial, key=trial.get)
    torch.manual_seed(a.seed)
    np.random.seed(a.seed)
    enc, net = network(a)
    seconds = train(net, data, a, layouts[layout], workers)
    ftr, fte = features(enc, xtr, mean, std), features(enc, xte, mean, std)
    print(json.dumps(dict(train_seconds=seconds, knn=knn(ftr, ytr, fte, yte), linear=linear(ftr, ytr, fte, yte),
                          how=f"{layout}, {workers} processes for views",
                          peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


if __name__ == "__main__":
    main()
