"""What the data sets with paragraphs, segments and answer types have in a prepared folder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.preparation import prepare_questions
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.text.tokenizers import dictionary_text, load_tokenizer
from fairseq_littlebird.text.training import train_sentencepiece

KINDS = ["null", "yes", "no", "short", "long"]
SENTENCES = [f"Owl {n} lives in tree {n} and eats mouse {n} ." for n in range(12)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer, and its dict.txt."""
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "text.txt").write_text("\n".join(SENTENCES * 4), encoding="utf-8")
    train_sentencepiece([folder / "text.txt"], 300, folder / "sentencepiece.model", "bpe", byte_fallback=True)
    made = load_tokenizer(folder / "sentencepiece.model")
    (folder / "dict.txt").write_text(dictionary_text(made), encoding="utf-8")
    return made, folder / "dict.txt"


@pytest.fixture
def prepare(tokenizer, tmp_path):
    """``prepare(dataset, content, …)``: the content of a file as a training split."""

    def prepare(dataset, content, **options):
        (tmp_path / "file").write_text(content, encoding="utf-8")
        files = {"train": [tmp_path / "file"]}
        return tmp_path / "out", prepare_questions(dataset, files, *tokenizer, tmp_path / "out", **options)["train"]

    return prepare


def hotpotqa(answer, facts):
    context = [[f"T{n}", SENTENCES[4 * n : 4 * n + 4]] for n in range(3)]
    record = {"_id": "a", "question": "who?", "answer": answer, "supporting_facts": facts, "context": context}
    return json.dumps([record])


def test_virtual_paddings_stand_between_paragraphs(prepare, tokenizer):
    """Positions alone skip 32; the tokens lie side by side, a separator between paragraphs."""
    folder, _ = prepare("hotpotqa", hotpotqa("mouse 3", [["T0", 3]]))
    separator = load_dictionary(folder).eos()
    window = PreparedQuestions(folder, "train").window(0)
    context = slice(window.context_start, window.context_start + len(window.offsets))
    breaks = np.flatnonzero(window.tokens[context] == separator) + window.context_start
    steps = np.diff(window.positions)
    assert len(breaks) == 2 and (steps[breaks] == 33).all()
    assert (np.delete(steps, breaks) == 1).all() and window.positions[0] == 0
    assert (PreparedQuestions(folder, "train", gap=5).window(0).positions == window.positions).sum() == breaks[0] + 1
    assert PreparedQuestions(folder, "train", gap=0).window(0).positions is None
    data = QuestionAnsweringDataset(PreparedQuestions(folder, "train"), 1, training=True)
    assert (data.collater([data[0]])["net_input"]["positions"].numpy() == window.positions).all()


def test_no_virtual_paddings_between_candidates(prepare, tokenizer):
    """The first paragraph stands where its tokens do, the second 32 positions after its own."""
    candidates = [f"tree {n}" for n in range(11)]
    record = {
        "id": "a", "query": "lives_in owl 3", "answer": "tree 3", "candidates": candidates, "supports": SENTENCES[3:6],
    }  # fmt: skip
    folder, _ = prepare("wikihop", json.dumps([record]))
    window = PreparedQuestions(folder, "train").window(0)
    first = window.segments[-1, 1] + 2
    stops = [
        window.context_start + n for n in np.flatnonzero(window.tokens[window.context_start :] == window.tokens[-1])
    ]
    assert len(stops) == 11 + 3 and stops[10] == first - 1
    assert (window.positions[: stops[11] + 1] == np.arange(stops[11] + 1)).all()
    assert window.positions[stops[11] + 1] == stops[11] + 1 + 32
    assert window.positions[stops[12] + 1] == stops[12] + 1 + 64
    assert len(window.tokens) == window.positions[-1] + 1 - 64


def test_a_last_paragraph_without_a_token_is_nothing(prepare):
    """One of a zero-width space alone, of which tokenizers make nothing."""
    record = {"id": "a", "query": "lives_in owl 3", "answer": "tree 3", "candidates": ["tree 3", "tree 4"]}
    whole = []
    for supports in (SENTENCES[3:5], [*SENTENCES[3:5], "\u200b"]):
        folder, _ = prepare("wikihop", json.dumps([record | {"supports": supports}]), overwrite=True)
        whole.append(PreparedQuestions(folder, "train").window(0))
    assert whole[1].tokens.tolist() == [*whole[0].tokens.tolist(), whole[0].tokens[-1]]
    assert whole[1].segments.tolist() == whole[0].segments.tolist()


