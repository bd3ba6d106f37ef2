"""Looking inside a trained question-answering model: explanations, pages, and the commands of docs/inside.md."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fairseq_littlebird import LittleBird
from fairseq_littlebird.attention import dense_unpack_window_attention
from fairseq_littlebird.cli import benchmark, warm_start
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.merging import Candidate
from fairseq_littlebird.models import BigBirdModel, BigBirdModelConfig, FullAttentionModel, FullAttentionModelConfig
from fairseq_littlebird.pipelines import question_answering
from fairseq_littlebird.pipelines.attribution import explain
from fairseq_littlebird.pipelines.loading import load_trained
from fairseq_littlebird.text.example import QAExample

DOCS = Path(__file__).resolve().parents[2] / "docs" / "inside.md"


@pytest.fixture(scope="module")
def questions(tiny):
    prepared = PreparedQuestions(tiny / "questions", "valid")
    return [prepared.example(i)[0] for i in range(len(prepared))]


@pytest.fixture(scope="module")
def littlebird(qa_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    shutil.copyfile(qa_model, folder / "checkpoint_last.pt")
    return LittleBird.from_pretrained(folder, max_tokens=64, stride=24)


@torch.inference_mode()
def by_brute_force(qa_model, window, first, last):
    """Each layer's whole matrix, a query and a head at a time: ways, and float[L] by token, the pack included."""
    tokens, config = torch.from_numpy(window.tokens)[None], qa_model.model.encoder.config
    starts = torch.tensor([window.context_start])
    _, extra = qa_model.model(tokens, context_starts=starts, features_only=True, return_attention_internals=True)
    S, L, b = config.pack_size, len(window.tokens), config.block_size
    layers, reached = [], np.zeros(L)
    for layer, internals in zip(qa_model.model.encoder.layers, extra["attention_internals"], strict=True):
        qkv = (
            internals.q,
            internals.k,
            torch.zeros_like(internals.k),
            internals.pack_k,
            torch.zeros_like(internals.pack_k),
        )
        _, probabilities = dense_unpack_window_attention(*qkv, layer.attention.slopes, None, None, b)
        scale = internals.q.shape[-1] ** -0.5
        a_pack = (internals.pack_q @ internals.pack_x_k.transpose(2, 3) * scale).softmax(-1)[0].numpy()
        ways = dict.fromkeys(("own", "sinks", "global", "window", "pack"), 0.0)
        count = (last - first + 1) * config.heads
        for h in range(config.heads):
            for i in range(first, last + 1):
                row = probabilities[0, h, i].double().numpy() / count
                ways["pack"] += row[:S].sum()
                reached += row[:S] @ a_pack[h] + row[S:]
                for j in range(L):
                    own, sink = first <= j <= last, window.tokens[j] in window.tokens[[0, 1, -1]]
                    ways["own" if own else "sinks" if sink else "global" if j < b else "window"] += row[S + j]
        layers.append(ways)
    return layers, reached / len(layers)


def check(littlebird, question, document, n_best=20):
    """The explanation of the best answer against the construction; the number of its window."""
    [said] = littlebird.predict(question, document, n_best=n_best, explained=True)
    found, best = said.explanation, said.candidates[0]
    assert (found.answer.text, found.answer.start, found.answer.end) == (best.text, best.start, best.end)
    assert found.window == best.window
    window = littlebird.dataset([QAExample("0", question, document)]).prepared.window(best.window)
    places = window.offsets.tolist()
    inside = [n for n, (a, z) in enumerate(places) if set(range(a, z)) & set(range(best.start, best.end))]
    first, last = window.context_start + inside[0], window.context_start + inside[-1]
    layers, reached = by_brute_force(littlebird, window, first, last)
    for shares, wanted in zip(found.layers, layers, strict=True):
        assert shares == pytest.approx(wanted, abs=1e-5) and sum(shares.values()) == pytest.approx(1, abs=1e-5)
    context = slice(window.context_start, window.context_start + len(places))
    np.testing.assert_allclose(found.weights, reached[context], atol=1e-6)
    np.testing.assert_array_equal(found.offsets, window.offsets)
    assert all(p.text == document[p.start : p.end] != "" for p in found.passages)
    return best.window


def test_an_explanation_equals_the_construction(littlebird, questions):
    """With one window and with several."""
    for example in questions[:4]:
        check(littlebird, example.question, example.document)
        assert check(littlebird, example.question, example.document[:100]) == 0


def test_the_window_that_gave_the_answer(littlebird, questions, monkeypatch):
    """Whichever it was: here the last one is made to give it."""

    def last_first(*arguments):
        found = merge_batch(*arguments)
        return [replace(p, candidates=tuple(sorted(p.candidates, key=lambda c: -c.window))) for p in found]

    merge_batch = question_answering.merge_batch
    monkeypatch.setattr(question_answering, "merge_batch", last_first)
    numbers = [check(littlebird, q.question, q.document, n_best=200) for q in questions[:3]]
    assert min(numbers) > 0
    assert littlebird.explain(questions[0].question, questions[0].document).window > 0


