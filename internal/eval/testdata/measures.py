"""Writes measures.json: what numpy in float64 makes of features that a formula gives.

    python3 measures.py > measures.json
"""
import json
import numpy as np


def noise(shape, seed):
    k = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(seed * 1000003)
    k = (k * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    k = ((k ^ (k >> np.uint64(15))) * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    return ((k >> np.uint64(16)).astype(np.float32) / np.float32(65536) - np.float32(0.5)).reshape(shape)


def features(n, q, d, mixed, shift, still):
    """View k of image i: [k, i]. The first `still` columns do not vary."""
    image, view = noise((1, n, d), 1), noise((q, n, d), 2)
    x = (image + np.float32(mixed) * view) / (1 + np.arange(d, dtype=np.float32))
    x = x.astype(np.float32) + np.float32(shift)
    x[:, :, :still] = 0.75
    return x


def entropy_rank(values, count):
    if values.sum() == 0:
        return 0.0
    p = np.zeros(count)
    p[:len(values)] = values / values.sum()
    p += 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def lidar(x):
    q, n, d = x.shape
    mean = x.mean(0)
    b = mean - mean.mean(0)
    w = (x - mean).reshape(-1, d)
    sb = b.T @ b / (n - 1)
    sw = w.T @ w / (n * (q - 1)) + 1e-4 * np.eye(d)
    value, vector = np.linalg.eigh(sw)
    root = vector @ np.diag(value ** -0.5) @ vector.T
    lam = np.linalg.eigvalsh(root @ sb @ root)
    lam[lam < lam.max() * d * 1e-15] = 0
    return entropy_rank(lam, d)


def alpha(rows):
    c = rows - rows.mean(0)
    lam = np.linalg.svd(c, compute_uv=False) ** 2 if c.size else np.zeros(1)
    lam = lam[lam > lam[0] * len(lam) * 1e-15] if lam[0] > 0 else lam[:0]
    last = min(100, len(lam))
    if last < 8:
        return None
    rank = np.arange(4, last + 1)
    x = np.stack([-np.log(rank), np.ones(len(rank))], 1)
    w = (1.0 / rank)[:, None]
    y = np.log(lam[3:last])[:, None]
    return float(np.linalg.solve(x.T @ (x * w), (w * x).T @ y)[0, 0])


def measures(x):
    x = x.astype(np.float64)
    q, n, d = x.shape
    rows = x.reshape(-1, d)
    std = rows.std(0, ddof=1)
    moving = rows[:, std > 1e-6 * abs(rows.mean(0))]
    m = moving.shape[1]
    corr = 0.0
    if m > 1:
        c = np.corrcoef(moving.T)
        corr = float(np.abs(c[np.triu_indices(m, 1)]).mean())
    norm = np.linalg.norm(x, axis=2, keepdims=True)
    u = np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
    pairs = [((u[i] - u[j]) ** 2).sum(1) for i in range(q) for j in range(i)]
    uniform = []
    for v in u:
        square = ((v[:, None] - v[None]) ** 2).sum(2)[np.triu_indices(n, 1)]
        uniform.append(np.log(np.exp(-2 * square).mean()))
    sigma = np.linalg.svd(rows, compute_uv=False)
    if len(sigma) and sigma[0] > 0:
        sigma[sigma < sigma[0] * np.sqrt(len(sigma) * 1e-15)] = 0
    return {"width": d, "std": float(std.mean()), "correlation": corr, "rankme": entropy_rank(sigma, len(sigma)),
            "lidar": lidar(x), "alpha_req": alpha(moving), "alignment": float(np.mean(pairs)),
            "uniformity": float(np.mean(uniform))}


cases = []
for name, n, q, d, mixed, shift, still in [
        ("usual", 40, 2, 12, 0.25, 0, 0),
        ("many views", 30, 5, 9, 0.5, 0.1, 0),
        ("more features than rows", 6, 2, 24, 0.25, 0, 0),
        ("more images than features", 150, 2, 110, 0.25, 0.02, 0),
        ("more features than images", 20, 3, 50, 0.25, 0, 0),
        ("a constant column", 40, 2, 12, 0.25, 0, 1),
        ("two images", 2, 2, 5, 0.25, 0, 0),
        ("two images of one feature", 2, 2, 1, 0.25, 0, 0),
        ("collapsed", 10, 2, 6, 0.25, 0, 6),
        ("nearly collapsed", 10, 2, 6, 0.25, 0, 5)]:
    x = features(n, q, d, mixed, shift, still)
    cases.append({"name": name, "n": n, "q": q, "d": d, "mixed": mixed, "shift": shift, "still": still,
                  "want": measures(x)})
print(json.dumps(cases, indent=1))
