"""PNG files of every odd kind, written chunk by chunk, since Pillow writes only the common ones."""

import struct
import zlib

COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels → PNG's colour type, without a palette
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Adam7: where each pass begins, and its steps.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def row(samples, bits):
    """The bytes of one row behind its filter byte, which is 0."""
    if bits == 16:
        return b"\0" + struct.pack(f">{len(samples)}H", *samples)
    text = "".join(f"{sample:0{bits}b}" for sample in samples)
    text += "0" * (-len(text) % 8)
    return b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")


def png(pixels, bits=8, colour=None, before=(), interlaced=False):
    """A PNG of rows of tuples; `before` are chunks that stand before the data, as a palette does."""
    height, width = len(pixels), len(pixels[0])
    colour = COLOURS[len(pixels[0][0])] if colour is None else colour
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    data = b""
    for x, y, dx, dy in PASSES if interlaced else [(0, 0, 1, 1)]:
        rows = [line[x::dx] for line in pixels[y::dy]]
        data += b"".join(row([value for pixel in line for value in pixel], bits) for line in rows if line)
    body = b"".join(chunk(kind, content) for kind, content in before)
    return SIGNATURE + chunk(b"IHDR", header) + body + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def with_alpha(image):
    """The picture with an opacity that falls from left to right."""
    image = image.convert("RGBA")
    for y in range(image.height):
        for x in range(image.width):
            image.putpixel((x, y), (*image.getpixel((x, y))[:3], 255 - 10 * x))
    return image


def rows(image):
    values = [image.getpixel((x, y)) for y in range(image.height) for x in range(image.width)]
    values = [value if isinstance(value, tuple) else (value,) for value in values]
    return [values[at:at + image.width] for at in range(0, len(values), image.width)]


def scaled(pixels, factor):
    """Deeper or shallower samples; the low bits of deeper ones are not those of the high byte."""
    deepen = lambda value, x: int(value * factor) + 37 * x % max(int(factor), 1)
    return [[tuple(deepen(value, x) for value in pixel) for x, pixel in enumerate(line)] for line in pixels]


def animated(first, second):
    """An APNG: the first frame is the default image."""
    size = struct.pack(">II", len(first[0]), len(first))
    control = lambda number: struct.pack(">I", number) + size + struct.pack(">IIHHBB", 0, 0, 1, 10, 0, 0)
    data = png(first, before=[(b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", control(0))])
    more = chunk(b"fcTL", control(1)) + chunk(b"fdAT", struct.pack(">I", 2) + compressed(second))
    return data[:-12] + more + data[-12:]


def compressed(pixels, bits=8):
    return zlib.compress(b"".join(row([value for pixel in line for value in pixel], bits) for line in pixels), 9)


def pictures(picture):
    """NAME: bytes, of a function that draws a picture."""
    image = picture()
    colour, alpha, grey = rows(image), rows(with_alpha(image)), rows(image.convert("L"))
    grey_alpha = [[(shade[0], pixel[3]) for shade, pixel in zip(*lines)] for lines in zip(grey, alpha)]
    few = image.quantize(16)
    palette, indices = (b"PLTE", bytes(few.getpalette()[:48])), rows(few)
    opacity = (b"tRNS", bytes(17 * index for index in range(16)))
    whole = png(colour)
    bomb = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)) + whole[33:]
    return {
        "colour.png": whole, "interlaced.png": png(colour, interlaced=True), "png-named.JPEG": whole,
        "alpha.png": png(alpha), "grey.png": png(grey), "grey-alpha.png": png(grey_alpha),
        "colour-key.png": png(colour, before=[(b"tRNS", struct.pack(">HHH", 230, 30, 85))]),
        "grey-1.png": png(scaled(grey, 1 / 128), 1), "grey-2.png": png(scaled(grey, 1 / 64), 2),
        "grey-4.png": png(scaled(grey, 1 / 16), 4),
        "palette.png": png(indices, colour=3, before=[palette]),
        "palette-4.png": png(indices, 4, colour=3, before=[palette]),
        "palette-alpha.png": png(indices, colour=3, before=[palette, opacity]),
        "colour-16.png": png(scaled(colour, 257), 16), "alpha-16.png": png(scaled(alpha, 257), 16),
        "grey-16.png": png(scaled(grey, 257), 16), "grey-16-dark.png": png(scaled(grey, 1.3), 16),
        "grey-alpha-16.png": png(scaled(grey_alpha, 257), 16), "animated.png": animated(colour, alpha_free(alpha)),
        "gamma.png": png(colour, before=[(b"gAMA", struct.pack(">I", 100000))]),
        "truncated.png": whole[:len(whole) // 2], "bomb.png": bomb,
        # The data's own checksum, and that of the chunk around it.
        "bad-adler.png": whole[:-20] + b"\0" + whole[-19:], "bad-crc.png": whole[:-16] + b"\0\0\0\0" + whole[-12:],
    }


def alpha_free(pixels):
    return [[pixel[:3][::-1] for pixel in line] for line in pixels]
