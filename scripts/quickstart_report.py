"""The quickstart's closing table: exact match and F1 by page length, and three answers in their pages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.datasets import find_dataset
from fairseq_littlebird.errors import exit_on_user_error

CLASSES = (512, 1024, 2048, 4096, 8192)
CONTEXT = 60  # characters shown on each side of an answer


@exit_on_user_error
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepared", required=True, help="the folder that was answered")
    parser.add_argument("--predictions", required=True, help="the folder of littlebird-predict")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    n_best = json.loads((Path(options.predictions) / "nbest_predictions.json").read_text("utf-8"))

    scores: dict[int, list[tuple[float, float]]] = {limit: [] for limit in (*CLASSES, 0)}
    shown: dict[int, str] = {}
    prepared = PreparedQuestions(options.prepared, options.split)
    metric = find_dataset(prepared.settings["dataset"], options.prepared).validation_metric
    for index in range(len(prepared)):
        example, windows = prepared.example(index)
        length = sum(len(prepared.window(w).tokens) for w in windows)
        limit = next((limit for limit in CLASSES if length <= limit and len(windows) == 1), 0)
        best = n_best[example.id][0] if n_best[example.id] else {"text": "", "start": 0, "end": 0, "probability": 1.0}
        golds = [answer.text for answer in example.answers] or [""]
        exact = max(metric.exact_match(best["text"], gold) for gold in golds)
        scores[limit].append((exact, max(metric.f1(best["text"], gold) for gold in golds)))
        if limit >= 2048:
            shown.setdefault(limit, show(example.question, golds[0], example.document, best, length))
        elif len(shown) < 3 and limit == 0:
            shown.setdefault(index, show(example.question, golds[0], example.document, best, length))

    print(f"\n{'page length':>14} {'questions':>10} {'EM':>7} {'F1':>7}")
    for limit, rows in scores.items():
        if rows:
            exact, f1 = (100 * sum(column) / len(rows) for column in zip(*rows, strict=True))
            name = f"up to {limit:,}" if limit else "in windows"
            print(f"{name:>14} {len(rows):>10,} {exact:>7.1f} {f1:>7.1f}")
    for text in list(shown.values())[:3]:
        print("\n" + text)


def show(question: str, gold: str, document: str, best: dict[str, object], length: int) -> str:
    start, end = int(str(best["start"])), int(str(best["end"]))
    before = document[max(0, start - CONTEXT) : start].replace("\n", " ")
    after = document[end : end + CONTEXT].replace("\n", " ")
    return (
        f"question  {question}\nanswer    {best['text']}   (gold: {gold}; probability {best['probability']:.2f}; "
        f"page of {length:,} tokens)\nin place  …{before}[[{best['text']}]]{after}…"
    )


if __name__ == "__main__":
    main()
