"""A trained model in a program."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.warm_start import main as warm_start
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.merging import Candidate, without_overlaps
from fairseq_littlebird.models.littlebird import LittleBirdModel

CLOSE = 1e-5  # batches of other sizes sum in another order


@pytest.fixture(scope="module")
def littlebird(qa_model, tmp_path_factory):
    """Loaded from a folder with nothing but the checkpoint, in windows of the prepared folder's size."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copyfile(qa_model, folder / "checkpoint_last.pt")
    return LittleBird.from_pretrained(folder, max_tokens=64, stride=24)


@pytest.fixture(scope="module")
def questions(tiny):
    prepared = PreparedQuestions(tiny / "questions", "valid")
    return [prepared.example(i)[0] for i in range(len(prepared))]


def same(found, expected):
    places = [[(c.text, c.start, c.end, c.window) for c in answers] for answers in (found, expected)]
    assert places[0] == places[1]
    np.testing.assert_allclose([c.probability for c in found], [c.probability for c in expected], atol=CLOSE)


def test_answers_are_those_of_littlebird_predict(littlebird, questions, qa_model, tiny, tmp_path):
    predict(
        [f"{tiny}/questions", "--path", f"{qa_model}", "--gen-subset", "valid", "--output", f"{tmp_path}/out",
         "--device", "cpu", "--n-best", "5"]
    )  # fmt: skip
    n_best = json.loads((tmp_path / "out" / "nbest_predictions.json").read_text("utf-8"))
    odds = json.loads((tmp_path / "out" / "null_odds.json").read_text("utf-8"))
    found = littlebird.predict([q.question for q in questions], [q.document for q in questions], n_best=5)
    assert len(found) == len(questions) > 3
    for example, prediction in zip(questions, found, strict=True):
        same(prediction.candidates, [Candidate(**candidate) for candidate in n_best[example.id]])
        assert prediction.null_odds == pytest.approx(odds[example.id], abs=1e-4)


def test_alone_or_in_a_batch(littlebird, questions):
    several = questions[:4]
    together = littlebird.answer([q.question for q in several], [q.document[: 150 * n] for n, q in enumerate(several)])
    for n, (question, answers) in enumerate(zip(several, together, strict=True)):
        document = question.document[: 150 * n]
        same(answers, littlebird.answer(question.question, document))
        assert all(answer.text == document[answer.start : answer.end] for answer in answers)
    assert together[0] == []  # of an empty document
    one = questions[0].document
    asked = littlebird.answer([q.question for q in several], one, progress=False)
    for question, answers in zip(several, asked, strict=True):
        same(answers, littlebird.answer(question.question, one))


def test_nothing_asked_shows_nothing(littlebird, capsys):
    for progress in (None, True):
        assert littlebird.answer([], [], progress=progress) == littlebird.predict([], "", progress=progress) == []
        assert littlebird.answer(["Who?", "When?"], "", progress=progress) == [[], []]
    assert capsys.readouterr() == ("", "")


def test_options(littlebird, questions):
    question, document = questions[0].question, questions[0].document
    assert len(littlebird.answer(question, document, top_k=2)) == 2
    every = littlebird.answer(question, document, top_k=50, overlaps=True)
    apart = littlebird.answer(question, document, top_k=50)
    assert every[0] == apart[0] and list(without_overlaps(apart)) == apart and len(without_overlaps(every)) < len(every)
    (prediction,) = littlebird.predict(question, document)
    assert littlebird.answer(question, document, null_threshold=prediction.null_odds + 1e-3)
    assert littlebird.answer(question, document, null_threshold=prediction.null_odds - 1e-3) == []
    with pytest.raises(UserError, match="2 questions, 3 documents"):
        littlebird.answer(["a", "b"], ["c", "d", "e"])


@pytest.mark.parametrize(
    "options",
    [{"max_tokens": 5}, {"max_tokens": 0}, {"max_tokens": 64, "stride": 60}, {"stride": -1}, {"stride": 0}],
)
def test_windows_that_cannot_be(littlebird, options):
    with pytest.raises(UserError, match="choose"):
        LittleBird(littlebird.model, littlebird.task, littlebird.tokenizer, **options)


