"""Picture files of a request are decoded as a viewer shows them; files that are none are refused in a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from bridge.errors import InvalidRequest
from bridge.input_pictures import InputPictures, PictureLimits, decode
from bridge.sizes import Size

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=100_000)
FORMATS = ("PNG", "JPEG", "WEBP")
ORIENTATION = 0x0112
# How a viewer turns the stored pixels for each EXIF orientation.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),
}


def scene(width: int = 96, height: int = 64) -> np.ndarray:
    """A smooth picture, with no symmetry, that the lossy formats keep."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 127 // (width + height)], -1).astype(np.uint8)


def noise(width: int = 96, height: int = 64) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def file(picture: Image.Image | np.ndarray, format: str = "PNG", **options: object) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    lossless = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "JPEG" else {}
    with io.BytesIO() as target:
        picture.save(target, format, **(lossless | options))
        return target.getvalue()


def init(data: bytes) -> np.ndarray:
    picture = decode(data, b"", LIMITS).init
    assert picture.mode == "RGB"
    return np.asarray(picture)


def refusal(init_image: bytes, mask_image: bytes = b"", limits: PictureLimits = LIMITS) -> str:
    with pytest.raises(InvalidRequest) as caught:
        decode(init_image, mask_image, limits)
    return str(caught.value)


def png(width: int, height: int, pixels: bytes, colour_type: int = 2, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG with a header of one's own."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), *more, (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_decoded(format: str) -> None:
    error = np.abs(init(file(scene(), format)).astype(int) - scene())
    assert error.max() <= (6 if format == "JPEG" else 0)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_exif_orientation_is_applied(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    upright = UPRIGHT[orientation](scene())
    decoded = init(file(scene(), format, exif=exif))
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).max() <= 6


def test_an_orientation_behind_the_pixels_of_a_png_is_applied() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    chunk = exif.tobytes().removeprefix(b"Exif\0\0")
    whole = file(scene())
    late = struct.pack(">I", len(chunk)) + b"eXIf" + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + chunk))
    assert np.array_equal(init(whole[:-12] + late + whole[-12:]), UPRIGHT[6](scene()))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("format", FORMATS)
