"""The files of the page, which are in memory: no path of a request is opened."""

from __future__ import annotations

from importlib import resources

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def page_files() -> dict[str, tuple[bytes, str]]:
    """Name to content and media type of each file."""
    folder = resources.files("fairseq_littlebird.serving") / "page"
    return {
        file.name: (file.read_bytes(), f"{TYPES[file.name.rpartition('.')[2]]}; charset=utf-8")
        for file in folder.iterdir()
        if file.name.rpartition(".")[2] in TYPES
    }
