#!/usr/bin/python3
"""Makes the fixtures of this folder with numpy, tifffile and libtiff's tiffcp: NAME is the
file, NAME.want what it should decode to: width, height, channels and bytes of a sample, one
byte each, then every value as a little-endian float32, the channels of a pixel side by side."""
import os, subprocess
import numpy as np, tifffile

os.chdir(os.path.dirname(os.path.abspath(__file__)))
W, H = 19, 13
rng = np.random.default_rng(5)


def bands(c, dtype, top):
    y, x = np.mgrid[0:H, 0:W]
    a = np.stack([(k + 1) * (x + 2 * y) + 7 * k for k in range(c)], -1) * top / 1000
    a = a + rng.uniform(0, top / 8, a.shape)
    return a.astype(dtype)


def want(name, a, size):
    a = a if a.ndim == 3 else a[..., None]
    with open(name + ".want", "wb") as f:
        f.write(bytes([a.shape[1], a.shape[0], a.shape[2], size]))
        f.write(np.ascontiguousarray(a, dtype="<f4").tobytes())


def tif(name, a, size, planar=False, expect=None, **kw):
    kw.setdefault("photometric", "minisblack")
    if a.shape[2] > 1:
        kw["planarconfig"] = "separate" if planar else "contig"
    tifffile.imwrite(name, a.transpose(2, 0, 1) if planar else a, metadata=None, **kw)
    want(name, a if expect is None else expect, size)


def again(name, source, *options):
    """The same values, written by libtiff."""
    subprocess.run(["tiffcp", *options, source, name], check=True)
    with open(source + ".want", "rb") as f, open(name + ".want", "wb") as g:
        g.write(f.read())


u8, u16, f32 = bands(5, np.uint8, 200), bands(13, np.uint16, 9000), bands(4, np.float32, 2)
tif("u8.tif", u8, 1)
tif("u8_planes_tiles.tif", u8, 1, planar=True, tile=(16, 16), compression="zlib", predictor=True)
tif("u16.tif", u16, 2)
tif("u16_planes.tif", u16, 2, planar=True)
tif("u16_big_endian.tif", u16, 2, byteorder=">")
tif("u16_bigtiff.tif", u16, 2, bigtiff=True, rowsperstrip=4)
again("u16_lzw.tif", "u16.tif", "-c", "lzw:2", "-r", "3")
again("u16_tiles_zip.tif", "u16.tif", "-c", "zip:2", "-t", "-w", "16", "-l", "16")
tif("f32.tif", f32, 4)
tif("f32_big_endian.tif", f32, 4, byteorder=">")
again("f32_zip.tif", "f32.tif", "-c", "zip:3")
tif("f32_planes.tif", f32, 4, planar=True)
again("f32_planes_lzw.tif", "f32_planes.tif", "-c", "lzw:3")
again("f32_zip2.tif", "f32.tif", "-c", "zip:2")
tif("f64.tif", bands(2, np.float64, 3), 4)
tif("f16.tif", bands(2, np.float16, 3), 4)
tif("f32_grey.tif", bands(1, np.float32, 2), 4)
tif("i16.tif", (bands(6, np.float64, 4000) - 2000).astype(np.int16), 4)
tif("i8.tif", (bands(2, np.float64, 200) - 100).astype(np.int8), 4)
tif("two.tif", bands(2, np.uint16, 4000), 2)

hole = bands(3, np.float32, 2)
hole[2:5, 3:9, 1] = -9999
gap = hole.copy()
gap[gap == -9999] = np.nan
tif("nodata.tif", hole, 4, expect=gap, extratags=[(42113, "s", 0, "-9999", True)])
low = bands(4, np.uint16, 4000)
low[3, 4:, 2] = 0
gap = low.astype(np.float32)
gap[low == 0] = np.nan
tif("nodata16.tif", low, 4, expect=gap, extratags=[(42113, "s", 0, "0", True)])

# Three pages, of which the first counts.
tifffile.imwrite("pages.tif", np.ascontiguousarray(u8[..., :3].transpose(2, 0, 1)), photometric="minisblack", metadata=None)

# Red, green, blue and near infrared: the picture is in the first three.
near = bands(4, np.uint8, 200)
tif("rgbn.tif", near, 1, photometric="rgb", extrasamples=["unspecified"])
tif("rgba_meant_near.tif", near, 1, photometric="rgb", extrasamples=["unassalpha"])
tif("rgbn16.tif", bands(4, np.uint16, 40000), 2, photometric="rgb", extrasamples=["unspecified"])


def npy(name, a, image, size):
    np.save(name, a)
    want(name, image, size)


npy("hwc16.npy", u16, u16, 2)
npy("chw16.npy", np.ascontiguousarray(u16.transpose(2, 0, 1)), u16, 2)
npy("big.npy", u16.astype(">u2"), u16, 2)
npy("chw.npy", np.ascontiguousarray(f32.transpose(2, 0, 1)), f32, 4)
npy("hw.npy", f32[..., 0].astype(np.float64), f32[..., 0], 4)
npy("bytes.npy", u8[..., :3].copy(), u8[..., :3], 1)
npy("halves.npy", f32.astype(np.float16), f32.astype(np.float16), 4)
small = bands(2, np.int16, 900)
npy("signed.npy", small, small, 4)
