"""Splits SQuAD-format files by article into train, dev and test."""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Callable
from typing import Any

from fairseq_littlebird.datasets.squad_gold import read_squad_gold
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.output import check_folder, whole_folder


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, nargs="+", help="SQuAD-format files")
    parser.add_argument("--test", nargs="+", help="files to test on, instead of a share of the articles")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--share", type=float, default=0.1, help="of the articles for dev, and for test (0.1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--answerable", action="store_true", help="leave out questions without an answer")
    parser.add_argument("--test-questions", type=int, help="so many of the test questions, evenly drawn")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    options = parser.parse_args()
    names = [f"{name}.json" for name in ("train", "dev", "test")]
    check_folder(options.out, names, options.overwrite)

    version, articles = read_articles(options.data)
    random.Random(options.seed).shuffle(articles)
    held = max(1, round(options.share * len(articles)))
    parts = {"dev": articles[:held]}
    if options.test:
        parts["test"] = read_articles(options.test)[1]
        parts["train"] = articles[held:]
    else:
        parts["test"] = articles[held : 2 * held]
        parts["train"] = articles[2 * held :]
    if options.answerable:
        version = "1.1"
        keep([article for part in parts.values() for article in part], lambda question: bool(question.get("answers")))
    if options.test_questions:
        total = sum(map(count_questions, parts["test"]))
        drawn = {n * total // options.test_questions for n in range(options.test_questions)}
        numbers = itertools.count()
        keep(parts["test"], lambda question: next(numbers) in drawn)
    if not parts["train"] or not parts["test"]:
        raise UserError(f"{len(articles)} articles are too few to split", options.data[0], "give more, or --test")
    with whole_folder(options.out, names, options.overwrite) as folder:
        for name, part in parts.items():
            content = json.dumps({"version": version, "data": part}, ensure_ascii=False)
            (folder / f"{name}.json").write_text(content, encoding="utf-8")
    for name, part in parts.items():
        print(f"{name}: {len(part):,} articles, {sum(map(count_questions, part)):,} questions")


def read_articles(files: list[str]) -> tuple[str, list[Any]]:
    """The version and the articles of files of questions in any format; 2.0 if any question may have no answer."""
    articles: list[Any] = []
    for file in files:
        for article in read_squad_gold(file, ReadingLog())["data"]:
            for question in (q for p in article["paragraphs"] for q in p["qas"]):
                if "answers" not in question:
                    where = f"{file}, question {question['id']}"
                    raise UserError("nothing says what its answer is", where, "give its answers, or an empty list")
            articles.append(article)
    return ("v2.0" if "is_impossible" in json.dumps(articles) else "1.1"), articles


def keep(articles: list[Any], wanted: Callable[[Any], bool]) -> None:
    """Takes the other questions out."""
    for article in articles:
        for paragraph in article.get("paragraphs", []):
            paragraph["qas"] = [question for question in paragraph.get("qas", []) if wanted(question)]


def count_questions(article: Any) -> int:
    return sum(len(paragraph.get("qas", [])) for paragraph in article.get("paragraphs", []))


if __name__ == "__main__":
    main()
