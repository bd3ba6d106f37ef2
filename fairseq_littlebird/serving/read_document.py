"""Reads one document: ``python -m fairseq_littlebird.serving.read_document SUFFIX SECONDS < FILE``.

Prints a JSON object: text, unit and starts, or the fault of the document. It needs the standard library and the parsers
alone, and opens no file.
"""

from __future__ import annotations

import json
import resource
import sys

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.reading import read_content

MEMORY = 4 << 30
"""Bytes of address space; a small file may say that it unpacks to any size."""


def main(suffix: str, seconds: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        document = read_content(sys.stdin.buffer.read(), "", suffix)
        found = {"text": document.text, "unit": document.unit, "starts": document.starts}
    except UserError as error:
        found = {"fault": str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
