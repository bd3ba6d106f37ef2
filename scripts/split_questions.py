"""Splits a SQuAD-format file by article into train, dev and test, and copies the pretraining text beside them."""

from __future__ import annotations

import argparse
import json
import random
import shutil
from pathlib import Path

from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.metrics.json_files import read_json


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="SQuAD-format JSON")
    parser.add_argument("--text", help="UTF-8 text")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--dev", type=float, default=0.1, help="share of the articles (default 0.1)")
    parser.add_argument("--test", type=float, default=0.1, help="share of the articles (default 0.1)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    content = read_json(options.data)
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list) or len(articles) < 3:
        raise UserError("no list 'data' of three articles or more", options.data, "give a SQuAD-format file")
    order = list(range(len(articles)))
    random.Random(options.seed).shuffle(order)
    dev, test = (max(1, round(share * len(order))) for share in (options.dev, options.test))
    parts = {"dev": order[:dev], "test": order[dev : dev + test], "train": order[dev + test :]}
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, indices in parts.items():
        part = content | {"data": [articles[i] for i in sorted(indices)]}
        (out / f"{name}.json").write_text(json.dumps(part, ensure_ascii=False), encoding="utf-8")
        print(f"{name}: {len(indices):,} of {len(articles):,} articles")
    if options.text:
        shutil.copyfile(options.text, out / "text.txt")


if __name__ == "__main__":
    main()
