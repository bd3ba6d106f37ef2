"""littlebird-predict on a trained question-answering model, as a user runs it."""

from __future__ import annotations

import json

import pytest
import torch

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.model_folder import default_settings
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.export.trained_model import trained_model
from fairseq_littlebird.pipelines.loading import load_trained
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask

QA_TRAINING = """--task question_answering --criterion question_answering --arch littlebird_tiny --span-head qass
    --encoder-layers 2 --encoder-embed-dim 64 --encoder-ffn-embed-dim 128 --encoder-attention-heads 4 --pack-size 16
    --block-size 32 --dropout 0 --attention-dropout 0 --optimizer adam --lr 3e-3 --batch-size 16 --max-update 120
    --cpu --no-epoch-checkpoints --disable-validation""".split()


def test_three_files_that_agree_with_the_documents(qa_model, tiny, tmp_path, capsys):
    out = tmp_path / "out"
    predict(
        [f"{tiny}/questions", "--path", f"{qa_model}", "--gen-subset", "valid", "--output", f"{out}", "--device", "cpu"]
    )
    texts, n_best, odds = (
        json.loads((out / f"{name}.json").read_text("utf-8"))
        for name in ("predictions", "nbest_predictions", "null_odds")
    )
    prepared = PreparedQuestions(tiny / "questions", "valid")
    examples = {example.id: (example, windows) for example, windows in map(prepared.example, range(len(prepared)))}
    assert [*texts] == [*n_best] == [*odds] == [*examples]  # as the questions' file has them
    for name, candidates in n_best.items():
        example, windows = examples[name]
        assert texts[name] == candidates[0]["text"]
        assert [c["probability"] for c in candidates] == sorted((c["probability"] for c in candidates), reverse=True)
        for candidate in candidates:
            assert candidate["text"] == example.document[candidate["start"] : candidate["end"]] != ""
            assert 0 <= candidate["window"] < len(windows) and 0 <= candidate["probability"] <= 1
    evaluate(
        ["--dataset", "squad", "--gold", f"{tiny}/valid.json", "--predictions", f"{out}/predictions.json",
         "--null-odds", f"{out}/null_odds.json", "--json"]
    )  # fmt: skip
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scores["total"] == len(examples)


def test_batch_composition_and_answer_length(qa_model, tiny, tmp_path):
    common = [f"{tiny}/questions", "--path", f"{qa_model}", "--gen-subset", "valid", "--device", "cpu"]
    answers = {}
    for tokens in ("64", "4096"):
        predict([*common, "--output", f"{tmp_path / tokens}", "--max-tokens", tokens, "--max-answer-length", "2"])
        answers[tokens] = json.loads((tmp_path / tokens / "predictions.json").read_text("utf-8"))
    assert answers["64"] == answers["4096"]
    assert max(len(text.split()) for text in answers["64"].values()) <= 2
    predict([*common, "--output", f"{tmp_path / 'null'}", "--null-threshold", "-1000000000"])
    nothing = json.loads((tmp_path / "null" / "predictions.json").read_text("utf-8"))
    assert set(nothing.values()) == {""}


def trained_to(limit, qa_model, path):
    """A checkpoint whose folder was prepared with that limit; None: by an older version."""
    state = torch.load(qa_model, weights_only=True)
    files = state["task_state"]["files"]
    settings = json.loads(files["prepared.json"].numpy().tobytes())
    del settings["max_answer_length"]
    settings |= {} if limit is None else {"max_answer_length": limit}
    files["prepared.json"] = torch.frombuffer(bytearray(json.dumps(settings).encode()), dtype=torch.uint8)
    torch.save(state, path)
    return path


