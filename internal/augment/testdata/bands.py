#!/usr/bin/python3
"""Writes bands.safetensors: images of five channels of floats, resized, mirrored and blurred in
floating point by Pillow (mode F) and scipy."""
import json, os, struct
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d

os.chdir(os.path.dirname(os.path.abspath(__file__)))
rng = np.random.default_rng(3)
H, W, C = 25, 30, 5
y, x = np.mgrid[0:H, 0:W]
image = np.stack([1000 * (k + 1) + 300 * np.sin((x * (k + 1) + y) / 7) + 40 * rng.standard_normal((H, W))
                  for k in range(C)], -1).astype(np.float32)
out = {"image": image, "mean": image.mean((0, 1)), "std": image.std((0, 1))}
z = ((image - out["mean"]) / out["std"]).astype(np.float32)


def resized(a, top, left, h, w, size, flip):
    planes = [Image.fromarray(np.ascontiguousarray(a[top:top + h, left:left + w, k])).resize((size, size), Image.BICUBIC)
              for k in range(a.shape[2])]
    r = np.stack([np.asarray(p) for p in planes], -1)
    return r[:, ::-1] if flip else r


for top, left, h, w, size, flip in [(0, 0, H, W, 16, 0), (5, 3, 14, 21, 16, 1), (8, 9, 7, 9, 16, 0), (3, 0, 16, 16, 16, 1)]:
    out[f"crop.top{top}_left{left}_h{h}_w{w}_to{size}_flip{flip}"] = resized(z, top, left, h, w, size, flip)
for sigma in (0.1, 0.3, 1.0, 1.7, 6.0):
    b = z.astype(np.float64)
    for axis in (1, 0):
        b = gaussian_filter1d(b, sigma, axis=axis, mode="nearest")
    out[f"blur.{sigma}"] = b
for factor in (0.4, 1.6):
    m = z.mean((0, 1), dtype=np.float64)
    out[f"contrast.{factor}"] = m + factor * (z - m)

head, data = {}, b""
for name, a in out.items():
    raw = np.ascontiguousarray(a, dtype="<f4").tobytes()
    head[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
with open("bands.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)
