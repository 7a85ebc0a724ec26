#!/usr/bin/python3
"""PyTorch's side of fine-tuning: a classifier on a run's encoder, on part of the labels
of Fashion-MNIST or on all, prints one JSON line.

Follows the released evaluate.py: one random crop and flip of an image, SGD with momentum
0.9, a rate for the encoder and one for the head, both in a cosine by epoch; batch
statistics in training mode, or the running ones where the encoder is frozen. Test images
are scaled by 256/224 and cropped at their centre. Images left over after the last full
batch wait for another epoch, as with vicreg. It reads a run's model.safetensors,
whose names are torchvision's.
Needs Debian's python3-torch, python3-torchvision and dataset-fashion-mnist; run with
/usr/bin/python3.
"""
import argparse, json, struct, time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import transforms as T

import peer, recipe

SIZE = recipe.SIZE


def args_():
    p = argparse.ArgumentParser()
    p.add_argument("model", help="model.safetensors of a ResNet for grey images")
    p.add_argument("--fraction", type=float, default=1.0)
    p.add_argument("--encoder-lr", type=float, default=0.03)
    p.add_argument("--head-lr", type=float, default=0.08)
    p.add_argument("--weight-decay", type=float, default=0.0)
    p.add_argument("--crop-min", type=float, default=0.08)
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--freeze", action="store_true", help="train the head alone")
    p.add_argument("--from-scratch", action="store_true", help="start from random weights")
    p.add_argument("--folder", default="/usr/share/datasets/fashion-mnist")
    return p.parse_args()


def read(path):
    """The float32 arrays and the metadata of a safetensors file."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    meta = header.pop("__metadata__")
    arrays = {}
    for name, t in header.items():
        lo, hi = t["data_offsets"]
        kind = {"F32": np.float32, "I64": np.int64}[t["dtype"]]
        arrays[name] = torch.from_numpy(np.frombuffer(data[lo:hi], kind).reshape(t["shape"]).copy())
    return arrays, meta


def stratified(labels, fraction, seed):
    """The same share of each class, at least one."""
    rng, chosen = np.random.default_rng(seed), []
    for c in np.unique(labels):
        at = rng.permutation(np.flatnonzero(labels == c))
        chosen.append(at[:max(1, round(fraction * len(at)))])
    return np.sort(np.concatenate(chosen))


class Images(torch.utils.data.Dataset):
    def __init__(self, x, y, view):
        self.x, self.y, self.view = x, y, view

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.view(self.x[i]), int(self.y[i])


def main():
    a = args_()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    arrays, meta = read(a.model)
    encoder, d = peer.encoder(argparse.Namespace(encoder=meta["arch"], width=int(meta["width"]), stem=meta["stem"],
                                                 channels=1))
    if a.from_scratch:
        for m in encoder.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
    else:
        encoder.load_state_dict({k: v for k, v in arrays.items() if not k.startswith("expander.")})
    xtr, ytr, xte, yte = recipe.load(a.folder, 60000)
    if a.fraction < 1:
        chosen = stratified(ytr, a.fraction, a.seed)
        xtr, ytr = xtr[chosen], ytr[chosen]
    head = nn.Linear(d, int(ytr.max()) + 1)
    head.weight.data.normal_(mean=0.0, std=0.01)
    head.bias.data.zero_()
    net = nn.Sequential(encoder, head)

    norm = [T.ToTensor(), T.Normalize(json.loads(meta["mean"]), json.loads(meta["std"]))]
    train = T.Compose([T.ToPILImage(), T.RandomResizedCrop(SIZE, scale=(a.crop_min, 1.0)), T.RandomHorizontalFlip()] + norm)
    test = T.Compose([T.ToPILImage(), T.Resize(round(SIZE * 256 / 224)), T.CenterCrop(SIZE)] + norm)
    loader = torch.utils.data.DataLoader(Images(xtr, ytr, train), a.batch, shuffle=True, drop_last=True)
    held = torch.utils.data.DataLoader(Images(xte, yte, test), a.batch)

    encoder.requires_grad_(not a.freeze)
    groups = [{"params": head.parameters(), "lr": a.head_lr}]
    if not a.freeze:
        groups.append({"params": encoder.parameters(), "lr": a.encoder_lr})
    opt = torch.optim.SGD(groups, 0, momentum=0.9, weight_decay=a.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, a.epochs)
    began, last = time.time(), 0.0
    for epoch in range(a.epochs):
        net.eval() if a.freeze else net.train()
        for x, y in loader:
            loss = F.cross_entropy(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
        schedule.step()
    seconds = time.time() - began
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in held:
            right += int((net(x).argmax(1) == y).sum())
    print(json.dumps({"top1": right / len(yte), "train_images": len(xtr), "seed": a.seed, "train_seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()
