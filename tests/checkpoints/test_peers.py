"""BigBird and Longformer from folders of transformers, and questions: hidden states and logits are its own."""

from __future__ import annotations

import json

import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.cli.warm_start import TARGETS, main
from fairseq_littlebird.tasks.prediction import load_trained

TOLERANCE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture
def converted(hugging_face, tmp_path):
    """``converted(name, to, *more)``: transformers' model, its folder, and the folder that the warm start wrote."""

    def convert(name, to, *more):
        theirs, folder = hugging_face(name)
        main(["--from", str(folder), "--out", str(tmp_path / to), "--to", to, *more])
        return theirs, folder, tmp_path / to

    return convert


def load(out):
    [model], _, _ = checkpoint_utils.load_model_ensemble_and_task([str(out / "checkpoint.pt")])
    return model.eval()


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize(
    "name", ["ElectraForMaskedLM", "RobertaForMaskedLM", "BigBirdForPreTraining", "LongformerForMaskedLM"]
)
def test_every_source_becomes_every_model(converted, to, name):
    """The checkpoint holds the model's parameters, and no others."""
    _, _, out = converted(name, to)
    state = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    model = load(out)
    assert {key: value.shape for key, value in state.items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


# questions


@pytest.fixture(scope="module")
def questions(tmp_path_factory, texts):
    """Questions in the format of SQuAD, to texts of several lengths, each short enough for one window."""
    contexts = [" ".join(texts), texts[1], f"{texts[0]} The train!"]
    paragraphs = [
        {"context": context, "qas": [{"id": f"{n}", "question": f"{ask} bridge?", "answers": [
            {"text": "train", "answer_start": context.index("train")}]}]}
        for n, (context, ask) in enumerate(zip(contexts, ("Who painted the stone", "What", "Nobody of the river"),
                                               strict=True))
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("questions") / "valid.json"
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]}))
    return path


def logits_of(name, theirs, tokens, start):
    """Start and end logits of transformers for one row.

    Args:
        tokens: <int64>[L].
        start: where the context begins.
    """
    more = {}
    if name.startswith("Bert"):
        more["token_type_ids"] = (torch.arange(len(tokens)) >= start).long()[None]
    if name.startswith("Longformer"):
        more["global_attention_mask"] = (torch.arange(len(tokens)) < start - 1).long()[None]
    with torch.no_grad():
        output = theirs(tokens[None], **more)
    return output.start_logits[0], output.end_logits[0]


@pytest.mark.parametrize(
    "name, to",
    [
        ("BertForQuestionAnswering", "full"),
        ("RobertaForQuestionAnswering", "full"),
        ("BigBirdForQuestionAnswering", "bigbird_itc"),
        ("LongformerForQuestionAnswering", "longformer"),
    ],
)
def test_a_reader_answers_at_once(converted, their_numbers, questions, name, to, tmp_path):
    """As transformers does with the same tokens, one question at a time; [QUESTION] is its <mask>."""
    theirs, folder, out = converted(name, to)
    prepare(["qa", "--dataset", "squad", "--valid", str(questions), "--tokenizer", str(out), "--dict",
             f"{out}/dict.txt", "--max-tokens", "150", "--stride", "100", "--destdir", f"{tmp_path}/data"])  # fmt: skip
    model, task = load_trained(out / "checkpoint.pt", tmp_path / "data", "cpu")
    task.load_dataset("valid")
    dataset, numbers = task.dataset("valid"), their_numbers(folder)
    numbers["[QUESTION]"] = numbers["<mask>"]
    batch = dataset.collater([dataset[n] for n in range(len(dataset))])
    inputs, wanted_answers = batch["net_input"], {}
    assert len(inputs["src_tokens"]) == 3  # a window each
    with torch.no_grad():
        _, extra = model(**inputs)
    for row, length in enumerate(inputs["src_lengths"].tolist()):
        tokens, allowed = inputs["src_tokens"][row, :length], batch["selectable"][row, :length]
        number = torch.tensor([numbers[task.source_dictionary[token]] for token in tokens])
        start = int(inputs["context_starts"][row])
        wanted = logits_of(name, theirs, number, start)
        for ours, logits in zip((extra["start_logits"], extra["end_logits"]), wanted, strict=True):
            torch.testing.assert_close(ours[row, 0, :length][allowed], logits[allowed], **TOLERANCE)

        window, context = batch["windows"][row][0], batch["examples"][row].document
        first, last = start, start + len(window.offsets)
        score = (wanted[0][first:last, None] + wanted[1][first:last]).triu()
        score = score.masked_fill(~torch.ones_like(score).triu().tril(29).bool(), -torch.inf)
        begin, end = divmod(int(score.argmax()), last - first)
        wanted_answers[batch["examples"][row].id] = context[window.offsets[begin][0] : window.offsets[end][1]]
    predict([f"{tmp_path}/data", "--path", f"{out}/checkpoint.pt", "--gen-subset", "valid", "--output",
             f"{tmp_path}/answers", "--device", "cpu"])  # fmt: skip
    assert json.loads((tmp_path / "answers" / "predictions.json").read_text()) == wanted_answers
