"""What littlebird-export writes, read by transformers and onnxruntime alone, against the model of fairseq."""

from __future__ import annotations

import itertools
import json
import math
import os
import pydoc_data.topics
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from fairseq_littlebird.cli.export import main
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.model_folder import default_settings
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.export.model_card import model_card
from fairseq_littlebird.export.trained_model import trained_model
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask
from fairseq_littlebird.text.tokenizers import load_tokenizer

DOCUMENT = " ".join(["The stone bridge was painted by Mara Lindt in 1889.", "Nobody knew the night train."] * 9)
QUESTIONS = ["Who painted the bridge?", "What did nobody know?"]
READ = """
import json, sys
for name in ("fairseq", "fairseq_littlebird"):
    sys.modules[name] = None  # importing it is an error
import torch, transformers
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForQuestionAnswering, AutoTokenizer
transformers.utils.logging.disable_progress_bar()
document, questions, folders = json.loads(sys.argv[1])
found = {}
for folder in folders:
    words = folder.endswith("words")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    auto = AutoModelForMaskedLM if words else AutoModelForQuestionAnswering
    model = auto.from_pretrained(folder, trust_remote_code=True).eval()
    base = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    texts = ([document, questions[0]],) if words else (questions, [document, questions[0]])
    inputs = tokenizer(*texts, padding=True, return_tensors="pt")
    offsets = tokenizer(*texts, return_offsets_mapping=True)["offset_mapping"]
    with torch.no_grad():
        own = {"inputs": dict(inputs), "outputs": dict(model(**inputs)), "hidden": base(**inputs).last_hidden_state}
    if words:
        own["masked"] = tokenizer(f"a {tokenizer.mask_token}").input_ids.count(tokenizer.mask_token_id)
        labels = inputs["input_ids"]
        own["loss"] = model(**inputs, labels=labels).loss.item()
    else:
        own["answers"] = [model.answer(question, document) for question in questions]
        starts = torch.tensor([60, 0])
        model.train()
        loss = model(**inputs, start_positions=starts, end_positions=starts).loss
        loss.backward()
        own["loss"] = loss.item()
    own["offsets"] = [[tuple(pair) for pair in row] for row in offsets]
    found[folder] = own
torch.save(found, sys.argv[2])
"""


def refused(capsys, *words):
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, words)))
    assert exit_.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("littlebird-export: ")
    return error


@pytest.fixture
def read(tmp_path):
    """``read(folders)``: what a process without fairseq and without this package finds in exported folders."""

    def run(folders):
        output = tmp_path / "found.pt"
        arguments = json.dumps([DOCUMENT, QUESTIONS, list(map(str, folders))])
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-c", READ, arguments, output],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return torch.load(output)

    return run


MODERN = {"encoder_normalize_before": True, "gated_feed_forward": True, "bias_free": True}
HEADS = {
    "": {},
    "linear": {"context_type": True} | MODERN,
    "qass": {"word_embed_dim": 24},
    "independent": {"positions": "none"},
}


def best(candidates):
    """Characters of the most probable; there may be several, by a random model's rounding."""
    return [(c.start, c.end) for c in candidates if c.probability > candidates[0].probability * (1 - 1e-5)]


def all_follow_the_umask(folder):
    (folder.parent / "new").touch()
    wanted = (folder.parent / "new").stat().st_mode
    return {file.stat().st_mode for file in folder.iterdir() if file.is_file()} == {wanted}


