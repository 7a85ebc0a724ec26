"""Makes stereo.ogg with oggenc, three MP3s with lame, and decoded.safetensors: what
ffmpeg's decoders make of them. Run it in this folder."""

import json
import struct
import subprocess
import wave

import numpy as np



def wav(rate, n, clicks):
    rng = np.random.default_rng(3)
    t = np.arange(n) / rate
    x = np.stack([0.4 * np.sin(2 * np.pi * 440 * t), 0.3 * np.sin(2 * np.pi * 700 * t)], 1)
    for k in clicks:  # for short blocks
        x[k:k + 120] += rng.normal(size=(120, 2)) * 0.3 * np.exp(-np.arange(120) / 30)[:, None]
    with wave.open("/tmp/sound.wav", "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())


wav(8000, 2000, (500, 1300))
subprocess.run(["oggenc", "-Q", "-q", "0", "-s", "1", "/tmp/sound.wav", "-o", "stereo.ogg"], check=True)
for name, rate, flags in (
        ("low.mp3", 22050, ["-b", "32", "-m", "m"]),  # version 2: frames are padded at times
        ("joint.mp3", 32000, ["-b", "64", "-m", "j"]),
        ("eight.mp3", 8000, ["-b", "16", "-m", "m"])):  # version 2.5
    wav(rate, rate // 10, (rate // 40, rate // 16))
    subprocess.run(["lame", "--quiet", "-t", *flags, "--resample", str(rate / 1000), "/tmp/sound.wav", name], check=True)

header, data = {}, b""
for name, values in [("stereo.ogg", 4000), ("low.mp3", None), ("joint.mp3", None), ("eight.mp3", None)]:  # ffmpeg does not cut the last packet of stereo.ogg
    b = subprocess.run(["ffmpeg", "-v", "error", "-i", name, "-f", "f32le", "-"], check=True, stdout=subprocess.PIPE).stdout
    b = b[:4 * values] if values else b
    header[name] = {"dtype": "F32", "shape": [len(b) // 4], "data_offsets": [len(data), len(data) + len(b)]}
    data += b
h = json.dumps(header).encode()
h += b" " * (-len(h) % 8)
open("decoded.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + data)
