"""Makes the golden files of losses, vicreg/ among them. The embeddings (and queue,
assignment) stand in the files: the reference implementation drew them. Losses and their
gradients are computed from them in float64."""

import glob
import os
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.append("../../check")

import torch
from golden import read, write
from torch.nn import functional as F


def gradients(loss, z1, z2):
    """The loss of two views, and its gradients; zero for a view it does not reach."""
    z1, z2 = z1.clone().requires_grad_(), z2.clone().requires_grad_()
    value = loss(z1, z2)
    grads = torch.autograd.grad(value, (z1, z2), allow_unused=True)
    return value.item(), [torch.zeros_like(z) if g is None else g for g, z in zip(grads, (z1, z2))]


def make(name, loss, **more):
    """more: other tensors that follow from the inputs."""
    t, meta = read(name + ".safetensors")
    value, (t["dz1"], t["dz2"]) = gradients(lambda a, b: loss(a, b, t, meta), t["z1"], t["z2"])
    t |= {key: f(t, meta) for key, f in more.items()}
    write(name + ".safetensors", t, meta | {"loss": repr(value)})


# VICReg. The variance is unbiased; so is the covariance, as in the released code.


def vicreg_terms(z1, z2, gamma, eps):
    """Invariance, variance and covariance as the equations of the paper have them."""
    n, d = z1.shape
    invariance = (z1 - z2).pow(2).sum() / n
    variance = covariance = 0.0
    for z in (z1, z2):
        variance = variance + F.relu(gamma - torch.sqrt(z.var(0) + eps)).mean()
        z = z - z.mean(0)
        c = z.T @ z / (n - 1)
        covariance = covariance + (c.pow(2).sum() - c.diagonal().pow(2).sum()) / d
    return invariance, variance, covariance


def vicreg(path):
    t, meta = read(path)
    lambda_, mu, nu, gamma, eps = (float(meta[k]) for k in ("lambda_", "mu", "nu", "gamma", "eps"))
    d = t["z1"].shape[1]
    # By what each convention divides the invariance and the variance.
    for convention, by in {"released": (d, 2), "formula": (1, 1), "pseudocode": (d, 1)}.items():
        noted = {}

        def loss(z1, z2):
            inv, var, cov = vicreg_terms(z1, z2, gamma, eps)
            inv, var = inv / by[0], var / by[1]
            noted.update(invariance=inv.item(), variance=var.item(), covariance=cov.item())
            return lambda_ * inv + mu * var + nu * cov

        total, dz = gradients(loss, t["z1"], t["z2"])
        meta[f"{convention}_total"] = repr(total)
        if convention != "pseudocode":
            meta |= {f"{convention}_{k}": repr(v) for k, v in noted.items()}
            t |= {f"{convention}_dz1": dz[0], f"{convention}_dz2": dz[1]}
    write(path, t, meta)


# The other methods.


def barlow_twins(z1, z2, t, meta):
    n, d = z1.shape
    unit = lambda z: (z - z.mean(0)) / torch.sqrt(z.var(0, unbiased=False) + 1e-5)
    c = unit(z1).T @ unit(z2) / n
    on = (c.diagonal() - 1).pow(2).sum()
    off = c.pow(2).sum() - c.diagonal().pow(2).sum()
    return float(meta["scale"]) * (on + float(meta["lambda_"]) * off)


def simclr(z1, z2, t, meta):
    z = F.normalize(torch.cat([z1, z2]))
    n = len(z1)
    scores = (z @ z.T / float(meta["temperature"])).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    return F.cross_entropy(scores, torch.arange(2 * n).roll(n))


def moco(z1, z2, t, meta):
    q, k = F.normalize(z1), F.normalize(z2.detach())
    scores = torch.cat([(q * k).sum(1, keepdim=True), q @ t["queue"]], 1) / float(meta["temperature"])
    return F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long))


def byol(z1, z2, t, meta):
    return 2 - 2 * F.cosine_similarity(z1, z2.detach()).mean()


def simsiam(z1, z2, t, meta):
    return -F.cosine_similarity(z1, z2.detach()).mean()


def sinkhorn(scores, meta):
    q = torch.exp(scores.detach() / float(meta["epsilon"])).T
    k, n = q.shape
    q = q / q.sum()
    for _ in range(int(meta["iterations"])):
        q = q / q.sum(1, keepdim=True) / k
        q = q / q.sum(0, keepdim=True) / n
    return (q * n).T


def swav(z1, z2, t, meta):
    heat = float(meta["temperature"])
    swapped = lambda q, z: -(q * F.log_softmax(z / heat, 1)).sum(1).mean()
    return (swapped(sinkhorn(z1, meta), z2) + swapped(sinkhorn(z2, meta), z1)) / 2


def deepcluster(z1, z2, t, meta):
    heat = float(meta["temperature"])
    return (F.cross_entropy(z1 / heat, t["assignment"]) + F.cross_entropy(z2 / heat, t["assignment"])) / 2


def whiten(z, meta):
    n, d = z.shape
    eps = float(meta["eps"])
    z = z - z.mean(0)
    c = (1 - eps) * (z.T @ z / (n - 1)) + eps * torch.eye(d)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(c), z.T, upper=False).T


def wmse(z1, z2, t, meta):
    return 2 - 2 * F.cosine_similarity(whiten(z1, meta), whiten(z2, meta)).mean()


for path in sorted(glob.glob("vicreg/*.safetensors")):
    vicreg(path)
make("barlow_twins", barlow_twins)
make("barlow_twins_wide", barlow_twins)
make("simclr", simclr)
make("moco", moco)
make("byol", byol)
make("simsiam", simsiam)
make("swav", swav, q1=lambda t, m: sinkhorn(t["z1"], m), q2=lambda t, m: sinkhorn(t["z2"], m))
make("deepcluster", deepcluster)
for name in ("wmse_eps0.0", "wmse_eps0.01"):
    make(name, wmse, w1=lambda t, m: whiten(t["z1"], m), w2=lambda t, m: whiten(t["z2"], m))