def test_transformers_computes_what_fairseq_does(transformers, checkpoint, read, tmp_path):
    """Logits to 1e-5, hidden states, answers; every folder in one process."""
    models, out = {}, {}
    for head, options in HEADS.items():
        kind = "wordpiece" if head == "linear" else "unigram"
        models[head], folder = checkpoint(head, kind, **options)
        out[head] = tmp_path / f"out-{head or 'words'}"
        main(["hf", str(folder), str(out[head])])
    assert all(map(all_follow_the_umask, out.values()))
    for head, found in zip(HEADS, read(out.values()).values(), strict=True):
        trained = tmp_path / f"trained-{head or 'words'}"
        rows = trained_model(trained).tokenizer.dictionary_ids
        known = [n for n, row in enumerate(rows) if row is not None]
        ids, real = found["inputs"]["input_ids"], found["inputs"]["attention_mask"].bool()
        assert set(ids.flatten().tolist()) <= set(known) and not real.all()
        ours = torch.tensor([rows[n] if rows[n] is not None else 3 for n in range(len(rows))])[ids]
        close = {"rtol": 0, "atol": 1e-5}
        with torch.no_grad():
            if head == "":
                logits, _ = models[head](ours)
                order = torch.tensor([rows[n] for n in known])
                torch.testing.assert_close(found["outputs"]["logits"][real][:, known], logits[real][:, order], **close)
                hidden, _ = models[head](ours, features_only=True)
                assert found["masked"] == 1 and found["loss"] > 0
            else:
                inside = torch.stack([torch.arange(len(row)) > row.tolist().index(2) for row in ours]) & real
                inside &= ours != 2
                options = {"questions": torch.ones(2, 1, dtype=torch.int64)}
                options["context_starts"] = torch.tensor([row.tolist().index(2) + 1 for row in ours])
                hidden, extra = models[head](ours, features_only=True, **options)
                starts = extra["start_logits"][:, 0].masked_fill(~inside, -1e9).argmax(1, keepdim=True)
                _, extra = models[head](ours, features_only=True, starts=starts, **options)
                for name in ("start_logits", "end_logits"):
                    wanted = extra[name][:, 0][real]
                    torch.testing.assert_close(found["outputs"][name][real], wanted, **close)
                assert 0 < found["loss"] < 50
                task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(trained)), load_dictionary(trained))
                qa_model = LittleBird(models[head], task, load_tokenizer(trained))
                for answer, said in zip(found["answers"], qa_model.predict(QUESTIONS, DOCUMENT), strict=True):
                    assert (answer["start"], answer["end"]) in best(said.candidates)
                    assert answer["answer"] == DOCUMENT[answer["start"] : answer["end"]]
        torch.testing.assert_close(found["hidden"][real], hidden[real], **close)
        start = [row.index(2) + 1 for row in ours.tolist()][0] if head else 1
        own, places = load_tokenizer(trained).encode(DOCUMENT)
        assert [place for place, symbol in zip(found["offsets"][0][start:], own) if symbol != "▁"] == [  # noqa: B905
            place for place, symbol in zip(places, own, strict=True) if symbol != "▁"
        ]
        code = "".join(file.read_text() for file in out[head].glob("*.py"))
        assert "import fairseq" not in code and "from fairseq" not in code


def test_the_model_card(transformers, checkpoint, tmp_path, capsys):
    from huggingface_hub import ModelCard

    _, folder = checkpoint("qass")
    metrics, out = tmp_path / "metrics.json", tmp_path / "card"
    metrics.write_text('{"exact": 50.0, "f1": 62.5, "total": 8}')
    main(["hf", str(folder), str(out), "--metrics", str(metrics), "--dataset", "squad"])
    card = ModelCard.load(out / "README.md")
    assert card.data.pipeline_tag == "question-answering" and card.data.model_name == "card"
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {"exact": 50.0, "f1": 62.5, "total": 8}
    named = {(result.dataset_type, result.dataset_name) for result in card.data.eval_results}
    assert named == {("squad-format", "data in the format of squad (`--dataset squad`)")}  # perhaps a user's own
    assert "Fine-tuned on data in the format of squad" in card.content
    assert "add --overwrite" in refused(capsys, "hf", folder, out)
    main(["hf", str(folder), str(out), "--overwrite"])
    assert "  results: []" in (out / "README.md").read_text()
    for name in ("yes", "a: b", "한국 'x'"):
        card = ModelCard(model_card(name, "LittleBirdModel", "", [], {}, ""))
        assert card.data.model_name == name and card.data.eval_results == []
    metrics.write_text('{"exact": "high"}')
    assert f"{metrics}: " in refused(capsys, "hf", folder, tmp_path / "x", "--metrics", metrics, "--dataset", "squad")
    assert "belong together" in refused(capsys, "hf", folder, tmp_path / "x", "--metrics", metrics)


