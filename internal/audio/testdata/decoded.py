"""Makes stereo.ogg with oggenc, four MP3s with lame, two FLACs of unusual numbers of bits
with flac, and decoded.safetensors: what ffmpeg's decoders make of the first four. Run it
in this folder."""

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

# noise.mp3: 22 frames, most of which have data in those before them
rng = np.random.default_rng(3)
with wave.open("/tmp/sound.wav", "wb") as w:
    w.setnchannels(1)
    w.setsampwidth(2)
    w.setframerate(32000)
    x = np.convolve(rng.normal(size=23500) * 0.2, np.ones(3) / 3, "same")
    w.writeframes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())
subprocess.run("lame --quiet -t -b 32 -m m --resample 32 /tmp/sound.wav noise.mp3".split(), check=True)

# Rates and numbers of bits that a FLAC frame has no code for.
for name, bits, channels, rate in (("odd13.flac", 13, 1, 88211), ("odd5.flac", 5, 2, 96001)):
    full, box = 1 << (bits - 1), (bits + 7) // 8
    i = np.arange(20 * channels)
    v = ((i // channels * 7 + 3 * (i % channels)) % full - full // 2) << (8 * box - bits)
    samples = (v + 128).astype("u1").tobytes() if box == 1 else v.astype("<i2").tobytes()
    pcm = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, channels, rate, rate * channels * box, channels * box, 8 * box, 22, bits,
                       {1: 4, 2: 3}[channels]) + pcm
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    open("/tmp/sound.wav", "wb").write(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    subprocess.run(["flac", "-s", "-f", "--lax", "--no-padding", "--no-seektable", "-o", name, "/tmp/sound.wav"], check=True)

header, data = {}, b""
for name, values in [("stereo.ogg", 4000), ("low.mp3", None), ("joint.mp3", None), ("eight.mp3", None)]:  # ffmpeg does not cut the last packet of stereo.ogg
    b = subprocess.run(["ffmpeg", "-v", "error", "-i", name, "-f", "f32le", "-"], check=True, stdout=subprocess.PIPE).stdout
    b = b[:4 * values] if values else b
    header[name] = {"dtype": "F32", "shape": [len(b) // 4], "data_offsets": [len(data), len(data) + len(b)]}
    data += b
h = json.dumps(header).encode()
h += b" " * (-len(h) % 8)
open("decoded.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + data)
