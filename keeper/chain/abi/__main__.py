"""`python -m keeper.chain.abi [--write]`: compare the committed ABIs with Forge's output, or write them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keeper.chain.abi import FOLDER, SOURCES, extract


def main() -> int:
    """Return 0 when every file is (now) what the compiler says."""
    parser = argparse.ArgumentParser(prog="python -m keeper.chain.abi", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the files instead of comparing them")
    parser.add_argument("--artifacts", type=Path, default=Path(".forge/out"), help="Forge's output folder")
    options = parser.parse_args()
    stale = []
    for target, source in SOURCES.items():
        artifact = options.artifacts / source
        if not artifact.exists():
            print(f"{artifact} is missing: run `forge build` in the project's root first.", file=sys.stderr)
            return 1
        text, path = extract(artifact), FOLDER / target
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if options.write:
            path.write_text(text, encoding="utf-8")
        else:
            stale.append(target)
    if stale:
        print(f"{', '.join(stale)}: not as compiled. Run: python -m keeper.chain.abi --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