# words of one letter; characters that a tokenizer deletes, or composes; none at all
READ_BY_BOTH = [
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "the\u200f stone\u00ad\u200b bridge\ufeff of\u200e\u2060 stone\u200f. ",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8 Cafe\u0301\u200f the stone\u0301 x\u0301 the. ",
    "the \ud800 stone\udfff bridge \udc00",
    " ",
]


@pytest.mark.parametrize("dataset", ["squad", "triviaqa", "hotpotqa"])
@pytest.mark.parametrize("kind", ["unigram", "wordpiece"])
def test_answers_are_the_models(transformers, checkpoint, tmp_path, monkeypatch, dataset, kind):
    """Their characters, their probability and that of none, within the data set's words."""
    fewer = replace(DATASETS["hotpotqa"], max_answer_words=2)
    monkeypatch.setitem(DATASETS, "hotpotqa", fewer)
    model, folder = checkpoint("linear", kind)
    (folder / "prepared.json").write_text(default_settings(dataset))
    task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(folder)), load_dictionary(folder))
    qa_model = LittleBird(model, task, load_tokenizer(folder))
    main(["hf", str(folder), str(tmp_path / "out")])
    exported = trained_model(folder).model
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for document in READ_BY_BOTH:
        for question in ("Who painted the bridge?", "What\udead?"):
            [said] = qa_model.predict(question, document)
            found = exported.answer(question, document, tokenizer)
            if not said.candidates:
                assert found | {"no_answer": 1.0} == {
                    "answer": "",
                    "start": 0,
                    "end": 0,
                    "score": 0.0,
                    "no_answer": 1.0,
                }
                assert found["no_answer"] == 1 or document.strip()
                continue
            probability = said.candidates[0].probability
            assert (found["start"], found["end"]) in best(said.candidates)
            assert found["answer"] == document[found["start"] : found["end"]]
            assert found["score"] == pytest.approx(probability, rel=1e-3)
            assert found["no_answer"] == pytest.approx(math.exp(said.null_odds) * probability, rel=1e-3)
            assert (found["no_answer"] == 0) == (dataset == "triviaqa")
            assert dataset != "hotpotqa" or len(found["answer"].split()) <= 2


def test_answers_of_documents_of_several_windows(transformers, checkpoint, tmp_path):
    """``model.answer`` is ``LittleBird.answer``: the same spans and probabilities, however a document is cut."""
    model, folder = checkpoint("linear", "unigram")
    task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(folder)), load_dictionary(folder))
    main(["hf", str(folder), str(tmp_path / "out")])
    exported = trained_model(folder).model
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    documents = [pydoc_data.topics.topics[name] for name in ("assert", "lambda", "while")]
    for max_tokens, stride in ((96, None), (96, 32), (64, 59), (8192, None)):
        qa_model = LittleBird(model, task, load_tokenizer(folder), max_tokens, stride)
        for document, question in itertools.product(documents, ("What is it?", "How many expressions are evaluated?")):
            wanted = qa_model.answer(question, document, top_k=4)
            found = exported.answer(question, document, tokenizer, 4, max_tokens=max_tokens, stride=stride)
            assert [(a["start"], a["end"]) for a in found] == [(a.start, a.end) for a in wanted]
            assert [a["score"] for a in found] == pytest.approx([a.probability for a in wanted], rel=1e-3)
            assert all(a["answer"] == document[a["start"] : a["end"]] for a in found)
    long = " ".join(["stone"] * 90)
    assert exported.answer(long, documents[0], tokenizer, max_tokens=96)["no_answer"] == 1
    assert exported.answer(long, documents[0], tokenizer, top_k=2, max_tokens=96) == []
    assert exported.answer(long, documents[0], tokenizer, max_tokens=None)["answer"]


