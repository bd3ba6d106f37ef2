"""The data sets' own files through the whole pipeline: prepared, answered, scored.

Oracle predictions are what a perfect model would say: gold spans read back from the prepared windows, gold sentences,
gold answer types. They must score full marks on real records.
"""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.inference.merging import Candidate, Prediction
from fairseq_littlebird.inference.prediction_files import write_predictions

SCORES = {
    "hotpotqa": {"joint_em": 1.0, "joint_f1": 1.0},
    "wikihop": {"accuracy": 100.0},
    "korquad2": {"exact_match": 100.0, "f1": 100.0},
    "triviaqa": {"exact_match": 100.0, "f1": 100.0},
    "natural_questions": {"long-best-threshold-f1": 1.0, "short-best-threshold-f1": 1.0},
}


def oracle(folder):
    """A perfect model's predictions."""
    questions = PreparedQuestions(folder, "test")
    for n in range(len(questions)):
        example, windows = questions.example(n)
        candidates, segments = [], [0.0] * len(example.segments)
        for w, window in enumerate(map(questions.window, windows)):
            for first, last in window.spans:
                start = int(window.offsets[first - window.context_start, 0])
                end = int(window.offsets[last - window.context_start, 1])
                candidates.append(Candidate(example.document[start:end], start, end, 1.0, w))
            for segment, is_gold in zip(window.segment_ids.tolist(), window.gold_segments.tolist(), strict=True):
                segments[segment] = float(is_gold)
        names = tuple(segment.name for segment in example.segments)
        said = (tuple(segments), example.answer_type, names, 1.0, example.document)
        yield Prediction(example.id, tuple(candidates), -1.0, *said)


def scores(name, gold, folder, capsys):
    capsys.readouterr()
    evaluate(
        ["--dataset", name.split()[0], "--gold", f"{gold}", "--predictions", f"{folder}/predictions.json", "--json"]
    )
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("name", [*SCORES, "korquad2 train", "triviaqa web"])
def test_gold_answers_score_full_marks(prepared, gold, tmp_path, capsys, name):
    folder = prepared(name)
    spec = DATASETS[name.split()[0]]
    files = {"final_answer": spec.final_answer, "prediction_format": spec.prediction_format}
    write_predictions(tmp_path / "out", oracle(folder), **files)
    found = scores(name, gold[name], tmp_path / "out", capsys)
    wanted = SCORES[name.split()[0]]
    assert {figure: found[figure] for figure in wanted} == wanted


@pytest.mark.parametrize("name", SCORES)
def test_a_model_trains_and_answers(prepared, gold, train, tmp_path, capsys, name):
    train("question_answering", tmp_path / "model", 1, "--batch-size", "2", "--disable-validation", data=prepared(name))
    checkpoint = tmp_path / "model" / "checkpoint_last.pt"
    predict([f"{prepared(name)}", "--path", f"{checkpoint}", "--output", f"{tmp_path}/out", "--device", "cpu"])
    found = scores(name, gold[name], tmp_path / "out", capsys)
    assert found.keys() and all(value >= 0 for value in found.values())
