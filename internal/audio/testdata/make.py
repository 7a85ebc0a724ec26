"""Makes mel.safetensors: log-mel spectrograms by numpy, in the words of
torchaudio's documentation and without its code. Run it in this folder.

tone.ogg is test.ogg of github.com/jfreymuth/oggvorbis (MIT licence). speech.mp3
is the beginning of mpeg2.mp3 of github.com/hajimehoshi/go-mp3, synthesised
speech of a text of 1865, in the public domain."""

import json
import struct

import numpy as np


def mel_spectrogram(x, rate, n_fft, length, hop, bands, low, high):
    window = np.zeros(n_fft)
    left = (n_fft - length) // 2
    window[left:left + length] = np.hanning(length + 1)[:-1]
    x = np.pad(x, n_fft // 2, mode="reflect")
    frames = np.stack([x[i:i + n_fft] * window for i in range(0, len(x) - n_fft + 1, hop)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    hz = np.linspace(0, rate / 2, n_fft // 2 + 1)
    mels = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bank = np.maximum(0, np.minimum(
        (hz[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1],
        (edges[None, 2:] - hz[:, None]) / np.diff(edges)[None, 1:]))
    return np.log(np.maximum(power @ bank, 1e-10)).T


rng = np.random.default_rng(1)
tensors = {}
for name, n, rate, n_fft, length, hop, bands, low, high in (
        ("8k", 1003, 8000, 512, 200, 80, 64, 0, 4000),
        ("16k", 2400, 16000, 1024, 400, 160, 64, 0, 8000),
        ("odd", 900, 11025, 300, 276, 100, 10, 60, 5000)):
    t = np.arange(n) / rate
    x = (0.5 * np.sin(2 * np.pi * (200 + 900 * t) * t) + 0.01 * rng.standard_normal(n)).astype(np.float32)
    x[n // 2:n // 2 + 500] = 0
    tensors[name + ".x"] = x
    tensors[name + ".mel"] = mel_spectrogram(x.astype(np.float64), rate, n_fft, length, hop, bands, low, high)

header, data = {}, b""
for name, t in sorted(tensors.items()):
    b = t.astype(np.float32).tobytes()
    header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(b)]}
    data += b
h = json.dumps(header).encode()
h += b" " * (-len(h) % 8)
open("mel.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + data)