def test_the_limit_comes_with_the_checkpoint(qa_model, tiny, tmp_path, capsys):
    """In littlebird-predict, in a program and in what is exported, whatever folder is answered."""
    prepared = PreparedQuestions(tiny / "questions", "valid")
    questions = [prepared.example(i)[0] for i in range(len(prepared))]
    for limit in (2, None):
        path = trained_to(limit, qa_model, tmp_path / f"{limit}.pt")
        out, wanted = tmp_path / f"out{limit}", limit or 30
        arguments = [f"{tiny}/questions", "--path", f"{path}", "--gen-subset", "valid", "--device", "cpu"]
        predict([*arguments, "--output", f"{out}"])
        unreachable = "3 of 3 questions with answers can never be answered exactly" in capsys.readouterr().out
        assert unreachable == (limit == 2)
        littlebird = LittleBird.from_pretrained(path, max_tokens=64, stride=24, device="cpu")
        assert littlebird.task.max_answer_length == wanted
        n_best = json.loads((out / "nbest_predictions.json").read_text("utf-8"))
        most = 0
        for example in questions:
            found = littlebird.answer(example.question, example.document, top_k=5, overlaps=True)
            assert [(c.start, c.end) for c in found] == [(c["start"], c["end"]) for c in n_best[example.id][:5]]
            most = max(most, *(len(littlebird.tokenizer.tokenize(c.text)) for c in found))
        assert most <= 3 if limit else most > 3  # alone, a word may begin with a mark of its own
    one = littlebird.answer(questions[0].question, questions[0].document, overlaps=True, max_answer_length=1)
    assert all(len(littlebird.tokenizer.tokenize(c.text)) <= 2 for c in one)
    with pytest.raises(UserError, match="expected a whole number from 1, got -1"):
        littlebird.answer("Who?", "They.", max_answer_length=-1)


@pytest.mark.parametrize(
    ("folder", "trained", "limit", "wanted"),
    [
        ("squad", "squad", 83, 83),
        ("squad", "mrqa", 83, 83),
        ("squad", "squad", None, 30),
        ("hotpotqa", "hotpotqa", 90, 90),  # the user's own choice
        ("hotpotqa", "squad", 83, 60),
        ("triviaqa", "squad", 83, 32),
    ],
)
def test_limits_between_data_sets(tiny, tmp_path, folder, trained, limit, wanted):
    """A data set with a rule keeps it when a model of another one answers its questions."""
    (tmp_path / "prepared.json").write_text(default_settings(folder))
    task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(tmp_path)), load_dictionary(tiny / "tokenizer"))
    settings = bytearray(default_settings(trained, limit).encode())
    task.load_state_dict({"files": {"prepared.json": torch.frombuffer(settings, dtype=torch.uint8)}})
    assert task.max_answer_length == wanted
    with pytest.raises(UserError, match="prepared.json is damaged"):
        damaged = bytearray(default_settings(trained).replace("null", "-3").encode())
        task.load_state_dict({"files": {"prepared.json": torch.frombuffer(damaged, dtype=torch.uint8)}})


def test_an_exported_model_has_the_limit(transformers, qa_model, tmp_path):
    for limit, wanted in ((7, 7), (None, 30)):
        path = trained_to(limit, qa_model, tmp_path / f"{limit}.pt")
        assert trained_model(path).model.config.max_answer_length == wanted
    assert trained_model(path, max_answer_length=500).model.config.max_answer_length == 500


def test_a_model_from_another_machine(qa_model, tiny, tmp_path):
    """Trained where there was a kernel that is not here."""
    state = torch.load(qa_model, weights_only=True)
    state["cfg"]["model"]["attention_backend"] = "triton"
    torch.save(state, tmp_path / "triton.pt")
    for path in (qa_model, tmp_path / "triton.pt"):
        predict(
            [f"{tiny}/questions", "--path", f"{path}", "--gen-subset", "valid", "--device", "cpu",
             "--output", f"{tmp_path / path.stem}"]
        )  # fmt: skip
    answers = {(tmp_path / path / "predictions.json").read_text("utf-8") for path in (qa_model.stem, "triton")}
    assert len(answers) == 1


