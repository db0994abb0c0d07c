"""`python -m tests.fuzz_pictures [libFuzzer's options]`: picture files led by coverage, far into the decoder.

Whatever bytes a client sends as init image and mask, they become pictures within the limits or an InvalidRequest.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "bridge.input_pictures"]):
    from PIL import Image

    from bridge.errors import InvalidRequest
    from bridge.input_pictures import PictureLimits, decode
    from bridge.sizes import Size

LIMITS = PictureLimits(100_000, 1_000_000)


def one(data: bytes) -> None:
    """Decodes one input: half of it is the init image, half the mask where the first byte says so."""
    init, mask = data[1:], b""
    if data[:1] > b"\x7f":
        init, mask = data[1 : len(data) // 2], data[len(data) // 2 :]
    try:
        pictures = decode(init, mask, LIMITS)
    except InvalidRequest as refusal:
        if not str(refusal).endswith("."):
            raise AssertionError(f"no sentence: {refusal}") from refusal
        return
    width, height = pictures.size.width, pictures.size.height
    if width * height > LIMITS.max_pixels or pictures.init.mode != "RGB":
        raise AssertionError(f"beyond the limits: {width}x{height}, {pictures.init.mode}")
    pictures.tensors(Size(64, 64))


def main() -> None:
    """Fuzzes, from whole files of each format on, until an input breaks a promise or the time is up."""
    with tempfile.TemporaryDirectory() as corpus:
        for format in ("PNG", "JPEG", "WEBP", "GIF"):
            file = io.BytesIO()
            Image.radial_gradient("L").resize((16, 16)).save(file, format)
            Path(corpus, format).write_bytes(b"\0" + file.getvalue())
        atheris.Setup([sys.argv[0], *sys.argv[1:], corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