@pytest.mark.parametrize("max_tokens", [6, 7, 8, 9])
def test_smallest_windows(littlebird, max_tokens):
    """A question of one token, and all of the document."""
    small = LittleBird(littlebird.model, littlebird.task, littlebird.tokenizer, max_tokens=max_tokens)
    assert len(small.tokenizer.tokenize("the")) == 1
    (prediction,) = small.predict("the", "Greta Holm", n_best=99)
    covered = {place for c in prediction.candidates for place in range(c.start, c.end)}
    assert covered >= {0, 9}
    assert small.answer("Who founded the school of Oslo, and why?", "Greta Holm") == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9))))
def test_no_answer_overlaps_a_better_one(spans):
    candidates = [Candidate("", start, start + length, 1 / n, 0) for n, (start, length) in enumerate(spans, start=1)]
    kept = without_overlaps(candidates)
    taken = [set(range(c.start, c.end)) for c in kept]
    assert sum(map(len, taken)) == len(set().union(*taken))
    for candidate in set(candidates) - set(kept):
        better = [c for c in kept if c.probability > candidate.probability]
        assert any(candidate.start < c.end and c.start < candidate.end for c in better)


def test_pages_of_html(littlebird, monkeypatch):
    monkeypatch.setattr(littlebird.task, "dataset_spec", DATASETS["korquad2"])
    page = "<div><script>Greta Holm</script>Ivo <b>Brandt</b> painted the night train.</div>"
    for answer in littlebird.answer("Who painted it?", page, top_k=20):
        assert answer.text == page[answer.start : answer.end]
        assert page.index("Ivo") <= answer.start
    # the page of nothing to read, alone and with others
    nothing = ["<div></div>", "<script>Greta Holm</script>", ""]
    assert littlebird.answer("Who?", nothing[0]) == []
    assert [bool(answers) for answers in littlebird.answer("Who?", [*nothing, page])] == [False] * 3 + [True]


def test_hidden_states(littlebird, tiny):
    texts = ["Mara Lindt studied the salt mine.", "", "Ivo \u0301Brandt " * 30]
    together = littlebird.encode(texts)
    words = littlebird.task.source_dictionary
    for text, encoding in zip(texts, together, strict=True):
        ids = torch.tensor([[words.bos(), *map(words.index, encoding.tokens), words.eos()]])
        with torch.no_grad():
            hidden, _ = littlebird.model(ids, features_only=True)
        torch.testing.assert_close(encoding.hidden, hidden[0])
        torch.testing.assert_close(encoding.hidden, littlebird.encode(text).hidden)
        assert len(encoding.tokens) == len(encoding.offsets) == len(encoding.hidden) - 2
    start, end = together[0].offsets[0]
    assert texts[0][start:end] and texts[0].startswith(texts[0][start:end])


def test_a_pretrained_model_encodes_and_does_not_answer(span_model, tiny):
    model = LittleBird.from_pretrained(span_model, tokenizer=tiny / "tokenizer")
    assert model.encode("Mara Lindt").hidden.shape[1] == 32
    with pytest.raises(UserError, match="answers no questions"):
        model.answer("Who?", "Mara Lindt.")
    with pytest.raises(UserError, match="no tokenizer"):
        LittleBird.from_pretrained(span_model)


def test_a_folder_of_warm_start(teacher, tiny, tmp_path):
    for name in ("dict.txt", "sentencepiece.model"):
        shutil.copyfile(tiny / "tokenizer" / name, tmp_path / name)
    shutil.copyfile(teacher("littlebird_masked_lm"), tmp_path / "checkpoint.pt")
    warm_start(
        [
            "--from",
            f"{tmp_path}/checkpoint.pt",
            "--out",
            f"{tmp_path}/student",
            "--pack-size",
            "8",
            "--block-size",
            "16",
        ]
    )
    model = LittleBird.from_pretrained(tmp_path / "student")
    assert isinstance(model.model, LittleBirdModel) and model.max_tokens == 8192
    full = LittleBird.from_pretrained(tmp_path)
    assert full.max_tokens == 136
    with pytest.raises(UserError, match="text 0: .* shorten it"):
        full.encode("Oslo " * 200)


