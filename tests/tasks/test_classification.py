"""Classification as a user runs it: prepared, trained, predicted and scored."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path

import pytest
import torch
from helpers.classification import CLASSIFICATION, SIZES, WORDS, exported, exported_graph, text, train, write

import fairseq_littlebird
from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.pipelines.loading import load_trained
from fairseq_littlebird.pipelines.text_attribution import explained_classifications, gradients

PACKAGE = Path(fairseq_littlebird.__file__).parent


@pytest.fixture(scope="module")
def documents(tiny, tmp_path_factory):
    """Folders ``one/`` with labels and ``several/`` with sets of them, of pairs; and their JSON lines."""
    rng, folder = random.Random(0), tmp_path_factory.mktemp("documents")
    for kind in ("one", "several"):
        arguments = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--max-tokens", "64"]
        for split, count in (("train", 80), ("valid", 21), ("test", 9)):
            records = []
            for n in range(count):
                labels = [label for label in WORDS if rng.random() < 0.4] if kind == "several" else [[*WORDS][n % 3]]
                record = {"id": f"{split} {n}", "text": text(rng, labels)}
                own = {"labels": labels, "text2": text(rng, labels)} if kind == "several" else {"label": labels[0]}
                records.append(record | own)
            arguments += [f"--{split}", str(write(folder / f"{kind}.{split}.jsonl", records))]
        prepare(["classification", *arguments, "--destdir", f"{folder / kind}"])
    return folder


@pytest.fixture(scope="module")
def classifiers(fairseq, documents, tmp_path_factory):
    """Kind -> a trained checkpoint, and what the training printed."""
    folder = tmp_path_factory.mktemp("classifiers")
    weights = {"one": "1,1,2", "several": "8"}
    runs = {
        kind: train(fairseq, documents / kind, folder / kind, *CLASSIFICATION, "--class-weights", weights[kind])
        for kind in weights
    }
    return {kind: (folder / kind / "checkpoint_last.pt", done) for kind, done in runs.items()}


def scored(capsys, gold, predictions):
    capsys.readouterr()
    evaluate(["--dataset", "classification", "--gold", f"{gold}", "--predictions", f"{predictions}", "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


@pytest.mark.parametrize("kind", ["one", "several"])
def test_predictions_score_what_validation_logs(classifiers, documents, logged, tmp_path, capsys, kind):
    checkpoint, done = classifiers[kind]
    common = [f"{documents / kind}", "--path", f"{checkpoint}", "--device", "cpu"]
    predict([*common, "--gen-subset", "valid", "--output", f"{tmp_path / 'out'}"])
    scores = scored(capsys, documents / kind / "valid.gold.json", tmp_path / "out" / "predictions.json")
    record = logged(done, "valid")[-1]
    for name in ("accuracy", "micro_f1", "macro_f1"):
        assert float(record[f"valid_{name}"]) == pytest.approx(100 * scores[name], abs=0.01)
    assert scores["macro_auroc"] > 0.6  # it has learned something
    predictions = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert list(predictions) == [f"valid {n}" for n in range(21)]  # the file's order
    key = {"one": "label", "several": "labels"}[kind]
    for one in predictions.values():
        assert one.keys() == {key, "probabilities"} and list(one["probabilities"]) == sorted(WORDS)
        if kind == "one":
            assert sum(one["probabilities"].values()) == pytest.approx(1)
    more = ["--max-tokens", "64", "--output", f"{tmp_path / 'alone'}", "--threshold", "0"]
    predict([*common, "--gen-subset", "valid", *more])
    alone = json.loads((tmp_path / "alone" / "predictions.json").read_text("utf-8"))
    for name, one in alone.items():
        assert one["probabilities"] == pytest.approx(predictions[name]["probabilities"], abs=1e-4)
        assert one[key] == (sorted(WORDS) if kind == "several" else predictions[name][key])


def test_texts_without_labels(classifiers, documents, tiny, tmp_path):
    checkpoint, _ = classifiers["several"]
    lines = write(tmp_path / "new.jsonl", [{"text": "salt mine", "text2": "paper mill"}])
    own = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--test", f"{lines}"]
    prepare(["classification", *own, "--labels", f"{documents}/several", "--destdir", f"{tmp_path}/new"])
    predict([f"{tmp_path}/new", "--path", f"{checkpoint}", "--output", f"{tmp_path}/out", "--device", "cpu"])
    assert list(json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))) == ["new.jsonl:1"]


def test_ensembles(classifiers, documents, tmp_path):
    """Several checkpoints' probabilities are averaged, whatever their order."""
    checkpoint, _ = classifiers["one"]
    state = torch.load(checkpoint, weights_only=True)
    for name in state["model"]:
        if name.startswith("classification_heads"):
            state["model"][name] *= -2
    torch.save(state, tmp_path / "other.pt")

    def predicted(name: str, path: str) -> dict[str, dict[str, float]]:
        predict([f"{documents}/one", "--path", path, "--output", f"{tmp_path}/{name}", "--device", "cpu"])
        found = json.loads((tmp_path / name / "predictions.json").read_text())
        return {id_: one["probabilities"] for id_, one in found.items()}

    first, second = predicted("first", f"{checkpoint}"), predicted("second", f"{tmp_path}/other.pt")
    mean = {id_: {k: (p + second[id_][k]) / 2 for k, p in own.items()} for id_, own in first.items()}
    assert max(abs(first[id_][k] - p) for id_, own in mean.items() for k, p in own.items()) > 0.01
    for name, path in (("both", f"{checkpoint}:{tmp_path}/other.pt"), ("turned", f"{tmp_path}/other.pt:{checkpoint}")):
        found = predicted(name, path)
        assert all(found[id_] == pytest.approx(own, abs=1e-5) for id_, own in mean.items())


