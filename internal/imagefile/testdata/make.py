#!/usr/bin/python3
"""Makes the fixtures of this folder with Pillow: NAME.EXT is the file, NAME.EXT.raw
what it should decode to (one byte each of width, height and channels, then the pixels)."""
import io, os, subprocess
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
# With edges and texture, so that coefficients of every size come up. Of libjpeg-turbo-progs, jpegtran adds marks and
# djpeg repeats chroma as it is.
def repeated(name):
    ppm = subprocess.run(["djpeg", "-nosmooth", name], stdout=subprocess.PIPE, check=True).stdout
    return Image.open(io.BytesIO(ppm)).convert("RGB")


v, u = np.mgrid[0:27, 0:41].astype(float)
rough = 120 + 60 * np.sin(u / 3) * np.cos(v / 2) + 50 * (u + v > 40) + np.random.default_rng(1).normal(0, 9, v.shape)
rough = Image.fromarray(np.stack([rough, 255 - rough, rough / 2 + u], -1).clip(0, 255).astype(np.uint8))
save("rough.jpg", rough, quality=85, subsampling=0)
save("progressivegrey.jpg", rough.convert("L"), quality=90, progressive=True)
for name, subsampling, args in (
        ("rough420.jpg", 2, []), ("progressive420.jpg", 2, ["-progressive"]), ("restart420.jpg", 2, ["-restart", "2b"]),
        ("transposed422.jpg", 1, ["-transpose"]), ("scans.jpg", 2, ["-scans", "script"])):
    rough.save("source", "JPEG", quality=90, subsampling=subsampling)
    with open("script", "w") as f:
        f.write("0; 1; 2;")
    with open(name, "wb") as f:
        f.write(subprocess.run(["jpegtran"] + args + ["source"], stdout=subprocess.PIPE, check=True).stdout)
    os.remove("source"), os.remove("script")
    raw(name, repeated(name))
# The same pixels as those of rough420.jpg, with marks in scans of one component.
os.makedirs("restart", exist_ok=True)
bits = "0,1,2: 0-0, 0, 1; 0: 0-0, 1, 0; 1: 0-0, 1, 0; 2: 0-0, 1, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;"
for name, script, every in (("progressive.jpg", "", "3b"), ("rows.jpg", "", "1"), ("scans.jpg", "0; 1; 2;", "2b"),
                            ("two.jpg", "0 1; 2;", "2b"), ("bits.jpg", bits, "1b")):
    with open("script", "w") as f:
        f.write(script)
    with open("restart/" + name, "wb") as f:
        f.write(subprocess.run(["jpegtran"] + (["-scans", "script"] if script else ["-progressive"]) +
                               ["-restart", every, "rough420.jpg"], stdout=subprocess.PIPE, check=True).stdout)
    os.remove("script")
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

