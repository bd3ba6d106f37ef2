"""The data of configs/quality/hotpotqa.yaml: four fifths of HotpotQA's sample to train on, the rest to test.

    python hotpotqa_sample.py --data DIR --out DIR

DIR is the folder of samples, with hotpotqa/ and the byte-level BPE vocab/gpt2_bpe.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.errors import exit_on_user_error


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--vocab-size", type=int, default=2000, help="SentencePiece pieces, learned from the training part"
    )
    options = parser.parse_args()
    records = json.loads((options.data / "hotpotqa/distractor_100.json").read_text("utf-8"))
    parts = {"test": records[::5], "train": [record for n, record in enumerate(records) if n % 5]}
    options.out.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        (options.out / f"{name}.json").write_text(json.dumps(part), "utf-8")
    texts = ["".join(sentences) for record in parts["train"] for _, sentences in record["context"]]
    (options.out / "text.txt").write_text("\n".join(texts), "utf-8")
    tokenizer = ["--input", f"{options.out}/text.txt", "--vocab-size", f"{options.vocab_size}"]
    prepare(["tokenizer", *tokenizer, "--destdir", f"{options.out}/tokenizer", "--overwrite"])
    files = [word for name in parts for word in (f"--{name}", f"{options.out}/{name}.json")]
    own = ["--tokenizer", f"{options.out}/tokenizer", "--dict", f"{options.out}/tokenizer/dict.txt"]
    own += ["--max-tokens", "4096", "--stride", "2048", "--destdir", f"{options.out}/questions", "--overwrite"]
    prepare(["qa", "--dataset", "hotpotqa", *files, *own])


if __name__ == "__main__":
    main()