def test_as_fairseq_and_torch_hub_load_models(qa_model, tiny):
    hub = LittleBirdModel.from_pretrained(str(qa_model.parent), qa_model.name, str(tiny / "questions"))
    own = LittleBird.from_pretrained(qa_model)
    for name, value in own.model.state_dict().items():
        torch.testing.assert_close(hub.models[0].state_dict()[name], value, rtol=0, atol=0)
    root = Path(__file__).resolve().parents[2]
    loaded = torch.hub.load(str(root), "littlebird", str(qa_model), source="local")
    assert type(loaded).__name__ == "LittleBird"


def test_bad_input_is_one_line(qa_model, tmp_path):
    (tmp_path / "empty").mkdir()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(qa_model.read_bytes()[:5000])
    state = torch.load(qa_model, weights_only=True)
    state["task_state"], state["cfg"]["task"]["data"] = {}, str(tmp_path / "gone")
    torch.save(state, tmp_path / "model.pt")
    for precision, device, message in (
        ("fp16", "cpu", "choose float32, bfloat16"),
        ("float32", "gpu", "'gpu'"),
        ("float32", "cuda:99", "cuda:99"),
    ):
        with pytest.raises(UserError, match=message):
            LittleBird.from_pretrained(qa_model, device=device, precision=precision)
    for path, message in (
        (tmp_path / "none", "none: "),
        (tmp_path / "empty", "checkpoint_best.pt"),
        (cut, "cut.pt: "),
        (tmp_path, "no dict.txt"),
    ):
        with pytest.raises(UserError, match=message):
            LittleBird.from_pretrained(path)


def saved(qa_model, path, change):
    """A checkpoint after a change of its content."""
    state = torch.load(qa_model, weights_only=True)
    change(state)
    torch.save(state, path)
    return path


def settings(**content):
    return torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8)


def test_settings_of_another_version(qa_model, tiny, tmp_path):
    """Of a model's prepared.json the data set's name is all that answering needs, and the user's own stays."""

    def carried(content):
        return saved(qa_model, tmp_path / "x.pt", lambda s: s["task_state"]["files"].update({"prepared.json": content}))

    littlebird = LittleBird.from_pretrained(carried(settings(version=99, dataset="korquad1")))
    assert littlebird.task.dataset_spec.name == "korquad1"
    with pytest.raises(UserError, match="x.pt: .*'riddles'"):
        LittleBird.from_pretrained(carried(settings(version=99, dataset="riddles")))
    with pytest.raises(UserError, match="x.pt: .*prepared.json"):
        LittleBird.from_pretrained(carried(settings(version=3)))
    for name in ("dict.txt", "sentencepiece.model"):
        shutil.copyfile(tiny / "questions" / name, tmp_path / name)
    (tmp_path / "prepared.json").write_text('{"version": 99, "dataset": "mrqa"}')
    path = saved(qa_model, tmp_path / "x.pt", lambda s: s["task_state"].clear())
    assert LittleBird.from_pretrained(path).task.dataset_spec.name == "mrqa"
    assert (tmp_path / "prepared.json").read_text() == '{"version": 99, "dataset": "mrqa"}'