@pytest.mark.parametrize(
    ("question", "document", "says"),
    [
        (None, "A.", "question: expected a str, got NoneType; give text"),
        ("Who?", b"A.", "document: expected a str, got bytes; give text"),
        (["Who?"], "A.", "question: expected a str, got list; give text"),
        ("", "A.", "question: it is empty; write one"),
        (" \n", "A.", "question: it is empty; write one"),
    ],
)
def test_what_is_no_question_is_one_line(transformers, checkpoint, question, document, says):
    """As ``LittleBird.answer`` says it, which takes several questions, too."""
    _, folder = checkpoint("linear", "wordpiece")
    with pytest.raises(ValueError) as error:
        trained_model(folder).model.answer(question, document)
    assert str(error.value) == says


def test_windows_of_a_document_share_a_normaliser(transformers, checkpoint, tmp_path):
    """Cut by transformers' tokenizer, merged by the sums that the documentation gives: what our model finds."""
    model, folder = checkpoint("linear", "wordpiece")
    task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(folder)), load_dictionary(folder))
    qa_model = LittleBird(model, task, load_tokenizer(folder), max_tokens=96, stride=32)
    main(["hf", str(folder), str(tmp_path / "out")])
    exported = trained_model(folder).model
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for question in QUESTIONS:
        [said] = qa_model.predict(question, DOCUMENT)
        room = 96 - 4 - len(tokenizer(question, add_special_tokens=False).input_ids)
        cut = {"truncation": "only_second", "max_length": 96, "stride": room - 32, "return_overflowing_tokens": True}
        rows = tokenizer(question, DOCUMENT, **cut, padding=True, return_tensors="pt", return_offsets_mapping=True)
        places = rows.pop("offset_mapping")
        spans = exported.spans(rows.input_ids, rows.attention_mask)
        total = spans.log_normaliser.logsumexp(0)
        assert len({c.window for c in said.candidates}) > 1
        row = int(spans.scores[:, 0].argmax())
        found = int(places[row, spans.starts[row, 0], 0]), int(places[row, spans.ends[row, 0], 1])
        assert found in best(said.candidates)
        assert float((spans.scores[row, 0] - total).exp()) == pytest.approx(said.candidates[0].probability, rel=1e-3)
        none = math.exp(said.null_odds) * said.candidates[0].probability
        assert float((spans.null_score.logsumexp(0) - total).exp()) == pytest.approx(none, rel=1e-3)


def test_other_folders_are_not_replaced(transformers, checkpoint, tmp_path, capsys):
    _, folder = checkpoint()
    out = tmp_path / "other"
    for names, message in (
        (["setup.py", "package.json"], "holds something else"),
        (["README.md"], "another model or none"),
        (["config.json", "tokenizer.json"], "another model or none"),
    ):
        out.mkdir()
        for name in names:
            (out / name).write_text('{"model_type": "bert"}')
        for kind in ("hf", "onnx"):
            assert message in refused(capsys, kind, folder, out, "--overwrite") or names == ["README.md"]
        assert sorted(file.name for file in out.iterdir()) == sorted(names)
        shutil.rmtree(out)


def test_what_cannot_be_exported(transformers, checkpoint, tmp_path, capsys):
    _, folder = checkpoint("linear")
    file, out = folder / "checkpoint_best.pt", tmp_path / "out"

    def changed(change):
        content = torch.load(folder / "checkpoint_best.pt", weights_only=True)
        change(content)
        torch.save(content, tmp_path / "changed.pt")
        return refused(capsys, "hf", tmp_path / "changed.pt", out, "--tokenizer", folder)

    assert "a model of full_attention" in changed(lambda c: c["cfg"]["model"].update(_name="full_attention"))
    assert "not a checkpoint of this plugin" in changed(lambda c: c.pop("cfg"))
    assert "weights do not fit" in changed(lambda c: c["model"].pop("encoder.pack"))
    assert "a span head of another kind" in changed(lambda c: c["model"].pop("span_head.end.bias"))
    words = "encoder.embeddings.tokens.weight"
    assert "in its dict.txt" in changed(lambda c: c["model"].update({words: c["model"][words][:50]}))
    (tmp_path / "vocab.txt").write_text("[UNK]\nstone\nbridge\n##ing\n")
    wanted = f"{tmp_path}/vocab.txt: "
    assert wanted in refused(capsys, "hf", folder, out, "--tokenizer", tmp_path / "vocab.txt")
    (folder / "prepared.json").write_text("[]")
    assert "prepared.json is damaged" in refused(capsys, "hf", folder, out)
    (folder / "prepared.json").unlink()
    (folder / "sentencepiece.model").rename(tmp_path / "kept.model")
    assert "add --tokenizer FILE or FOLDER" in refused(capsys, "hf", file, out)
    main(["hf", str(file), str(out), "--tokenizer", str(tmp_path / "kept.model")])
    assert (out / "model.safetensors").exists()


