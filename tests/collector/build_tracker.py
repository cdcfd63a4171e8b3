"""Minify the tracker: `python -m tests.collector.build_tracker` after each change of it.

tdewolff-minify renames local variables, comes as a wheel, and needs no npm; it is
pinned, because another release may minify to other bytes.
"""

from pathlib import Path

import lakelet.collector

FOLDER = Path(lakelet.collector.__file__).parent / "tracker"
SOURCE = FOLDER / "lakelet.js"
MINIFIED = FOLDER / "lakelet.min.js"


def build() -> str:
    import minify

    return minify.string("application/javascript", SOURCE.read_text("utf-8"))


if __name__ == "__main__":
    MINIFIED.write_text(build(), "utf-8")
    print(f"{MINIFIED.name}: {MINIFIED.stat().st_size:,} bytes")