DAMAGES = {
    "task_state is list": lambda s: s.update(task_state=[1]),
    "files is list": lambda s: s["task_state"].update(files=[1]),
    "dict.txt in it is not a file": lambda s: s["task_state"]["files"].update({"dict.txt": "a 1"}),
    "vocab.txt in it is not a file": lambda s: s["task_state"]["files"].update({"vocab.txt": torch.zeros(2)}),
    "cfg is list": lambda s: s.update(cfg=[1]),
    "task is str": lambda s: s["cfg"].update(task="a"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_checkpoints(qa_model, tmp_path, message):
    path = saved(qa_model, tmp_path / "x.pt", DAMAGES[message])
    with pytest.raises(UserError, match=rf"x.pt: .*\({message}\)"):
        LittleBird.from_pretrained(path)


def test_a_checkpoint_that_carries_a_tokenizer_alone(qa_model, tmp_path):
    with pytest.raises(UserError, match="no dict.txt in"):
        LittleBird.from_pretrained(saved(qa_model, tmp_path / "x.pt", without_dictionary))


def without_dictionary(state):
    del state["task_state"]["files"]["dict.txt"]
    state["cfg"]["task"]["data"] = "gone"


def test_a_classifier_of_fairseq_is_refused(qa_model, tiny, tmp_path):
    task = "sentence_prediction"
    path = saved(qa_model, tmp_path / "x.pt", lambda s: s["cfg"]["task"].update(_name=task))
    for tokenizer in (None, tiny / "tokenizer"):
        with pytest.raises(UserError, match=rf"x.pt: .*--task {task}"):
            LittleBird.from_pretrained(path, tokenizer=tokenizer)


def test_a_damaged_classifier(qa_model, tmp_path):
    path = saved(qa_model, tmp_path / "x.pt", lambda s: s["cfg"]["task"].update(_name="littlebird_sentence_prediction"))
    with pytest.raises(UserError, match="x.pt: damaged"):
        LittleBird.from_pretrained(path)


def test_a_tokenizer_of_another_vocabulary(qa_model, tmp_path):
    words = "[UNK] mara lindt studied the salt mine of oslo ##ed ##ing ##s".split()
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(UserError, match="vocab.txt: "):
        LittleBird.from_pretrained(qa_model, tokenizer=tmp_path / "vocab.txt")


def test_a_dictionary_in_another_order_is_refused(qa_model, tiny, tmp_path, capsys):
    shutil.copytree(tiny / "questions", tmp_path / "questions")
    lines = (tiny / "questions" / "dict.txt").read_text("utf-8").splitlines()
    (tmp_path / "questions" / "dict.txt").write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n", "utf-8")
    with pytest.raises(SystemExit):
        predict(
            [f"{tmp_path}/questions", "--path", f"{qa_model}", "--gen-subset", "valid", "--output", f"{tmp_path}/o"]
        )
    assert "dictionary differs from" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.answer(None, "A."), "question: .*NoneType"),
        (lambda m: m.answer("Who?", b"A."), "document: .*bytes"),
        (lambda m: m.answer({"Who?": 1}, "A."), "question: .*dict"),
        (lambda m: m.answer(["Who?", None], "A."), "question 1: .*NoneType"),
        (lambda m: m.answer("", "A."), "question: it is empty; write one$"),
        (lambda m: m.explain(" \n", "A."), "question: it is empty; write one$"),
        (lambda m: m.predict(["Who?", ""], "A."), "question 1: it is empty; write one$"),
        (lambda m: m.predict("Who?", ["A.", b"B."]), "document 1: .*bytes"),
        (lambda m: m.predict("Who?", 7), "document: .*int"),
        (lambda m: m.explain(float("nan"), "A."), "question: .*float"),
        (lambda m: m.encode(None), "text: .*NoneType"),
        (lambda m: m.encode([b"A."]), "text 0: .*bytes"),
        (lambda m: m.answer("Who?", "A.", top_k=-1), "top_k: .*-1"),
        (lambda m: m.answer("Who?", "A.", top_k=0), "top_k: .*0"),
        (lambda m: m.answer("Who?", "A.", top_k=2.5), "top_k: .*2.5"),
        (lambda m: m.answer("Who?", "A.", top_k="3"), 'top_k: .*"3"'),
        (lambda m: m.answer("Who?", "A.", null_threshold="0"), 'null_threshold: .*"0"'),
        (lambda m: m.predict("Who?", "A.", n_best=None), "n_best: .*null"),
        (lambda m: m.predict("Who?", "A.", max_answer_length=0), "max_answer_length: "),
    ],
)
def test_arguments_that_are_none_are_one_line(littlebird, call, says):
    with pytest.raises(UserError) as error:
        call(littlebird)
    assert re.match(says, str(error.value))


def test_texts_of_any_iterable_and_numbers_of_numpy(littlebird):
    one = littlebird.answer(["Who?"], ["Mara Lindt painted the bridge."], top_k=2)
    assert littlebird.answer(iter(["Who?"]), ("Mara Lindt painted the bridge.",), top_k=np.int64(2)) == one


def test_numbers_of_a_command_line(tiny, qa_model, tmp_path, capsys):
    words = [f"{tiny}/questions", "--path", f"{qa_model}", "--gen-subset", "valid", "--output", f"{tmp_path}/out"]
    for option, value in (("--num-workers", "-1"), ("--n-best", "0"), ("--max-tokens", "1.5")):
        with pytest.raises(SystemExit) as stop:
            predict([*words, option, value])
        last = capsys.readouterr().err.splitlines()[-1]
        assert stop.value.code == 2 and last.startswith(f"littlebird-predict: error: argument {option}: expected a")
        assert last.endswith(f"got '{value}'")