def test_bad_input_is_one_line(qa_model, span_model, tiny, tmp_path, capsys):
    truncated = tmp_path / "truncated.pt"
    truncated.write_bytes(qa_model.read_bytes()[:5000])
    state = torch.load(qa_model, weights_only=True)
    state["model"]["encoder.embed_tokens.weight"] = state["model"].pop("encoder.embeddings.tokens.weight")
    torch.save(state, tmp_path / "renamed.pt")
    state["task_state"]["files"] = [1]
    torch.save(state, tmp_path / "damaged.pt")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    questions, out = f"{tiny}/questions", f"{tmp_path}/out"
    cases = [
        ([questions, "--path", f"{truncated}", "--output", out], "truncated.pt"),
        ([questions, "--path", f"{tmp_path}/none.pt", "--output", out], "none.pt"),
        ([questions, "--path", f"{tmp_path}/renamed.pt", "--output", out], "renamed.pt: parameters of another model"),
        ([questions, "--path", f"{tmp_path}/damaged.pt", "--output", out], "damaged.pt: damaged (files is list)"),
        # before anything is loaded
        (
            [questions, "--path", f"{truncated}", "--output", out, "--device", "gpu"],
            "unknown device 'gpu'; choose cpu, cuda, cuda:N",
        ),
        ([questions, "--path", f"{truncated}", "--output", out, "--device", "cuda:99"], "choose cpu, or one"),
        ([questions, "--path", f"{span_model}", "--output", out], "question_answering"),
        ([f"{tmp_path}/none", "--path", f"{qa_model}", "--output", out], "none"),
        ([questions, "--path", f"{qa_model}", "--output", out, "--gen-subset", "test"], "'test'"),
        ([questions, "--path", f"{qa_model}", "--output", out, "--array"], "--array, but no classifier"),
        (
            [questions, "--path", f"{qa_model}", "--output", out, "--glue-submission", out],
            "--glue-submission, but no classifier",
        ),
        ([questions, "--path", f"{qa_model}", "--output", f"{tmp_path}/full"], "not empty"),
        ([questions, "--path", f"{qa_model}", "--output", f"{tmp_path}/full", "--overwrite"], "notes.txt"),
    ]
    for arguments, names in cases:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            predict(["--device", "cpu", *arguments])
        lines = capsys.readouterr().err.splitlines()
        errors = [line for line in lines if line.startswith("littlebird-predict: ")]
        assert stop.value.code == 2 and len(errors) == 1 and names in errors[0], (arguments, lines[-3:])
        assert not any("Traceback" in line for line in lines)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def squad(data_dir, fairseq, tmp_path_factory):
    """Questions on a Wikipedia article, prepared, in ``questions``, and a model that has memorised them."""
    folder = tmp_path_factory.mktemp("squad")
    article = json.loads((data_dir / "squad" / "dev.json").read_text("utf-8"))["data"][0]
    article["paragraphs"] = article["paragraphs"][:12]
    for paragraph in article["paragraphs"]:
        paragraph["qas"] = [question for question in paragraph["qas"] if question["answers"]]
    (folder / "squad.json").write_text(json.dumps({"version": "v2.0", "data": [article]}), "utf-8")
    text = "\n".join(paragraph["context"] for paragraph in article["paragraphs"])
    (folder / "text.txt").write_text(text, "utf-8")
    prepare(["tokenizer", "--input", f"{folder}/text.txt", "--vocab-size", "500", "--destdir", f"{folder}/tokenizer"])
    prepare(
        ["qa", "--dataset", "squad", "--train", f"{folder}/squad.json", "--test", f"{folder}/squad.json",
         "--tokenizer", f"{folder}/tokenizer", "--dict", f"{folder}/tokenizer/dict.txt",
         "--max-tokens", "128", "--stride", "64", "--destdir", f"{folder}/questions"]
    )  # fmt: skip
    fairseq("train", folder / "questions", *QA_TRAINING, "--save-dir", folder)
    return folder


def test_less_precision_gives_the_same_answers(squad, tmp_path):
    found = {}
    for precision in ("float32", "bfloat16", "float16", "int8"):
        out = tmp_path / precision
        predict(
            [f"{squad}/questions", "--path", f"{squad}/checkpoint_last.pt", "--output", f"{out}", "--device", "cpu",
             "--precision", precision]
        )  # fmt: skip
        found[precision] = json.loads((out / "nbest_predictions.json").read_text("utf-8"))
    exact = found.pop("float32")
    assert len(exact) > 20
    for precision, tolerance in (("bfloat16", 0.05), ("float16", 0.01), ("int8", 0.2)):
        best = {name: (candidates[0], found[precision][name][0]) for name, candidates in exact.items()}
        assert 0 < max(abs(one["probability"] - half["probability"]) for one, half in best.values()) < tolerance
        for name, (one, half) in best.items():  # two candidates that are closer to each other may change places
            same = max(other["probability"] for other in exact[name] if other["text"] == half["text"])
            assert one["probability"] - same < 2 * tolerance


def test_a_folder_that_is_not_there_is_named_first(tmp_path):
    with pytest.raises(UserError, match=f"^{tmp_path}/gone: no such folder; "):
        load_trained(tmp_path / "none.pt", tmp_path / "gone")