def test_odd_ensembles(classifiers, documents, tmp_path, capsys):
    checkpoint, _ = classifiers["one"]
    for path, more in ((":", []), (f"{checkpoint}:{checkpoint}", ["--html"]), (f"{checkpoint}:{tmp_path}/gone.pt", [])):
        with pytest.raises(SystemExit) as stop:
            predict([f"{documents}/one", "--path", path, "--output", f"{tmp_path}/out", "--device", "cpu", *more])
        assert stop.value.code == 2 and "littlebird-predict: " in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_with_other_labels(classifiers, documents, tiny, tmp_path, capsys):
    checkpoint, _ = classifiers["one"]
    own = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt"]
    for name, labels in (("renamed", "a\nb\nc\n"), ("fewer", "a\nb\n")):
        (tmp_path / "labels.txt").write_text(labels)
        lines = write(tmp_path / "new.jsonl", [{"text": "salt mine", "label": "a"}])
        more = ["--labels", f"{tmp_path}/labels.txt", "--destdir", f"{tmp_path / name}"]
        prepare(["classification", *own, "--test", f"{lines}", *more])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            predict([f"{tmp_path / name}", "--path", f"{checkpoint}", "--output", f"{tmp_path}/out"])
        errors = capsys.readouterr().err.splitlines()
        assert stop.value.code == 2 and "labels are others" in errors[-1] and "littlebird-predict: " in errors[-1]
    assert not (tmp_path / "out").exists()


def test_checkpoints_load_safely(classifiers):
    for checkpoint, _ in classifiers.values():
        state = torch.load(checkpoint, weights_only=True)
        files = state["task_state"].pop("files")
        assert state["task_state"].pop("problem_type") in ("single_label", "multi_label")
        assert state["task_state"] == {"labels": sorted(WORDS)} and {*files} == {"dict.txt", "sentencepiece.model"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--criterion", "sentence_prediction"], "take --criterion littlebird_classification"),
        ([*CLASSIFICATION, "--num-classes", "5"], "5 classes asked for, but 3 labels"),
    ],
)
def test_odd_options_are_one_line(fairseq, documents, tmp_path, options, says):
    done = train(fairseq, documents / "several", tmp_path, *options, updates=1, status=None)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 2 and says in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("kind", ["one", "several"])
