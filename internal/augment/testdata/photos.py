"""Makes photo0.safetensors and photo1.safetensors: two photographs and what Pillow 9.4
makes of them through torchvision 0.14. The photographs are sample images of
scikit-learn, CC BY 2.0; credits are in its documentation. Prints the checksums that
golden_test.go has of larger pictures."""

import os
import sys
import zlib

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.append("../../check")

import numpy as np
import torch
from golden import read, write
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_images
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as T

CROPS = [(0, 0, 85, 128, 32), (7, 11, 60, 45, 32), (3, 5, 20, 24, 64), (2, 20, 80, 37, 96)]


def pixels(img):
    return torch.from_numpy(np.array(img))


def cropped(img, crop, filter):
    top, left, h, w, size = crop
    return T.resized_crop(img, top, left, h, w, [size, size], filter)


def blur(img, sigma):
    return img.filter(ImageFilter.GaussianBlur(sigma))


def make(path, img):
    out = {"image": pixels(img), "hflip": pixels(T.hflip(img))}
    for i, crop in enumerate(CROPS):
        name = "top%d_left%d_h%d_w%d_to%d" % crop
        out[f"resized_crop_bicubic.{i}.{name}"] = pixels(cropped(img, crop, InterpolationMode.BICUBIC))
        if i == 1:
            out[f"resized_crop_bilinear.{name}"] = pixels(cropped(img, crop, InterpolationMode.BILINEAR))
    for name, step, factors in (
            ("brightness", T.adjust_brightness, (0.6, 1.4)), ("contrast", T.adjust_contrast, (0.6, 1.4)),
            ("saturation", T.adjust_saturation, (0.8, 1.2)), ("hue", T.adjust_hue, (-0.1, 0.05, 0.1))):
        for f in factors:
            out[f"{name}.{f}"] = pixels(step(img, f))
    out["grayscale"] = pixels(T.to_grayscale(img, 3))
    for sigma in (0.1, 0.5, 1.0, 2.0):
        out[f"gaussian_blur.{sigma}"] = pixels(blur(img, sigma))
    out["solarize.128"] = pixels(T.solarize(img, 128))
    torch.set_default_dtype(torch.float32)
    out["normalized"] = T.normalize(T.to_tensor(img), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.set_default_dtype(torch.float64)
    write(path, out, read(path)[1])


for i, photo in enumerate(load_sample_images().images):
    make(f"photo{i}.safetensors", Image.fromarray(photo).resize((128, 85), Image.LANCZOS))


def checksum(what, img):
    print(f"{what}: 0x{zlib.crc32(np.asarray(img).tobytes()):08x}")


# TestEveryColor
i = np.arange(1 << 24)
cube = Image.fromarray(np.stack([i >> 16, i >> 8 & 255, i & 255], -1).astype(np.uint8).reshape(4096, 4096, 3))
for f in (-0.1, 0.05):
    checksum(f"hue {f}", T.adjust_hue(cube, f))
for f in (0.8, 1.2):
    checksum(f"saturation {f}", T.adjust_saturation(cube, f))
checksum("contrast 1.2, solarize, grey", T.to_grayscale(T.solarize(T.adjust_contrast(cube, 1.2), 100), 3))

# TestWholeViews
photo = Image.fromarray(load_sample_images().images[0]).resize((128, 85), Image.LANCZOS)
bicubic = InterpolationMode.BICUBIC
v = T.hflip(cropped(photo, (7, 11, 60, 45, 32), bicubic))
v = T.adjust_contrast(T.adjust_saturation(T.adjust_brightness(T.adjust_hue(v, 0.05), 1.3), 0.85), 0.7)
checksum("view 0", T.solarize(blur(v, 1.7), 128))
v = T.adjust_contrast(cropped(photo, (7, 11, 60, 45, 31), bicubic), 1.4)
v = T.adjust_hue(T.adjust_brightness(T.adjust_saturation(v, 1.2), 0.6), -0.1)
checksum("view 1", blur(T.to_grayscale(v, 3), 0.3))
v = cropped(photo.convert("L"), (0, 3, 85, 99, 27), bicubic)
checksum("view 2", blur(T.adjust_brightness(T.adjust_contrast(v, 1.3), 0.8), 3))
checksum("centre", T.center_crop(T.resize(photo, 40, bicubic), 33))

# TestSmallImages
for c in (1, 3):
    views = []
    for w in range(1, 9):
        for h in range(1, 9):
            i = np.arange(w * h * c)
            pix = (i * i * 37 + i * 91 + 29 * w + 53 * h).astype(np.uint8)
            img = Image.fromarray(pix.reshape((h, w) if c == 1 else (h, w, 3)))
            for size in range(1, 9):
                v = T.hflip(cropped(img, (0, 0, h, w, size), bicubic))
                v = T.adjust_brightness(T.adjust_contrast(v, 1.3), 0.8)
                if c == 3:
                    v = T.adjust_hue(T.adjust_saturation(v, 1.2), 0.05)
                views.append(np.asarray(blur(v, 5)).ravel())
                v = cropped(img, (h // 4, w // 3, h - h // 4, w - w // 3, size), bicubic)
                v = T.adjust_brightness(v, 1.2)
                if c == 3:
                    v = T.to_grayscale(v, 3)
                views.append(np.asarray(T.solarize(blur(v, 0.4), 128)).ravel())
    checksum(f"small images, {c} channels", np.concatenate(views))
