"""The text of documents and their summaries, to train a vocabulary on.

    python scripts/documents_text.py --input train.jsonl --out text.txt

Reads what littlebird-prepare summarization reads; an empty line is between documents.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_littlebird.errors import exit_on_user_error
from fairseq_littlebird.formats.summaries import read_summaries
from fairseq_littlebird.output import whole_file


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, nargs="+", metavar="FILE", help="JSON lines or a table")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="text to write")
    options = parser.parse_args()
    count = 0
    with whole_file(options.out) as new, new.open("w", encoding="utf-8") as file:
        for path in options.input:
            for document in read_summaries(path):
                file.write(f"{document.document}\n{document.summary or ''}\n\n")
                count += 1
    print(f"{options.out}: the text of {count:,} documents")


if __name__ == "__main__":
    main()
