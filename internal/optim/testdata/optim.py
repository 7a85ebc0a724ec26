"""Makes lars.safetensors and schedule.safetensors. First parameters and gradients stand
in the file: the reference implementation drew them. A weight that is zero and a
gradient that is zero are among them."""

import math
import os
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.append("../../check")

import torch
from golden import read, write


def lars():
    """As released: neither decay nor adaptation for parameters of one dimension."""
    t, meta = read("lars.safetensors")
    for i in range(5):
        p, m = t[f"p{i}_init"], torch.zeros_like(t[f"p{i}_init"])
        for step in range(5):
            g = t[f"p{i}_grad{step}"]
            if p.ndim > 1:
                g = g + float(meta["weight_decay"]) * p
                w, u = p.norm(), g.norm()
                if w > 0 and u > 0:
                    g = g * (float(meta["eta"]) * w / u)
            m = float(meta["momentum"]) * m + g
            p = p - 0.1 * (step + 1) * m
            t[f"p{i}_after{step}"] = p
    write("lars.safetensors", t, meta)


def schedule():
    _, meta = read("schedule.safetensors")
    steps = int(meta["steps_per_epoch"])
    peak = float(meta["base_lr"]) * int(meta["batch_size"]) / 256
    warm, last = int(meta["warmup_epochs"]) * steps, int(meta["epochs"]) * steps
    rates = []
    for step in range(last):
        if step < warm:
            rates.append(peak * step / warm)
        else:
            q = (1 + math.cos(math.pi * (step - warm) / (last - warm))) / 2
            rates.append(peak * q + peak * 0.001 * (1 - q))
    write("schedule.safetensors", {"lr": torch.tensor(rates)}, meta)


lars()
schedule()