def on_the_left(tensor, mask):
    """Each sequence with its padding before it."""
    return torch.stack([torch.cat([row[m == 0], row[m == 1]]) for row, m in zip(tensor, mask, strict=True)])


@pytest.mark.parametrize("positions", ["bialibi", "learned"])
def test_padding_on_the_left_is_as_good_as_on_the_right(transformers, checkpoint, positions):
    """Blocks, the global one, distances and learned positions count from the first token."""
    _, folder = checkpoint("qass", "wordpiece", context_type=True, positions=positions, max_positions=256)
    trained = trained_model(folder)
    model, L = trained.model, 90
    config = model.config
    tokens = torch.randint(10, len(trained.tokenizer.dictionary_ids), (3, L))
    tokens[:, 1], tokens[:, 8] = config.question_token_id, config.sep_token_id
    mask = (torch.arange(L) < torch.tensor([L, 50, 17])[:, None]).long()
    tokens[mask == 0] = config.pad_token_id
    types = (torch.arange(L) > 8).long() * mask
    gaps = torch.randint(1, 3, (3, L)).cumsum(1)
    starts = torch.tensor([12, 0, 11])
    given = [dict(attention_mask=mask, token_type_ids=types), dict(token_type_ids=types)]
    given += [dict(attention_mask=mask, token_type_ids=types, position_ids=gaps)]
    for inputs in given:
        right = model(tokens, **inputs, start_positions=starts, end_positions=starts, output_hidden_states=True)
        inputs = {name: on_the_left(tensor, mask) for name, tensor in inputs.items()}
        moved = starts + (L - mask.sum(1))
        left = model(
            on_the_left(tokens, mask), **inputs, start_positions=moved, end_positions=moved, output_hidden_states=True
        )
        real = on_the_left(mask, mask) == 1
        close = {"rtol": 0, "atol": 1e-5}
        for name in ("start_logits", "end_logits"):
            torch.testing.assert_close(left[name][real], right[name][mask == 1], **close)
        for one, other in zip(left.hidden_states, right.hidden_states, strict=True):
            torch.testing.assert_close(one[real], other[mask == 1], **close)
    torch.testing.assert_close(left.loss, right.loss)


