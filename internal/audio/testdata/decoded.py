"""Makes stereo.ogg with oggenc, and decoded.safetensors: what ffmpeg's decoders
make of the sounds here. Run it in this folder."""

import json
import struct
import subprocess
import wave

import numpy as np

rng = np.random.default_rng(3)
n = 2000
t = np.arange(n) / 8000
x = np.stack([0.4 * np.sin(2 * np.pi * 440 * t), 0.3 * np.sin(2 * np.pi * 700 * t)], 1)
for k in (500, 1300):  # clicks, for short blocks
    x[k:k + 120] += rng.normal(size=(120, 2)) * 0.3 * np.exp(-np.arange(120) / 30)[:, None]
with wave.open("/tmp/stereo.wav", "wb") as w:
    w.setnchannels(2)
    w.setsampwidth(2)
    w.setframerate(8000)
    w.writeframes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())
subprocess.run(["oggenc", "-Q", "-q", "0", "-s", "1", "/tmp/stereo.wav", "-o", "stereo.ogg"], check=True)

header, data = {}, b""
for name, values in [("stereo.ogg", 4000)]:  # ffmpeg does not cut the last packet of this one
    b = subprocess.run(["ffmpeg", "-v", "error", "-i", name, "-f", "f32le", "-"], check=True, stdout=subprocess.PIPE).stdout[:4 * values]
    header[name] = {"dtype": "F32", "shape": [len(b) // 4], "data_offsets": [len(data), len(data) + len(b)]}
    data += b
h = json.dumps(header).encode()
h += b" " * (-len(h) % 8)
open("decoded.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + data)
