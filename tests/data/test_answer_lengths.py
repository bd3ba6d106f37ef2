"""The limit on answers' tokens, chosen from the training answers, and the answers that no model can predict."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers.messages import numbers_in
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.answer_lengths import AnswerLengths, reachable
from fairseq_littlebird.data.prepared import PreparedQuestions, longest_answer, read_settings
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer, QAExample

TOKENS = 400  # of a document, in which each is a character
TEXT = "x" * TOKENS
OFFSETS = np.stack([np.arange(TOKENS), np.arange(TOKENS) + 1], axis=1)
WHOLE = np.array([[0, TOKENS]])


def measured(lengths, dataset="squad"):
    """Questions with answers of so many tokens each."""
    result = AnswerLengths(DATASETS[dataset])
    for own in lengths:
        example = QAExample("q", "?", TEXT, tuple(Answer(TEXT[:n], 0) for n in own))
        result.add(example, np.array([(0, n - 1) for n in own]).reshape(-1, 2), WHOLE, OFFSETS)
    return result


@given(st.lists(st.lists(st.integers(1, TOKENS), max_size=3), max_size=50))
def test_the_least_limit_that_lets_199_of_200_through(lengths):
    every = [n for own in lengths for n in own]
    limit = measured(lengths).limit()
    assert limit >= 30 and sum(n <= limit for n in every) >= 0.995 * len(every)
    assert limit == 30 or sum(n < limit for n in every) < 0.995 * len(every)
    summary = measured(lengths).summary(limit)
    assert summary["long_answers"] == sum(n > limit for n in every)
    assert summary["answered"] == sum(map(bool, lengths))
    assert summary["unreachable"] == summary["too_long"] == sum(bool(own) and min(own) > limit for own in lengths)


def test_a_rare_long_answer_does_not_decide():
    assert measured([[35]] * 199 + [[390]]).limit() == 35
    assert measured([[35]] * 99 + [[390]]).limit() == 390


def test_official_rules_are_kept():
    for dataset, limit in (("hotpotqa", 60), ("natural_questions", 76), ("triviaqa", 32), ("korquad2", 8192)):
        assert measured([[390]] * 100, dataset).limit() == limit
    # 30 words of a token each are within HotpotQA's limit of tokens, 31 within no limit
    text = "a " * TOKENS
    places = np.stack([np.arange(TOKENS) * 2, np.arange(TOKENS) * 2 + 1], axis=1)
    for words in (30, 31):
        lengths = AnswerLengths(DATASETS["hotpotqa"])
        example = QAExample("q", "?", text, (Answer(text[: 2 * words - 1], 0),))
        lengths.add(example, np.array([[0, words - 1]]), WHOLE, places)
        assert lengths.summary(60)["unreachable"] == lengths.summary(TOKENS)["unreachable"] == (words > 30)


def write(path, answers):
    """Questions on documents of 150 words, the answer some words from the tenth on; none, or one that is not there."""
    paragraphs = []
    for n, words in enumerate(answers):
        context = " ".join(f"{name} {n}" for name in ["stone", "tower", "river"] * 25)
        start = context.index("tower", 40)
        text = "nowhere to be found" if words == "lost" else " ".join(context[start:].split()[: words or 0])
        given = [] if words is None else [{"text": text, "answer_start": start}]
        question = {"id": f"{path.stem}{n}", "question": "Which?", "answers": given, "is_impossible": not given}
        paragraphs.append({"context": context, "qas": [question]})
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}), "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def long_answers(tiny, tmp_path_factory):
    """``long_answers(*options)``: a folder of answers of up to 60 words, in windows that hold most of them."""

    def make(*options, train=(1, 60, 50, 40, 40, None), valid=(60, 60, 1, "lost", 90, 118, None)):
        folder = tmp_path_factory.mktemp("long")
        files = [part for name, own in (("train", train), ("valid", valid)) if own
                 for part in (f"--{name}", write(folder / f"{name}.json", own))]  # fmt: skip
        tokenizer = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt"]
        sizes = ["--max-tokens", "260", "--stride", "64", "--destdir", f"{folder}/out"]
        prepare(["qa", "--dataset", "squad", *files, *tokenizer, *sizes, *options])
        return folder / "out"

    return make


def test_the_summary_counts_what_batches_find(long_answers, capsys):
    """Long, lost and in no window: the same questions from the whole document as from its windows."""
    folder = long_answers()
    printed = capsys.readouterr().out
    settings = read_settings(folder)
    train, valid = PreparedQuestions(folder, "train"), PreparedQuestions(folder, "valid")

    def found(split, limit):
        examples = [(split.example(i)[0], [split.window(w) for w in split.example(i)[1]]) for i in range(len(split))]
        return [reachable(*question, limit, DATASETS["squad"]) for question in examples]

    longest = max(last - first + 1 for w in range(train.num_windows) for first, last in train.window(w).spans)
    limit = settings["max_answer_length"]
    assert 60 < longest == limit == longest_answer(settings)
    assert found(train, limit) == [True] * 5 + [None]
    for split, data in (("train", train), ("valid", valid)):
        summary = settings["splits"][split]
        assert summary["max_answer_length"] == limit
        assert summary["unreachable"] == found(data, limit).count(False)
        assert summary["answered"] == len(data) - 1
    reached = found(valid, limit)
    assert reached[:4] == [True, True, True, False] and reached[-1] is None
    assert f"a model trained on it gives answers of at most {limit} tokens" in printed
    (line,) = (text for text in printed.splitlines() if "never" in text)
    count = reached.count(False)
    few = settings["splits"]["valid"]["too_long"]
    assert 0 < few < count
    assert line.startswith("valid: ") and numbers_in(line) == [count, 6, limit, few, count - few]


def test_a_limit_of_ones_own(long_answers, capsys):
    settings = read_settings(long_answers("--max-answer-length", "40", valid=()))
    assert settings["max_answer_length"] == 40 and settings["splits"]["train"]["unreachable"] == 4
    (line,) = (text for text in capsys.readouterr().out.splitlines() if "never" in text)
    assert line.startswith("train: ") and numbers_in(line) == [4, 5, 40, 4]


def test_without_training_answers_the_data_sets_limit(long_answers, capsys):
    folder = long_answers(train=())
    printed = capsys.readouterr().out
    settings = read_settings(folder)
    counts = settings["splits"]["valid"]
    long, lost = counts["too_long"], counts["unreachable"] - counts["too_long"]
    assert min(long, lost) > 0
    (line,) = (text for text in printed.splitlines() if "--max-answer-length" in text)
    assert line.startswith("valid: ") and numbers_in(line) == [long, 6, 30, lost, 6]
    assert "at most" not in printed
    assert settings["max_answer_length"] is None and longest_answer(settings) == 30
    assert settings["splits"]["valid"]["max_answer_length"] == 30
    content = json.loads((folder / "prepared.json").read_text("utf-8"))
    for damaged in (0, -3, "40", 4.0, True, [], math.nan):
        (folder / "prepared.json").write_text(json.dumps(content | {"max_answer_length": damaged}), "utf-8")
        with pytest.raises(UserError, match="damaged"):
            read_settings(folder)
    del content["max_answer_length"]  # as older versions wrote it
    (folder / "prepared.json").write_text(json.dumps(content), "utf-8")
    assert longest_answer(read_settings(folder)) == 30