# TIFF, with the tools of libtiff
import subprocess
line = Image.fromarray((((x // 3 + y // 2) % 2 > 0) ^ ((x * y) % 7 < 2)).astype(np.uint8) * 255).convert("1")


def same(name):
    """What Pillow reads, over white."""
    img = ImageOps.exif_transpose(Image.open(name))
    if "A" in img.mode:
        grey = img.mode == "LA"
        raw(name, white(img)[..., 0] if grey else white(img))
    else:
        raw(name, img.convert("L") if img.mode in ("1", "L") else img.convert("RGB"))


def tiff(name, src, *options, tags=()):
    src.save("src.tif")
    subprocess.run(["tiffcp", *options, "src.tif", name], check=True)
    os.remove("src.tif")
    for tag, value in tags:
        subprocess.run(["tiffset", "-s", str(tag), str(value), name], check=True)
    same(name)


tiff("fax_g3.tif", line, "-c", "g3:1d")
tiff("fax_g3_fill.tif", line, "-c", "g3:1d:fill")
tiff("fax_g3_2d.tif", line, "-c", "g3:2d", "-B")
tiff("fax_g3_2d_fill.tif", line, "-c", "g3:2d:fill", "-r", "4")
tiff("fax_g4.tif", line, "-c", "g4")
tiff("fax_g4_white.tif", line, "-c", "g4", tags=[(262, 0)])
tiff("fax_g4_order2.tif", line, "-c", "g4", "-f", "lsb2msb", "-r", "4")
line.save("fax_huffman.tif", compression="tiff_ccitt"); same("fax_huffman.tif")
tiff("bit_white.tif", line, "-c", "none", tags=[(262, 0)])
for c in ("none", "packbits", "lzw", "zip"):
    tiff(f"bit_order2_{c}.tif", line, "-c", c, "-f", "lsb2msb")
tiff("rgb_order2.tif", colour, "-c", "none", "-f", "lsb2msb")
tiff("rgb_planes.tif", colour, "-c", "none", "-p", "separate", "-r", "4")
tiff("rgb_planes_lzw.tif", colour, "-c", "lzw:2", "-p", "separate")
tiff("rgb_planes_tiles.tif", colour, "-c", "zip", "-p", "separate", "-t", "-w", "16", "-l", "16")
tiff("rgba_planes.tif", rgba, "-c", "packbits", "-p", "separate")
tiff("rgb_tiles.tif", colour, "-c", "lzw:2", "-B", "-t", "-w", "16", "-l", "16")
tinted = Image.merge("RGB", [grey.point(lambda v, d=d: v + d) for d in (25, 0, -15)])  # chroma that needs no smoothing
tiff("ycc_jpeg_tiles.tif", tinted, "-c", "jpeg:100", "-t", "-w", "16", "-l", "16")
tiff("rgb_jpeg_tiles.tif", colour, "-c", "jpeg:r:100", "-t", "-w", "16", "-l", "16")
tiff("grey_jpeg.tif", grey, "-c", "jpeg:100")
tiff("big.tif", colour, "-c", "zip:2", "-8")
tiff("la.tif", la, "-c", "lzw")
g16.save("src16.tif")
subprocess.run(["tiffcp", "-B", "-c", "lzw:2", "src16.tif", "grey16_lzw.tif"], check=True); os.remove("src16.tif")
raw("grey16_lzw.tif", grey)


def entries(order, list, pixels):
    """A TIFF of the given tags (tag, type, values) in one strip."""
    width = {1: 1, 3: 2, 4: 4}
    list = sorted(list + [(273, 4, [0]), (279, 4, [len(pixels)])])
    data = b""
    ifd = b""
    at = 8 + 2 + 12 * len(list) + 4
    for tag, kind, values in list:
        if tag == 273:
            values = [None]
        body = b"" if values == [None] else b"".join(struct.pack(order + {1: "B", 3: "H", 4: "I"}[kind], v) for v in values)
        if values == [None]:
            where = len(ifd) + 8
            body = bytes(4)
        if len(body) > 4:
            ifd += struct.pack(order + "HHII", tag, kind, len(values), at + len(data))
            data += body + bytes(len(body) % 2)
        else:
            ifd += struct.pack(order + "HHI", tag, kind, len(values)) + body.ljust(4, b"\0")
    start = at + len(data)
    ifd = ifd[:where] + struct.pack(order + "I", start) + ifd[where + 4:]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(list)) + ifd + bytes(4) + data + pixels


def base(spp, bits, photometric, compression=1):
    return [(256, 3, [W]), (257, 3, [H]), (258, 3, [bits] * spp), (259, 3, [compression]), (262, 3, [photometric]),
            (277, 3, [spp]), (278, 3, [H])]


def write(name, order, tags, pixels, expect=None):
    with open(name, "wb") as f:
        f.write(entries(order, tags, pixels))
    if expect is None:
        same(name)
    else:
        raw(name, expect)


def lzw(data, old=False, end=True):
    """TIFF's LZW, of today or of old, with or without its end code."""
    bits = []
    def put(code, width):
        b = [(code >> i) & 1 for i in range(width)]
        bits.extend(b if old else b[::-1])
    table = {bytes([i]): i for i in range(256)}
    nxt, width = 258, 9
    put(256, width)
    s = b""
    for i in range(len(data)):
        c = data[i:i + 1]
        if s + c in table:
            s += c
            continue
        put(table[s], width)
        table[s + c] = nxt
        nxt += 1
        if nxt - (0 if old else 0) > (1 << width) - (0 if old else 1):
            width += 1
        s = c
    put(table[s], width)
    if end:
        nxt += 1
        if nxt > (1 << width) - (0 if old else 1):
            width += 1
        put(257, width)
    bits += [0] * (-len(bits) % 8)
    out = bytearray()
    for i in range(0, len(bits), 8):
        b = bits[i:i + 8]
        out.append(sum(v << (k if old else 7 - k) for k, v in enumerate(b)))
    return bytes(out)


noise = np.random.default_rng(1).integers(0, 255, (H, W, 3)).astype(np.uint8)
pixels = noise.tobytes()
write("lzw_endless.tif", "<", base(3, 8, 2, 5), lzw(pixels, end=False))
write("lzw_old.tif", "<", base(3, 8, 2, 5), lzw(pixels, old=True))
assert (np.asarray(Image.open("lzw_endless.tif")) == noise).all() and (np.asarray(Image.open("lzw_old.tif")) == noise).all()

more = np.concatenate([rgb, 255 - rgb[..., :2]], -1)
write("extra.tif", ">", base(5, 8, 2) + [(338, 3, [0, 0])], more.tobytes(), colour)
a = np.asarray(alpha)
times = (rgb.astype(int) * a[..., None] // 255).astype(np.uint8)
write("multiplied.tif", "<", base(4, 8, 2) + [(338, 3, [1])], np.concatenate([times, a[..., None]], -1).tobytes(),
      np.minimum(times.astype(int) + 255 - a[..., None], 255).astype(np.uint8))
g = np.asarray(grey)
for bits in (2, 4):
    s = (g >> (8 - bits))
    rows = b"".join(bytes(int("".join(format(v, f"0{bits}b") for v in r).ljust(-(-W * bits // 8) * 8, "0")[i:i + 8], 2)
                          for i in range(0, -(-W * bits // 8) * 8, 8)) for r in s)
    write(f"grey{bits}.tif", "<", base(1, bits, 1), rows)
    write(f"palette{bits}.tif", "<", base(1, bits, 3) + [(320, 3, [((i * 7919 + c * 20011) % 256) * 257 for c in range(3) for i in range(1 << bits)])], rows)
rows12 = b"".join(bytes(int("".join(format(int(v) * 16 + 5, "012b") for v in r).ljust(208, "0")[i:i + 8], 2) for i in range(0, 208, 8)) for r in g)
write("grey12.tif", "<", base(1, 12, 1), rows12, grey)

# 16 bits, of which the values use fewer
few = g.astype(np.uint16)
Image.fromarray(few * 16 + 3).save("few12.tif"); raw("few12.tif", grey)
write("few8.tif", ">", base(1, 16, 1), few.astype(">u2").tobytes(), grey)
write("few10.tif", "<", base(1, 16, 1) + [(281, 3, [1023])], (few * 4 + 1).astype("<u2").tobytes(), grey)
colour12 = rgb.astype(np.uint16) * 16 + 9
write("few12rgb.tif", "<", base(3, 16, 2), colour12.astype("<u2").tobytes(), colour)
def png(name, kind, a, expect, *chunks):
    rows = b"".join(b"\0" + r.astype(">u2").tobytes() for r in a)
    with open(name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 16, kind, 0, 0, 0)) + b"".join(chunks)
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    raw(name, expect)
png("few12.png", 0, few * 16 + 3, grey)
png("few10.png", 0, few * 4 + 1, grey, chunk(b"sBIT", bytes([10])))
png("few12rgb.png", 2, colour12, colour)
png("few12rgba.png", 6, np.concatenate([colour12, a[..., None].astype(np.uint16) * 257], -1), white(rgba))

# BMP
def bmp(name, size, bits, packed, rest, palette, pixels, expect=None, height=H, size5=0):
    head = struct.pack("<IiiHHIIiiII", size, W, height, 1, bits, packed, len(pixels), 0, 0, len(palette) // 4, 0)
    head = (head + rest).ljust(size, b"\0") if size > 40 else head + rest
    with open(name, "wb") as f:
        f.write(b"BM" + struct.pack("<IHHI", 14 + len(head) + len(palette) + len(pixels), 0, 0, 14 + len(head) + len(palette))
                + head + palette + pixels)
    if expect is None:
        same(name)
    else:
        raw(name, expect)


up = rgb[::-1]
z = np.zeros((H, W, 1), np.uint8)
bgr = up[..., ::-1]
masks = struct.pack("<4I", 0xff0000, 0xff00, 0xff, 0xff000000)
bmp("unused4.bmp", 108, 32, 0, b"", b"", np.concatenate([bgr, z], -1).tobytes())
bmp("unused5.bmp", 124, 32, 0, masks, b"", np.concatenate([bgr, z + 7], -1).tobytes())
bmp("noalpha.bmp", 124, 32, 3, masks, b"", np.concatenate([bgr, z], -1).tobytes(), colour)
bmp("alpha.bmp", 124, 32, 3, masks, b"", np.concatenate([bgr, a[::-1, :, None]], -1).tobytes())
bmp("fields32.bmp", 40, 32, 3, struct.pack("<3I", 0xff000000, 0xff0000, 0xff00), b"", np.concatenate([z + 9, bgr], -1).tobytes())
s = up.astype(np.uint16) >> 3
five = (s[..., 0] << 10 | s[..., 1] << 5 | s[..., 2])
pad = np.zeros((H, 1), np.uint16)
bmp("five.bmp", 40, 16, 0, b"", b"", np.concatenate([five, pad], -1).astype("<u2").tobytes())
six = (s[..., 0] << 11 | (up[..., 1].astype(np.uint16) >> 2) << 5 | s[..., 2])
bmp("six.bmp", 40, 16, 3, struct.pack("<3I", 0xf800, 0x7e0, 0x1f), b"", np.concatenate([six, pad], -1).astype("<u2").tobytes())
s = up.astype(np.uint32)
odd = (s[..., 0] << 22 | s[..., 1] << 12 | s[..., 2] << 2)
bmp("odd.bmp", 108, 32, 3, struct.pack("<4I", 0xff << 22, 0xff << 12, 0xff << 2, 0), b"", odd.astype("<u4").tobytes(), colour)
p = colour.quantize(16)
table = np.array(p.getpalette()[:48] + [0] * 48).reshape(-1, 3)[:16].astype(np.uint8)
table4 = np.concatenate([table[:, ::-1], np.zeros((16, 1), np.uint8)], -1).tobytes()
index = np.asarray(p)
bmp("topdown.bmp", 40, 8, 0, b"", table4, np.pad(index, ((0, 0), (0, 3))).tobytes(), height=-H)
four = np.pad(index[::-1], ((0, 0), (0, 7)))
bmp("four.bmp", 40, 4, 0, b"", table4, (four[:, 0::2] << 4 | four[:, 1::2]).astype(np.uint8).tobytes())
def rle(four):
    out = b""
    for y, r in enumerate(index[::-1]):
        if y == 4:  # two rows as they are
            n = len(r)
            body = bytes(r) if not four else bytes(int(u) << 4 | int(v) for u, v in zip(r[0::2], list(r[1::2]) + [0]))
            out += bytes([0, n]) + body + bytes(len(body) % 2) + b"\0\0"
            continue
        i = 0
        while i < len(r):
            k = i
            while k < len(r) and r[k] == r[i]:
                k += 1
            out += bytes([k - i, r[i] * 17 if four else r[i]])
            i = k
        out += b"\0\0"
    return out + b"\0\1"
bmp("rle8.bmp", 40, 8, 1, b"", table4, rle(False), p.convert("RGB"))
bmp("rle4.bmp", 40, 4, 2, b"", table4, rle(True), p.convert("RGB"))
with open("os2.bmp", "wb") as f:
    rows = np.pad(index[::-1], ((0, 0), (0, 3))).tobytes()
    table3 = table[:, ::-1].tobytes() + bytes(3 * 240)
    f.write(b"BM" + struct.pack("<IHHI", 26 + 768 + len(rows), 0, 0, 26 + 768) + struct.pack("<IHHHH", 12, W, H, 1, 8) + table3 + rows)
same("os2.bmp")

# animated WebP, whose first frame is a part of its canvas; GIF likewise
frames = [rgba.crop((0, 0, 17, 11)), Image.new("RGBA", (17, 11), (9, 99, 199, 255))]
frames[0].save("animated.webp", save_all=True, append_images=frames[1:], duration=50, lossless=True, exact=True); same("animated.webp")
colour.save("animated_lossy.webp", save_all=True, append_images=frames[1:], duration=50, quality=95); same("animated_lossy.webp")
rgba.crop((4, 2, 13, 9)).save("part.webp", lossless=True, exact=True)
frames[1].save("whole.webp", lossless=True)
subprocess.run("webpmux -frame part.webp +50+4+2+0+b -frame whole.webp +50 -bgcolor 255,0,0,255 -o animated_part.webp".split(), check=True)
b = bytearray(open("animated_part.webp", "rb").read())
at = b.index(b"VP8X") + 8
b[at + 4:at + 10] = bytes([16, 0, 0, 10, 0, 0])
open("animated_part.webp", "wb").write(b)
os.remove("part.webp"); os.remove("whole.webp")
same("animated_part.webp")

# WebP whose header does not say that it has alpha: an alpha channel is not meant, and
# the ground of an animation is black
def chunk(name, b):
    return name + struct.pack("<I", len(b)) + b + bytes(len(b) % 2)
def riff(*chunks):
    return chunk(b"RIFF", b"WEBP" + b"".join(chunks))
def canvas(flags, w, h):
    return chunk(b"VP8X", struct.pack("<I", flags) + struct.pack("<I", w - 1)[:3] + struct.pack("<I", h - 1)[:3])
def picture(img, **kw):
    """The chunks of a picture, without its header."""
    f = io.BytesIO()
    img.save(f, "WEBP", **kw)
    b = f.getvalue()
    return b[30:] if b[12:16] == b"VP8X" else b[12:]
def frame(x, y, blend, pic):
    at = [struct.pack("<I", v)[:3] for v in (x // 2, y // 2, 9 - 1, 7 - 1, 0)]
    return chunk(b"ANMF", b"".join(at) + bytes([blend]) + pic)
yy, xx = np.mgrid[0:7, 0:9]
part = Image.fromarray(np.stack([20 * xx, 30 * yy, 0 * xx + 100, 200 * (xx > 3)], -1).astype(np.uint8))
with open("noflag_ground.webp", "wb") as f:
    f.write(riff(canvas(2, 13, 11), chunk(b"ANIM", bytes(6)), frame(2, 2, 2, picture(part, lossless=True, method=0)),
                 frame(0, 0, 0, picture(Image.new("RGB", (9, 7), (1, 2, 3)), lossless=True))))
same("noflag_ground.webp")
part.putdata([(20 * x, 20 * x, 20 * x, a) for (x, a) in zip(xx.ravel().tolist(), part.getchannel("A").getdata())])
with open("noflag_lossyalpha.webp", "wb") as f:
    f.write(riff(canvas(8, 9, 7), picture(part, quality=80, exact=True), chunk(b"EXIF", b"II*\0\10" + bytes(9))))
raw("noflag_lossyalpha.webp", Image.open("noflag_lossyalpha.webp").convert("RGB"))