def test_explanations_of_several_and_of_nothing(littlebird, questions):
    one, other = questions[0], questions[-1]
    found = littlebird.explain([one.question, other.question, "Who?"], [one.document, other.document, ""])
    assert [f and f.answer.text for f in found] == [
        littlebird.answer(q.question, q.document, top_k=1)[0].text for q in (one, other)
    ] + [None]


def test_other_architectures(littlebird):
    sizes = {"encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 48, "encoder_attention_heads": 2}

    def qa_model_of(kind, cfg):
        model = kind.build_model(
            OmegaConf.structured(cfg), SimpleNamespace(source_dictionary=littlebird.task.dictionary)
        )
        model.register_span_head("linear")
        return LittleBird(model.eval(), littlebird.task, littlebird.tokenizer, max_tokens=64, stride=24)

    full = qa_model_of(FullAttentionModel, FullAttentionModelConfig(**sizes, max_positions=80))
    found = full.explain("Who founded the school?", "Greta Holm founded the school of Oslo. " * 5)
    assert set(found.attribution) == {"own", "sinks", "elsewhere"} and found.pack_vectors == ()
    assert sum(found.attribution.values()) == pytest.approx(1, abs=1e-5) and (found.through_pack == 0).all()
    bigbird = qa_model_of(BigBirdModel, BigBirdModelConfig(**sizes, block_size=8, max_positions=80))
    with pytest.raises(UserError, match="attention of BigBird-ITC goes is not known; take a model of LittleBird"):
        bigbird.explain("Who?", "Greta Holm founded the school of Oslo.")


def test_less_precision(qa_model, tiny):
    """The answer's way, of a model in half precision and of an int8 one."""
    found = {}
    for precision in ("float32", "bfloat16", "int8"):
        model, task = load_trained(qa_model, tiny / "questions", "cpu", precision)
        task.load_dataset("valid")
        item = task.dataset("valid")[0]
        start, end = item["windows"][0].offsets[[3, 6], [0, 1]].tolist()
        answer = Candidate("", start, end, 1.0, 0)
        found[precision] = explain(model, item["example"].document, item["windows"][0], answer).attribution
    for precision in ("bfloat16", "int8"):
        assert found[precision] == pytest.approx(found["float32"], abs=0.05)


def shell_lines():
    """The commands of the page's shell blocks, as a shell would read them."""
    for block in re.findall(r"```sh\n(.*?)```", DOCS.read_text("utf-8"), flags=re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def test_commands_of_the_page(qa_model, teacher, tiny, tmp_path, monkeypatch, capsys):
    """Each as it stands, in a folder that has what it names; lengths are these small models'."""
    monkeypatch.chdir(tmp_path)
    Path("quickstart/qa-model").mkdir(parents=True)
    for name, target in (("quickstart/qa-8k", "questions"), ("text-bin", "text")):
        Path(name).symlink_to(tiny / target)
    shutil.copyfile(qa_model, "quickstart/qa-model/checkpoint_best.pt")
    Path("page.txt").write_text("Greta Holm founded the school of Oslo. " * 3)
    shutil.copytree(tiny / "tokenizer", "MODEL")
    shutil.copyfile(teacher("littlebird_masked_lm"), "MODEL/checkpoint.pt")
    small = {
        "predict": ["--gen-subset", "valid", "--device", "cpu"],
        "heatmap": "--sequences 2 --teacher-length 64 --student-length 128 --heads mean 3.1".split(),
    }
    commands = list(shell_lines())
    assert [words[0] for words in commands] == [
        "littlebird-predict",
        *["littlebird-warm-start"] * 2,
        "littlebird-benchmark",
    ]
    for program, *words in commands:
        if program == "littlebird-predict":
            predict([*words, *small["predict"]])
        elif program == "littlebird-warm-start":
            warm_start.main([word.replace("MODEL", "MODEL/checkpoint.pt") for word in words])
        else:
            benchmark.main([*words, *small["heatmap"]])
    index = Path("answers/html/index.html").read_text("utf-8")
    pages = re.findall(r'href="([^"]*)"', index)
    examples = len(PreparedQuestions(tiny / "questions", "valid"))
    assert len({page.split("#")[0] for page in pages}) == examples == len(list(Path("answers/html").iterdir())) - 1
    assert "Attention of the answer along the document" in Path("answers/html", pages[0]).read_text("utf-8")
    assert Path("figure4.png").read_bytes().startswith(b"\x89PNG")
    assert "5 heads or means over heads, 2 sequences per model" in capsys.readouterr().out
    block = re.search(r"```python\n(.*?)```", DOCS.read_text("utf-8"), flags=re.S)[1]
    names = {}
    exec(block, names)
    table = re.findall(
        r"^\| `(\w+)`(?:, `(\w+)`, `(\w+)`)? \|", DOCS.read_text("utf-8").split("| share |")[0], flags=re.M
    )
    assert {name for row in table for name in row if name} == set(vars(names["explanation"]))
    assert set(re.findall(r"^\| `(\w+)`", DOCS.read_text("utf-8").split("| share |")[1], flags=re.M)) == set(
        names["explanation"].attribution
    )
    # other pages of an earlier call are replaced, those of others are not
    again = ["quickstart/qa-8k", "--path", f"{qa_model}", "--output", "answers", *small["predict"]]
    predict([*again, "--overwrite"])
    assert not Path("answers/html").exists()
