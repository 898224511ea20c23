#!/usr/bin/env python3
"""Write coordinator/tests/photos/: small pictures of every odd kind, and what Pillow makes of each.

Beside each picture that Pillow opens lies NAME.rgb, the bytes of `Image.open(NAME).convert("RGB")`, as torchvision's
ImageFolder would have them; manifest.json lists all pictures with sizes, or with the word that none is to be had.
The pictures are made, not found: a pattern of this file, so that nobody else's rights are in them.
"""

import io
import json
import math
import pathlib
import shutil
import struct
import sys
import warnings

sys.dont_write_bytecode = True
import odd_png
import pillow

pillow.provide()
from PIL import Image

# Pillow advises other programs on palettes with opacity; ImageFolder does not ask it.
warnings.simplefilter("ignore", UserWarning)

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "coordinator/tests/photos"
WIDTH, HEIGHT = 24, 18
# Formats that Pillow opens and Neuropil does not: a set with such a file reports it by name.
REFUSED = {"bitmap.JPEG", "gif.JPEG"}


def picture(width=WIDTH, height=HEIGHT, phase=0.0):
    """Gradients, a wave and a hard edge: what chroma subsampling, transforms and rounding can each get wrong."""
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            wave = 0.5 + 0.5 * math.sin(x / 3 + phase) * math.cos(y / 4)
            inside = 6 <= x < 15 and 5 <= y < 12
            red = 230 if inside else 255 * x // width
            image.putpixel((x, y), (red, 30 if inside else round(255 * wave), 255 * y // height))
    return image


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def jpeg(image=None, **options):
    # Tables made for the picture keep the file small.
    options = {"quality": 90, "optimize": True, **options}
    return saved(image or picture(), "JPEG", **options)


def segment(data, marker):
    """Where the segment of a JPEG with this marker lies: (start, end), the marker itself included."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return at, at + 2 + struct.unpack(">H", data[at + 2:at + 4])[0]


def with_byte(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1:]


def ycck():
    """Pillow writes no YCCK. Its CMYK holds four planes unchanged; Adobe's byte says what they mean."""
    turned = lambda plane: plane.point(lambda value: 255 - value)
    # Pillow inverts what it writes, as Adobe does; Adobe's YCC then stands for what is left of red, green and blue.
    planes = [turned(plane) for plane in turned(picture()).convert("YCbCr").split()]
    black = picture(phase=1.0).split()[1].point(lambda value: value // 2)
    planes = Image.merge("CMYK", [*planes, black])
    data = jpeg(planes)
    return with_byte(data, segment(data, 0xEE)[1] - 1, 2)


def tall_chroma():
    """4:4:0, as 4:2:2 is after a rotation without loss; its blocks lie elsewhere than in the picture it is made of."""
    data = jpeg(picture(32, 16), subsampling="4:2:2")
    start = segment(data, 0xC0)[0]
    data = data[:start + 5] + struct.pack(">HH", 32, 16) + data[start + 9:]
    return with_byte(data, start + 11, 0x12)


def jpegs():
    grey, cmyk = jpeg(picture().convert("L")), jpeg(picture().convert("CMYK"))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees; ImageFolder does not turn it
    adobe = segment(cmyk, 0xEE)
    whole = jpeg(subsampling="4:2:0")
    size = segment(whole, 0xC0)[0] + 5
    return {
        "colour-444.jpg": jpeg(subsampling="4:4:4"), "colour-422.jpg": jpeg(subsampling="4:2:2"),
        "colour-420.jpg": whole, "colour-440.jpg": tall_chroma(),
        "odd-size.jpg": jpeg(picture(23, 17), subsampling="4:2:0"), "pixel.jpg": jpeg(picture(1, 1)),
        # Wider than a unit of any decoder: a region of it has pixels on all sides.
        "wide.jpg": jpeg(picture(97, 41), subsampling="4:2:0"),
        "progressive.jpg": jpeg(progressive=True), "restart.jpg": jpeg(restart_marker_blocks=1),
        "grey.jpg": grey, "grey-sampled.jpg": with_byte(grey, segment(grey, 0xC0)[0] + 11, 0x22),
        "adobe-rgb.jpg": jpeg(keep_rgb=True), "cmyk.jpg": cmyk, "ycck.jpg": ycck(),
        "cmyk-no-adobe.jpg": cmyk[:adobe[0]] + cmyk[adobe[1]:], "cmyk-progressive.jpg":
            jpeg(picture().convert("CMYK"), progressive=True),
        "exif-rotated.jpg": jpeg(exif=exif), "trailing.jpg": whole + b"after the end" * 3,
        "no-end.jpg": whole[:-2], "truncated.jpg": whole[:-90], "header-only.jpg": whole[:size + 8],
        "bomb.jpg": whole[:size] + struct.pack(">HH", 65500, 65500) + whole[size + 4:],
        "empty.jpg": b"", "garbage.jpg": bytes(range(7, 250)), "jpeg-named.png": whole,
    }


def webps():
    frames = [picture(phase=phase) for phase in (0.0, 1.0, 2.0)]
    alpha = odd_png.with_alpha(picture())
    lossy = saved(picture(), "WEBP", quality=90)
    return {
        "lossy.webp": lossy, "lossless.webp": saved(picture(), "WEBP", lossless=True),
        "lossy-alpha.webp": saved(alpha, "WEBP", quality=90),
        "lossless-alpha.webp": saved(alpha, "WEBP", lossless=True, exact=True),
        "animated.webp": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        "webp-named.JPEG": lossy, "truncated.webp": lossy[:-60],
    }


def others():
    return {"bitmap.JPEG": saved(picture(), "BMP"), "gif.JPEG": saved(picture(), "GIF")}


def entry(name, data):
    """One line of the manifest; what Pillow decodes goes into NAME.rgb."""
    (FOLDER / name).write_bytes(data)
    line = {"file": name}
    try:
        with Image.open(io.BytesIO(data)) as image:
            line |= {"format": image.format, "mode": image.mode}
            rgb = image.convert("RGB")
    except Exception as error:
        return line | {"outcome": "error", "pillow": str(error).split(" <")[0]}
    if name in REFUSED:
        return line | {"outcome": "refused"}
    (FOLDER / f"{name}.rgb").write_bytes(rgb.tobytes())
    # A lossless format leaves nothing to a decoder; two decoders of JPEG or WebP's lossy kind may round differently.
    exact = line["format"] == "PNG" or "lossless" in name or "animated" in name
    return line | {"outcome": "exact" if exact else "near", "width": rgb.width, "height": rgb.height}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    files = jpegs() | odd_png.pictures(picture) | webps() | others()
    lines = [json.dumps(entry(name, data)) for name, data in files.items()]
    (FOLDER / "manifest.json").write_text("[\n  " + ",\n  ".join(lines) + "\n]\n")
    print(f"{len(files)} pictures in {FOLDER}, {sum(map(len, files.values())) / 1e3:.0f} kB")


main()