def test_exif_data_that_cannot_be_read_is_passed_over(format: str) -> None:
    assert init(file(scene(), format, exif=b"Exif\0\0MM\0*broken")).shape == scene().shape


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("L", (8, 8), 100), (100, 100, 100)),
        (Image.new("I;16", (8, 8), 100 * 257), (100, 100, 100)),
        (Image.new("RGB", (8, 8), (10, 20, 30)), (10, 20, 30)),
        (Image.new("RGB", (8, 8), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE), (10, 20, 30)),
        (Image.new("LA", (8, 8), (100, 0)), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (200, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (200, 0, 0, 255)), (200, 0, 0)),
        (Image.new("RGBA", (8, 8), (200, 0, 100, 51)), (244, 204, 224)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_mode_becomes_rgb_with_transparency_on_white(
    picture: Image.Image, expected: tuple[int, int, int]
) -> None:
    assert np.abs(init(file(picture)).astype(int) - expected).max() <= 1


def test_transparency_of_a_palette_becomes_white() -> None:
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    assert init(file(palette, transparency=1)).min() == 255


def test_a_jpeg_of_printing_colours_is_decoded() -> None:
    assert np.abs(init(file(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    data = file(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.array_equal(np.unique(init(data).reshape(-1, 3), axis=0), [[255, 0, 0]])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("eighths", range(1, 8))
def test_a_truncated_file_is_refused(format: str, eighths: int) -> None:
    whole = file(noise(), format)
    sentence = "init_image is damaged or incomplete; it cannot be read to its end."
    assert refusal(whole[: len(whole) * eighths // 8]) == sentence


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_file_without_its_end_is_refused_before_it_is_decoded(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("pixels were decoded"))
    assert "damaged or incomplete" in refusal(file(noise(), format)[:-10])


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_file_never_ends_in_another_error(format: str) -> None:
    """A damage is refused, or, where it changes no more than colours, decoded."""
    whole = file(noise(), format)
    random = np.random.default_rng(2)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 8):
            damaged[place] = random.integers(256)
        try:
            decode(bytes(damaged), b"", LIMITS)
        except InvalidRequest as error:
            assert str(error).startswith("init_image ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"RIFF",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"hello, I am a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        file(scene(), "GIF"),
        file(scene(), "BMP"),
        file(scene(), "TIFF"),
    ],
    ids=["empty", "part of PNG's magic", "part of WebP's magic", "WAV", "text", "SVG", "GIF", "BMP", "TIFF"],
)
def test_another_format_is_refused(data: bytes) -> None:
    assert refusal(data) == "init_image is not a PNG, JPEG or WebP file."


@pytest.mark.parametrize("magic", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x10\0\0\0WEBP"])
def test_nothing_behind_the_magic_is_refused(magic: bytes) -> None:
    for rest in (b"", b"\0" * 100, b"IEND\xaeB`\x82", b"\xff\xd9"):
        assert "damaged or incomplete" in refusal(magic + rest)


def test_a_file_of_too_many_bytes_is_refused_whatever_it_is() -> None:
    sentence = "init_image is 1000001 bytes long; it may have up to 1000000 bytes."
    assert refusal(b"\0" * 1_000_001) == sentence


def webp_canvas(width: int, height: int) -> bytes:
    """The header of an animated WebP."""
    canvas = b"\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_header(width: int, height: int) -> bytes:
    """A whole JPEG that says it is larger than it is."""
    data = file(scene(16, 16), "JPEG")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


@pytest.mark.parametrize(
    "data",
    [
        png(1000, 101, b""),
        png(100_000, 100_000, b""),
        png(2**31 - 1, 2**31 - 1, b""),
        jpeg_header(1000, 101),
        jpeg_header(65_500, 65_500),
        file(Image.new("RGB", (1000, 101)), "WEBP"),
        webp_canvas(65_000, 65_000),
    ],
    ids=["PNG", "PNG of 10^10", "largest PNG", "JPEG", "JPEG of 4*10^9", "WebP", "WebP of 4*10^9"],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("pixels were decoded"))
    assert "it may have up to 100000" in refusal(data)


def test_a_larger_limit_than_pillows_own_is_no_reason_to_warn() -> None:
    """Pillow's own limit is 89 million pixels."""
    data = file(Image.new("1", (10_000, 9_000)))
    assert decode(data, b"", PictureLimits(1_000_000, 90_000_000)).size == Size(10_000, 9_000)


def test_a_picture_without_pixels_is_refused() -> None:
    assert "damaged or incomplete" in refusal(png(0, 10, b""))


def test_a_jpeg_of_countless_scans_is_refused() -> None:
    """Each of them costs a pass over the whole picture."""
    data = file(Image.new("L", (300, 300)), "JPEG", progressive=True)
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    assert decode(data[:-2] + last_scan * 20 + b"\xff\xd9", b"", LIMITS).size == Size(300, 300)
    assert "JPEG of more than 50 scans" in refusal(data[:-2] + last_scan * 100 + b"\xff\xd9")


def test_texts_that_unpack_to_gigabytes_are_refused() -> None:
    bomb = zlib.compress(b"a" * (PngImagePlugin.MAX_TEXT_CHUNK + 1))
    data = png(8, 8, b"\0" * 200, 2, (b"zTXt", b"comment\0\0" + bomb))
    assert "damaged or incomplete" in refusal(data)


def test_pixels_behind_the_last_row_are_not_unpacked() -> None:
    rows = b"\0" * (8 * 25)
    assert np.array_equal(init(png(8, 8, rows + b"\0" * 50_000_000)), np.zeros((8, 8, 3)))


def test_a_mask_is_grey_and_of_the_init_images_size() -> None:
    white_half = np.zeros((64, 96, 3), np.uint8)
    white_half[:, 48:] = 255
    for mask in (Image.fromarray(white_half), *(Image.fromarray(white_half).convert(mode) for mode in "1LP")):
        pictures = decode(file(scene()), file(mask), LIMITS)
        assert pictures.mask is not None
        assert pictures.mask.mode == "L"
        assert np.array_equal(np.asarray(pictures.mask), white_half[:, :, 0])


def test_a_mask_of_another_size_is_refused() -> None:
    assert refusal(file(scene()), file(scene(64, 96))) == (
        "mask_image is 64x96 pixels and init_image is 96x64; they must be of the same size."
    )


def test_a_mask_fits_the_init_image_as_viewers_show_it() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    assert decode(file(scene(), "JPEG", exif=exif), file(scene(64, 96)), LIMITS).size == Size(64, 96)


@pytest.mark.parametrize("data", [b"no picture", file(noise())[:500], png(1000, 1000, b"")])
def test_a_bad_mask_is_named(data: bytes) -> None:
    assert refusal(file(scene()), data).startswith("mask_image is ")


def test_the_tensors_are_resized() -> None:
    picture, mask = Image.fromarray(noise()), Image.fromarray(noise()).convert("L")
    tensors = InputPictures(picture, mask).tensors(Size(40, 50))
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {"INIT_IMAGE": np.uint8, "MASK": np.uint8}
    assert np.array_equal(
        tensors["INIT_IMAGE"], np.asarray(picture.resize((40, 50), Image.Resampling.LANCZOS)).reshape(1, 50, 40, 3)
    )
    assert np.array_equal(
        tensors["MASK"], np.asarray(mask.resize((40, 50), Image.Resampling.NEAREST)).reshape(1, 50, 40, 1)
    )


def test_pictures_of_the_right_size_stay_as_they_are() -> None:
    tensors = InputPictures(Image.fromarray(noise()), None).tensors(Size(96, 64))
    assert list(tensors) == ["INIT_IMAGE"]
    assert np.array_equal(tensors["INIT_IMAGE"], noise()[None])
