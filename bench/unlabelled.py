"""How well measures without labels rank runs that have labels.

    vicreg compare --methods all --recipe quick --out runs/all
    python3 bench/unlabelled.py runs/all [runs/more ...]

Reads the summary.json of every run in each folder and prints, for each measure, Spearman's
and Kendall's rank correlation with the linear probe and with nearest neighbours: the mean
over the folders, which should differ in their seed alone. A measure counts so that more is
better: correlation, alignment and uniformity with the sign turned, alpha_req by its
distance from 1.
"""
import json
import pathlib
import sys

MEASURES = ["std", "correlation", "rankme", "lidar", "alpha_req", "alignment", "uniformity"]
LOWER = {"correlation", "alignment", "uniformity"}


def better(name, value):
    if value is None:
        return float("-inf")
    if name == "alpha_req":
        return -abs(value - 1)
    return -value if name in LOWER else value


def ranks(x):
    order = sorted(x)
    return [order.index(v) + (order.count(v) - 1) / 2 for v in x]


def spearman(x, y):
    a, b = ranks(x), ranks(y)
    m = (len(a) - 1) / 2
    cov = sum((p - m) * (q - m) for p, q in zip(a, b))
    norm = (sum((p - m) ** 2 for p in a) * sum((q - m) ** 2 for q in b)) ** 0.5
    return cov / norm if norm else 0.0


def kendall(x, y):
    """τ-b, which knows ties."""
    n = len(x)
    sign = lambda a, b: (a > b) - (a < b)
    pairs = [(sign(x[i], x[j]), sign(y[i], y[j])) for i in range(n) for j in range(i)]
    norm = (sum(a != 0 for a, _ in pairs) * sum(b != 0 for _, b in pairs)) ** 0.5
    return sum(a * b for a, b in pairs) / norm if norm else 0.0


def read(folder):
    runs = []
    for path in sorted(pathlib.Path(folder).glob("*/summary.json")):
        s = json.loads(path.read_text())
        if s.get("linear") is None or not s.get("unlabelled"):
            continue
        run = {"name": path.parent.name, "linear": s["linear"], "knn": s["knn"],
               "views that find each other": s["verdict"]["trained"]["r1"],
               "effective rank": s["verdict"]["trained"]["rank"]}
        for layer, values in s["unlabelled"]["trained"].items():
            for m in MEASURES:
                run[m + " of the " + layer] = better(m, values[m])
        runs.append(run)
    return runs


folders = [read(f) for f in sys.argv[1:]]
if not folders or min(len(f) for f in folders) < 3:
    sys.exit(__doc__)
for runs in folders:
    for r in sorted(runs, key=lambda r: -r["linear"]):
        print(f"{r['name']}: linear {100 * r['linear']:.1f}, kNN {100 * r['knn']:.1f}, views "
              f"{100 * r['views that find each other']:.1f}, RankMe {r['rankme of the representation']:.1f}, "
              f"LiDAR {r['lidar of the representation']:.1f}")
    print()
n = min(len(f) for f in folders)
print(f"{n} runs a folder, {len(folders)} folders; chance alone gives a Spearman of ±{(n - 1) ** -0.5:.2f} in one\n")
print("| measure | Spearman, linear | kNN | Kendall, linear | kNN |")
print("|---|---|---|---|---|")
for name in [k for k in folders[0][0] if k not in ("name", "linear", "knn")]:
    cells = []
    for of in (spearman, kendall):
        for score in ("linear", "knn"):
            values = [of([r.get(name, float("-inf")) for r in f], [r[score] for r in f]) for f in folders]
            cells.append(f"{sum(values) / len(values):+.2f}")
    print(f"| {name} | {' | '.join(cells)} |")
