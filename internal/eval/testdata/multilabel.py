"""Golden values of multilabel_test.go: /usr/bin/python3 multilabel.py > multilabel.json

The protocol is that of VISSL's svm_trainer.py and evaluate.py, with scikit-learn's exact
primal solver in place of its sampled dual one.
"""
import json
import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

COSTS = [0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000]
N, M, D, K = 240, 160, 24, 5


def made(n, seed):
    """Features and marks that the Go test makes alike."""
    state = seed

    def draw():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 40) / 2**24

    x, marks = np.zeros((n, D), np.float32), np.zeros((n, K), int)
    for i in range(n):
        for k in range(K):
            u = draw()
            marks[i, k] = 1 if u < 0.1 + 0.08 * k else -1 if u > 0.97 else -2 if u > 0.95 else 0
        for j in range(D):
            v = draw()
            if marks[i, j % K] == 1:
                v += 0.25
            x[i, j] = np.float32(v)
    return x, marks


def machine(c):
    return LinearSVC(C=c, class_weight={1: 2, -1: 1}, loss="squared_hinge", dual=False, tol=1e-12, max_iter=100000)


def normal(x):
    x = x.astype(np.float64)
    return x / (np.linalg.norm(x, axis=1) + 1e-5)[:, None]


def area(y, s):
    """evaluate.py: the area under the interpolated curve."""
    y = y[np.argsort(-s, kind="stable")]
    p, r = np.cumsum(y) / np.arange(1, len(y) + 1), np.cumsum(y) / y.sum()
    p, r = np.concatenate([[0], p, [0]]), np.concatenate([[0], r, [1]])
    p = np.maximum.accumulate(p[::-1])[::-1]
    eleven = np.mean([max(p[1:-1][r[1:-1] >= t - 1e-12]) for t in np.arange(11) / 10])
    return float(np.sum(np.diff(r) * p[1:])), float(eleven)


x, marks = made(N, 1)
z, held = made(M, 2)
x, z = normal(x), normal(z)
out = []
for k in range(K):
    use = marks[:, k] != -2
    y = np.where(marks[use, k] == 1, 1, -1)
    cross = []
    for c in COSTS:
        aps = []
        for a, b in StratifiedKFold(3).split(x[use], y):
            aps.append(average_precision_score(y[b], machine(c).fit(x[use][a], y[a]).decision_function(x[use][b])))
        cross.append(float(np.mean(aps)))
    c = COSTS[int(np.argmax(cross))]
    s = machine(c).fit(x[use], y).decision_function(z)
    scored = held[:, k] >= 0
    ap, eleven = area(held[scored, k], s[scored])
    out.append({"cost": c, "cross": max(cross), "ap": ap, "ap11": eleven, "decision": [round(v, 7) for v in s.tolist()]})
print(json.dumps(out))