def test_sentences_are_evidence(prepare):
    folder, summary = prepare("hotpotqa", hotpotqa("yes", [["T0", 3], ["T2", 0]]))
    questions = PreparedQuestions(folder, "train")
    window, (example, _) = questions.window(0), questions.example(0)
    for (first, last), identity in zip(window.segments, window.segment_ids, strict=True):
        start, end = window.offsets[first - window.context_start, 0], window.offsets[last - window.context_start, 1]
        assert example.document[start:end].strip() == SENTENCES[identity]
    assert np.flatnonzero(window.gold_segments).tolist() == [3, 8] and window.spans == []
    assert (window.answer_type, summary["unanswerable"]) == (1, 0)


def test_windows_with_evidence_are_those_to_train_on_where_there_is_no_span(prepare):
    folder, summary = prepare("hotpotqa", hotpotqa("no", [["T2", 3]]), max_tokens=96, stride=30)
    questions = PreparedQuestions(folder, "train")
    held = [bool(questions.window(w).gold_segments.any()) for w in range(questions.num_windows)]
    assert questions.window_answered(0, questions.num_windows).tolist() == held
    assert 0 < sum(held) == summary["answered_windows"] < len(held)
    data = QuestionAnsweringDataset(questions, 1, training=True)
    for epoch in range(1, 6):
        data.set_epoch(epoch)
        assert data[0]["windows"][0].gold_segments.any()


def natural_question(short=None, long=-1, yes_no="NONE"):
    tokens = " ".join(SENTENCES).split(" ")
    size = len(SENTENCES[0].split(" "))
    nothing = {"start_token": -1, "end_token": -1}
    candidates = [{"start_token": size * n, "end_token": size * (n + 1)} for n in range(len(SENTENCES))]
    annotation = {
        "long_answer": (candidates[long] if long >= 0 else nothing) | {"candidate_index": long},
        "short_answers": [] if short is None else [short],
        "yes_no_answer": yes_no,
    }
    record = {
        "example_id": 1,
        "question_text": "who ?",
        "document_text": " ".join(tokens),
        "long_answer_candidates": candidates,
        "annotations": [annotation],
    }
    return json.dumps(record) + "\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (natural_question(), "null"),
        (natural_question(long=5), "long"),
        (natural_question(long=5, yes_no="YES"), "yes"),
        (natural_question({"start_token": 52, "end_token": 54}, long=5), "short"),
    ],
)
def test_windows_without_the_answer_are_null(prepare, content, kind):
    folder, summary = prepare("natural_questions", content, max_tokens=64, stride=30)
    questions = PreparedQuestions(folder, "train")
    windows = [questions.window(w) for w in range(questions.num_windows)]
    answered = [bool(w.spans) or bool(w.gold_segments.any()) for w in windows]
    assert [KINDS[w.answer_type] for w in windows] == [kind if here else "null" for here in answered]
    assert any(answered) == (kind != "null") and not all(answered)
    assert summary["unanswerable"] == (kind == "null")
    for window in windows:
        if kind == "short" and window.spans:
            assert window.gold_segments.sum() <= 1


def test_a_long_answer_that_fits_no_window_is_dropped(prepare):
    record = json.loads(natural_question(long=0))
    whole = {"start_token": 0, "end_token": len(record["document_text"].split(" "))}
    record["long_answer_candidates"][0] = whole
    lines = json.dumps(record) + "\n" + json.dumps(json.loads(natural_question()) | {"example_id": 2}) + "\n"
    _, summary = prepare("natural_questions", lines, max_tokens=64, stride=30)
    assert summary["dropped"] == {"answer in no window": 1} and summary["kept"] == 1


def test_batches_have_room_for_segments_if_only_other_batches_need_it(prepare):
    """A head that some batches leave out would be an unused parameter there."""
    record = json.loads(natural_question()) | {"long_answer_candidates": []}
    folder, _ = prepare("natural_questions", json.dumps(record))
    data = QuestionAnsweringDataset(PreparedQuestions(folder, "train"), 1, training=True, segments_and_types=True)
    batch = data.collater([data[0]])
    assert batch["net_input"]["segments"].shape == (1, 0, 2) and batch["target"]["segments"].shape == (1, 0)
    assert batch["target"]["answer_types"].tolist() == [KINDS.index("null")]
