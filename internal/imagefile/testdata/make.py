#!/usr/bin/python3
"""Makes the fixtures of this folder with Pillow: NAME.EXT is the file, NAME.EXT.raw
what it should decode to (one byte each of width, height and channels, then the pixels)."""
import io, os
import numpy as np
from PIL import Image, ImageOps

os.chdir(os.path.dirname(os.path.abspath(__file__)))
W, H = 17, 11
y, x = np.mgrid[0:H, 0:W].astype(float)
rgb = np.stack([40 + 11 * x, 220 - 9 * x - 8 * y, 30 + 19 * y], -1).clip(0, 255).astype(np.uint8)
colour = Image.fromarray(rgb)
grey = Image.fromarray((20 + 9 * x + 7 * y).astype(np.uint8))
alpha = Image.fromarray((255 * (x / (W - 1))).astype(np.uint8))


def raw(name, img):
    a = np.asarray(img)
    a = a if a.ndim == 3 else a[..., None]
    with open(name + ".raw", "wb") as f:
        f.write(bytes([a.shape[1], a.shape[0], a.shape[2]]) + a.tobytes())


def white(img):
    """img over white."""
    a = np.asarray(img.convert("RGBA")).astype(int)
    op = a[..., 3:]
    return ((a[..., :3] * op + 255 * (255 - op) + 127) // 255).astype(np.uint8)


def save(name, img, expect=None, **kw):
    img.save(name, **kw)
    if expect is None:
        back = Image.open(name)
        expect = back if back.mode == "L" else back.convert("RGB")
    raw(name, expect)


# JPEG
save("rgb444.jpg", colour, quality=95, subsampling=0)
save("rgb420.jpg", colour, quality=95, subsampling=2)
save("rgb422.jpg", colour, quality=95, subsampling=1)
save("progressive.jpg", colour, quality=95, subsampling=0, progressive=True)
save("grey.jpg", grey, quality=95)
save("cmyk.jpg", colour.convert("CMYK"), quality=95, subsampling=0)

# PNG
save("rgb.png", colour)
save("grey.png", grey)
save("palette.png", colour.quantize(32))
save("bit.png", grey.point(lambda v: 255 * (v > 100)).convert("1"), expect=grey.point(lambda v: 255 * (v > 100)))
rgba = colour.copy(); rgba.putalpha(alpha)
save("rgba.png", rgba, expect=white(rgba))
la = grey.convert("LA"); la.putalpha(alpha)
save("la.png", la, expect=white(la)[..., 0])
g16 = Image.fromarray((np.asarray(grey).astype(np.uint16) * 257))
save("grey16.png", g16, expect=grey)
pal = colour.quantize(32)
keyed = pal.convert("RGBA")
a = np.asarray(keyed).copy(); a[np.asarray(pal) == 3, 3] = 0
save("palettekey.png", pal, expect=white(Image.fromarray(a)), transparency=3)

# GIF, BMP, TIFF, WebP
save("palette.gif", colour.quantize(32))
save("grey.gif", grey, expect=grey)
save("frames.gif", colour.quantize(16), save_all=True, append_images=[grey.quantize(16)], duration=50)
save("rgb.bmp", colour)
save("grey.bmp", grey)
save("palette.bmp", colour.quantize(16))
for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
    save(f"rgb_{c}.tif", colour, compression=c)
save("grey.tif", grey)
save("grey16.tif", g16, expect=grey)
save("rgba.tif", rgba, expect=white(rgba))
save("palette.tif", colour.quantize(32))
inks = Image.fromarray(np.stack([255 - rgb[..., 0], 255 - rgb[..., 1], 255 - rgb[..., 2], 3 + 9 * x + 8 * y], -1).astype(np.uint8), "CMYK")
save("cmyk.tif", inks)
for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
    save(f"cmyk_{c}.tif", inks, compression=c)
save("cmyk_differences.tif", inks, compression="tiff_lzw", tiffinfo={317: 2})
inks.save("cmykjpeg.tif", compression="jpeg")  # not read
save("lossy.webp", colour, quality=95)
save("lossless.webp", colour, lossless=True)
save("alpha.webp", rgba, expect=white(rgba), lossless=True, exact=True)
save("lossyalpha.webp", rgba, quality=95, exact=True)
raw("lossyalpha.webp", white(Image.open("lossyalpha.webp")))

# the eight orientations
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    exif[0x0112] = o
    for name, kw in ((f"orient{o}.jpg", dict(quality=95, subsampling=0)), (f"orient{o}.png", {})):
        colour.save(name, exif=exif, **kw)
        raw(name, ImageOps.exif_transpose(Image.open(name)).convert("RGB"))
exif = Image.Exif(); exif[0x0112] = 6
colour.save("orient6.webp", exif=exif, lossless=True)
raw("orient6.webp", ImageOps.exif_transpose(Image.open("orient6.webp")).convert("RGB"))
colour.save("orient6.tif", tiffinfo={274: 6})
raw("orient6.tif", colour.transpose(Image.Transpose.ROTATE_270))

# 16-bit colour, which Pillow does not write
import struct, zlib
def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
def png16(name, kind, a, expect):
    rows = b"".join(b"\0" + (r.astype(">u2") * 257).tobytes() for r in a)
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 16, kind, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    raw(name, expect)
png16("rgb16.png", 2, rgb, colour)
png16("rgba16.png", 6, np.asarray(rgba), white(rgba))
png16("la16.png", 4, np.asarray(la), white(la)[..., 0])

# Big-endian CMYK in three strips, which Pillow does not write
strips = [np.asarray(inks)[i:i + 4].tobytes() for i in range(0, H, 4)]
starts = [8 + sum(map(len, strips[:i])) for i in range(3)]
after = 8 + sum(map(len, strips))
with open("cmyk_strips.tif", "wb") as f:
    f.write(b"MM\0*" + struct.pack(">I", after + 32) + b"".join(strips)
            + struct.pack(">4H3I3I", 8, 8, 8, 8, *starts, *map(len, strips)))
    entries = [(256, 3, 1, W << 16), (257, 3, 1, H << 16), (258, 3, 4, after), (259, 3, 1, 1 << 16), (262, 3, 1, 5 << 16),
               (273, 4, 3, after + 8), (277, 3, 1, 4 << 16), (278, 3, 1, 4 << 16), (279, 4, 3, after + 20), (284, 3, 1, 1 << 16)]
    f.write(struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHII", *e) for e in entries) + bytes(4))
raw("cmyk_strips.tif", Image.open("cmyk_strips.tif").convert("RGB"))