def test_pages(classifiers, documents, tmp_path, kind):
    """Gradient × input by sentence: the page's parts sum to the whole, the rate at which the output changes."""
    checkpoint, _ = classifiers[kind]
    predict(
        [f"{documents / kind}", "--path", f"{checkpoint}", "--output", f"{tmp_path}/out", "--html", "--device", "cpu"]
    )
    pages = sorted(path.name for path in (tmp_path / "out" / "html").iterdir())
    assert len(pages) == 10 and "index.html" in pages
    page = (tmp_path / "out" / "html" / pages[1]).read_text("utf-8")
    assert 'id="s1"' in page and ("<hr>" in page) == (kind == "several")
    plain = [f"{documents / kind}", "--path", f"{checkpoint}", "--output", f"{tmp_path}/plain", "--device", "cpu"]
    predict(plain)
    explained, usual = (json.loads((tmp_path / n / "predictions.json").read_text()) for n in ("out", "plain"))
    for name, one in usual.items():
        assert explained[name]["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)


def test_a_page_of_ten_thousand_tokens(classifiers, documents, tiny, tmp_path):
    """A list of the strongest sentences, each a link to its place; every sentence is there, once."""
    sentences = [f"The night train {n} stood at the clock tower." for n in range(900)]
    lines = write(tmp_path / "long.jsonl", [{"id": "long", "text": " ".join(sentences), "label": "night"}])
    own = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--labels", f"{documents}/one"]
    prepare(["classification", "--test", f"{lines}", *own, "--destdir", f"{tmp_path}/data"])
    predict([f"{tmp_path}/data", "--path", f"{classifiers['one'][0]}", "--output", f"{tmp_path}/out", "--html"])
    page = (tmp_path / "out" / "html" / "long.html").read_text("utf-8")
    assert int(re.search(r"([\d,]+) tokens\.", page)[1].replace(",", "")) > 10_000
    linked = re.findall(r'href="#(s\d+)"', page)
    assert len(linked) == 12 and all(page.count(f'id="{name}"') == 1 for name in linked)
    spans = re.findall(r'title="([+-][\d.]+)">(.*?)</span>', page)
    assert len(spans) == 900 and all(f" {n} " in text for n, (_, text) in enumerate(spans))
    total = float(re.search(r"All sentences together have ([+-][\d.]+)", page)[1])
    assert sum(float(weight) for weight, _ in spans) == pytest.approx(total, abs=900 * 6e-5)


def test_attribution(classifiers, documents):
    """The parts' sum is the derivative of the log odds as all token embeddings are scaled together."""
    model, task = load_trained(classifiers["one"][0], documents / "one", "cpu")
    (found, *_) = explained_classifications(model, task, "test")
    attribution = found.attribution
    assert attribution.difference < 1e-5 * max(1.0, abs(attribution.total)) and len(attribution.parts) >= 3
    probability = found.probabilities[found.label]
    assert attribution.value == pytest.approx(math.log(probability / (1 - probability)), abs=1e-4)
    dataset = task.load_dataset("test")
    net_input = dataset.collater([dataset[0]])["net_input"]
    number = task.labels.index(attribution.output)
    values = []
    for scale in (0.99, 1.01):
        hook = model.encoder.embeddings.tokens.register_forward_hook(lambda m, i, output, scale=scale: output * scale)
        values.append(gradients(model, task, net_input, number)[0])
        hook.remove()
    assert (values[1] - values[0]) / 0.02 == pytest.approx(attribution.total, rel=0.05, abs=1e-3)


def test_classify(classifiers, documents, tmp_path):
    """Texts in memory as littlebird-predict classifies a prepared folder, without the folder."""
    for kind in ("one", "several"):
        model = LittleBird.from_pretrained(classifiers[kind][0], max_tokens=64, device="cpu")
        predict([f"{documents / kind}", "--path", f"{classifiers[kind][0]}", "--output", f"{tmp_path / kind}"])
        wanted = json.loads((tmp_path / kind / "predictions.json").read_text())
        records = [json.loads(line) for line in (documents / f"{kind}.test.jsonl").read_text().splitlines()]
        seconds = [record["text2"] for record in records] if kind == "several" else None
        found = model.classify([record["text"] for record in records], seconds)
        for record, one in zip(records, found, strict=True):
            assert one.probabilities == pytest.approx(wanted[record["id"]]["probabilities"], abs=1e-4)
    with pytest.raises(UserError, match="2 texts, 1 second texts"):
        model.classify(["a", "b"], ["c"])
    with pytest.raises(UserError, match="answers no questions"):
        model.answer("Who?", "Nobody.")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "several"])
def test_export(classifiers, tmp_path, kind):
    """AutoModelForSequenceClassification and onnxruntime compute what we do, without this package."""
    checkpoint = classifiers[kind][0]
    texts = [["night train clock.", "the salt mine of the river"], ["paper mill", "old harbour."]]
    if kind == "one":
        del texts[1]
    logits, problem_type, labels, _ = exported(checkpoint, texts, tmp_path)
    torch.testing.assert_close(exported_graph(checkpoint, texts, tmp_path), logits, atol=1e-4, rtol=1e-3)
    wanted = {"one": "single_label_classification", "several": "multi_label_classification"}
    assert problem_type == wanted[kind] and labels == sorted(WORDS)
    outputs = logits.softmax(-1) if kind == "one" else logits.sigmoid()
    found = LittleBird.from_pretrained(checkpoint, device="cpu").classify(*texts)
    ours = torch.tensor([[*one.probabilities.values()] for one in found])
    torch.testing.assert_close(outputs, ours, atol=1e-5, rtol=1e-4)


def test_hydra(fairseq, documents, logged, tmp_path):
    """As the head of the YAML file says it."""
    arguments = ["--config-dir", PACKAGE.parent / "configs", "--config-name", "littlebird_sentence_prediction"]
    arguments += ["model=littlebird_tiny", "machine=cpu", f"task.data={documents}/several"]
    arguments += [f"common.user_dir={PACKAGE}", f"checkpoint.save_dir={tmp_path}", "optimization.max_update=2"]
    arguments += [f"model.{name.replace('-', '_')}={size}" for name, size in SIZES.items()]
    own = ["criterion._name=littlebird_classification", "+criterion.class_weights=8"]
    done = fairseq("hydra-train", *arguments, *own)
    assert "valid_macro_f1" in logged(done, "valid")[-1]
    criterion = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["cfg"]["criterion"]
    assert (criterion["_name"], str(criterion["class_weights"])) == ("littlebird_classification", "8")
