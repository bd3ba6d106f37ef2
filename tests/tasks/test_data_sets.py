"""The data sets' own files through the whole pipeline: prepared, answered, scored.

Oracle predictions are what a perfect model would say: gold spans read back from the prepared windows, gold sentences,
gold kinds of answers. They must score full marks on real records.
"""

from __future__ import annotations

import json
import shutil
import tarfile

import pytest

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.inference.merging import Candidate, Prediction
from fairseq_littlebird.inference.prediction_files import write_predictions
from fairseq_littlebird.text.html import WORDS

FILES = {
    "hotpotqa": "hotpotqa/distractor_100.json",
    "wikihop": "wikihop/sample.json",
    "korquad2": "korquad2/korquad2.1_dev_00.json",
    "korquad2 train": "korquad2/korquad2.1_train_00.json",
    "triviaqa": "triviaqa/qa/wikipedia-dev.json",
    "triviaqa web": "triviaqa/qa/web-dev.json",
    "natural_questions": "tydiqa/tiny_dev.jsonl",
}
SCORES = {
    "hotpotqa": {"joint_em": 1.0, "joint_f1": 1.0},
    "wikihop": {"accuracy": 100.0},
    "korquad2": {"exact_match": 100.0, "f1": 100.0},
    "triviaqa": {"exact_match": 100.0, "f1": 100.0},
    "natural_questions": {"long-best-threshold-f1": 1.0, "short-best-threshold-f1": 1.0},
}


@pytest.fixture(scope="session")
def gold(data_dir, in_simplified_format, tmp_path_factory):
    """The official file of each data set; of Natural Questions, records of TyDi QA in its format."""
    folder = tmp_path_factory.mktemp("triviaqa")
    with tarfile.open(data_dir / "triviaqa" / "triviaqa-sample.tgz") as archive:
        archive.extractall(folder / "triviaqa", filter="data")
    files = {name: (folder if name.startswith("triviaqa") else data_dir) / path for name, path in FILES.items()}
    lines = files["natural_questions"].read_text("utf-8").splitlines()
    files["natural_questions"] = folder / "nq-dev.jsonl"
    records = [in_simplified_format(json.loads(line)) for line in lines]
    files["natural_questions"].write_text("".join(json.dumps(record) + "\n" for record in records))
    return files


@pytest.fixture(scope="session")
def prepared(gold, data_dir, tmp_path_factory):
    """``prepared(name)``: the folder of a data set's sample, as train and test."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            tokenizer = data_dir / "vocab" / "gpt2_bpe"  # of bytes: no token reaches past an answer into its particle
            words = folder / "dict.txt"
            shutil.copyfile(tokenizer / "dict.txt", words)
            with words.open("a", encoding="utf-8") as file:
                file.writelines(f"<{tag}> 0\n" for tag in WORDS)
            arguments = ["--dataset", name.split()[0], "--train", f"{gold[name]}", "--test", f"{gold[name]}"]
            arguments += ["--tokenizer", f"{tokenizer}", "--dict", f"{words}", "--destdir", f"{folder}/out"]
            prepare(["qa", *arguments, "--max-tokens", "4096", "--stride", "2048"])
            made[name] = folder / "out"
        return made[name]

    return make


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


@pytest.mark.parametrize("name", FILES)
def test_gold_answers_score_full_marks(prepared, gold, tmp_path, capsys, name):
    folder = prepared(name)
    write_predictions(tmp_path / "out", oracle(folder), dataset=name.split()[0])
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