@pytest.mark.slow
def test_onnx_of_any_size(transformers, checkpoint, tmp_path, capsys):
    """Odd lengths and other batches than the traced one, with padding; linear in the length."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    trained, folder = checkpoint("linear", "wordpiece", context_type=True)
    task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(folder)), load_dictionary(folder))
    qa_model = LittleBird(trained, task, load_tokenizer(folder))
    out = tmp_path / "onnx"
    main(["onnx", str(folder), str(out)])
    assert all_follow_the_umask(out)
    assert "as model.onnx" in capsys.readouterr().out
    assert {file.name for file in out.iterdir()} == {
        "model.onnx",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    model = trained_model(folder).model
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    assert [node.name for node in session.get_inputs()] == names
    outputs = [node.name for node in session.get_outputs()]
    assert outputs == [
        "start_logits", "end_logits", "span_starts", "span_ends", "span_scores", "null_score", "log_normaliser"
    ]  # fmt: skip
    # a question and a document: the answer of the model of fairseq, its probability and that of none
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    for question in QUESTIONS:
        encoded = tokenizer(question, DOCUMENT, return_offsets_mapping=True, return_tensors="np")
        (places,) = encoded.pop("offset_mapping").tolist()
        found = dict(zip(outputs, session.run(None, dict(encoded)), strict=True))
        [said] = qa_model.predict(question, DOCUMENT)
        place = places[found["span_starts"][0, 0]][0], places[found["span_ends"][0, 0]][1]
        assert place in best(said.candidates)
        scores = [found["span_scores"][0, 0], found["null_score"][0]] - found["log_normaliser"]
        none = math.exp(said.null_odds) * said.candidates[0].probability
        assert list(map(math.exp, scores)) == pytest.approx([said.candidates[0].probability, none], rel=1e-3)
    for B, L in ((1, 1), (3, 37), (2, 300), (1, 1000), (2, 2500)):  # rows without a context, too
        tokens = torch.randint(len(trained_model(folder).tokenizer.dictionary_ids), (B, L))
        mask = (torch.arange(L) < L - torch.arange(B)[:, None] * (L // 3)).long()
        tokens[:, [min(5, L - 1), min(12, L - 1)]] = model.config.sep_token_id
        types = (torch.arange(L) > L // 4).long().expand(B, L)
        with torch.no_grad():
            wanted = model(tokens, mask, types)
        inputs = dict(zip(names, (tokens.numpy(), mask.numpy(), types.numpy()), strict=True))
        found = dict(zip(outputs, map(torch.from_numpy, session.run(None, inputs)), strict=True))
        close = {"rtol": 0, "atol": 1e-4}
        for name in outputs[:2]:
            torch.testing.assert_close(found[name][mask == 1], wanted[name][mask == 1], **close)
        spans = model.spans(tokens, mask, types)
        torch.testing.assert_close([found[name] for name in outputs[4:]], list(spans[2:]), **close)
        left = [on_the_left(tensor, mask) for tensor in (tokens, mask, types)]
        inputs = dict(zip(names, (tensor.numpy() for tensor in left), strict=True))
        answerable = model.context(tokens, mask).any(dim=1)  # without a context there is no best start
        for name, logits in zip(outputs[:2], session.run(outputs[:2], inputs), strict=True):
            for row in range(B):
                if answerable[row] or name == "start_logits":
                    one, other = torch.from_numpy(logits)[row][left[1][row] == 1], wanted[name][row][mask[row] == 1]
                    torch.testing.assert_close(one, other, **close)
        for one, other in zip(session.run(outputs[4:], inputs), spans[2:], strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, **close)
        moved = model.spans(*left)
        torch.testing.assert_close(list(moved[2:]), list(spans[2:]), **close)
        assert torch.equal(
            moved.starts[spans.scores > -math.inf],
            (spans.starts + (mask == 0).sum(1)[:, None])[spans.scores > -math.inf],
        )
    _, learned = checkpoint("qass", positions="learned", max_positions=64)
    assert "learned positions" in refused(capsys, "onnx", learned, tmp_path / "x")


def test_tokens_are_added_to_a_masked_language_model(tmp_path):
    pytest.importorskip("transformers")
    from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig
    from fairseq_littlebird.export.modeling_littlebird import LittleBirdForMaskedLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(0)
    model = LittleBirdForMaskedLM(LittleBirdConfig(vocab_size=30, **sizes, pack_size=4, block_size=8)).eval()
    torch.nn.init.normal_(model.lm_head.bias)
    tokens = torch.randint(4, 30, (2, 11))
    before = model(tokens).logits
    model.resize_token_embeddings(33, mean_resizing=False)
    after = model(tokens).logits
    assert after.shape == (2, 11, 33)
    torch.testing.assert_close(after[..., :30], before)
    model.save_pretrained(tmp_path)
    again = LittleBirdForMaskedLM.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(tokens).logits, after)
    model.resize_token_embeddings(30)
    torch.testing.assert_close(model(tokens).logits, before)
