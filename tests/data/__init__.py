"""A slice of real market history for the tests; `README.md` says where it comes from."""

from __future__ import annotations

import lzma
from pathlib import Path


def unpack(folder: Path) -> Path:
    """Write the slice's CSV files into a folder, and return it."""
    for packed in Path(__file__).parent.glob("*.csv.xz"):
        (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
    return folder
