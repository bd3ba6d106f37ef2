"""BigBird and Longformer from folders of transformers, and questions: hidden states and logits are its own."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils

import fairseq_littlebird
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.conversion.targets import SEQ2SEQ, TARGETS
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.pipelines.loading import load_trained

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


@pytest.mark.parametrize("to", [to for to in TARGETS if to not in SEQ2SEQ])
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


def rows_of_tokens(out, numbers, lengths):
    """Random texts of these lengths: our ids, padded to the longest, and transformers' numbers, a row each."""
    dictionary = load_dictionary(out)
    words = [s for s in dictionary.symbols if s in numbers and s not in ("<s>", "</s>", "<pad>", "<unk>", "<mask>")]
    rng = random.Random(0)
    rows = [["<s>", *rng.choices(words, k=length - 2), "</s>"] for length in lengths]
    ours = torch.full((len(rows), max(lengths)), dictionary.pad())
    for n, row in enumerate(rows):
        ours[n, : len(row)] = torch.tensor([dictionary.index(symbol) for symbol in row])
    return dictionary, ours, [torch.tensor([numbers[symbol] for symbol in row]) for row in rows]


def assert_states_equal(extra, row, length, wanted):
    assert len(extra["inner_states"]) == len(wanted.hidden_states)
    for ours, theirs in zip(extra["inner_states"], wanted.hidden_states, strict=True):
        torch.testing.assert_close(ours[row, :length], theirs[0, :length], **TOLERANCE)


# Longformer; transformers pads to a multiple of the widest window, 12, and says that padding changes nothing


@pytest.mark.parametrize("context_start", [0, 7])
def test_longformer_equals_hugging_face(converted, their_numbers, context_start):
    """At multiples of the window, at odd lengths, at less than a window, together in a batch; with global tokens."""
    theirs, folder, out = converted("LongformerModel", "longformer")
    lengths = (48, 37, 24, 11)
    _, ours, rows = rows_of_tokens(out, their_numbers(folder), lengths)
    starts = torch.full((len(rows),), context_start) if context_start else None
    with torch.no_grad():
        _, extra = load(out)(ours, context_starts=starts, features_only=True, return_all_hiddens=True)
        for n, row in enumerate(rows):
            seen = (torch.arange(len(row)) < context_start - 1).long()  # the question, without the </s> behind it
            wanted = theirs(row[None], global_attention_mask=seen[None], output_hidden_states=True)
            assert_states_equal(extra, n, len(row), wanted)


def test_longformer_s_tokens_are_hugging_face_s(converted, their_numbers):
    theirs, folder, out = converted("LongformerForMaskedLM", "longformer")
    numbers = their_numbers(folder)
    dictionary, ours, [row] = rows_of_tokens(out, numbers, [29])
    known = [n for n, symbol in enumerate(dictionary.symbols) if symbol in numbers]
    with torch.no_grad():
        words, _ = load(out)(ours)
        wanted = theirs(row[None]).logits[..., [numbers[dictionary[n]] for n in known]]
    torch.testing.assert_close(words[..., known], wanted, **TOLERANCE)


def test_longformer_s_layers_keep_their_windows(converted):
    _, _, out = converted("LongformerModel", "longformer", "--layers", "2")
    assert "--attention-window 12 " in (out / "model.args").read_text()  # of the first and the last, 12 and 12
    _, _, out = converted("LongformerModel", "longformer", "--attention-window", "6,4,2", "--overwrite")
    assert "--attention-window 6,4,2" in (out / "model.args").read_text()


def test_a_wide_window_is_the_source(converted, their_numbers):
    """From RoBERTa: without global tokens, and a window on all of the text, Longformer is what it started from."""
    theirs, folder, out = converted("RobertaModel", "longformer")
    _, ours, [row] = rows_of_tokens(out, their_numbers(folder), [41])
    with torch.no_grad():
        hidden, _ = load(out)(ours, features_only=True)
        torch.testing.assert_close(hidden, theirs(row[None]).last_hidden_state, **TOLERANCE)
    state = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    for name in ("q", "k", "v"):
        for part in ("weight", "bias"):
            own = state[f"encoder.layers.1.attention.{name}.{part}"]
            assert torch.equal(state[f"encoder.layers.1.attention.global_{name}.{part}"], own)
    positions = state["encoder.embeddings.positions.weight"]
    assert len(positions) == 4096 and torch.equal(positions[80:160], positions[:80])


# BigBird; below (5 + 2 · 2) · 4 = 36 tokens transformers attends to all


def block_sparse(theirs):
    """transformers' model in this mode, which it leaves for good once it has read a short text."""
    getattr(theirs, theirs.base_model_prefix, theirs).set_attention_type("block_sparse")
    return theirs


def test_bigbird_equals_hugging_face(converted, their_numbers):
    """At multiples of the block and at odd lengths, in a batch: a row's last global block is its own, as when it is
    alone; transformers takes the block where the batch's padding ends."""
    theirs, folder, out = converted("BigBirdModel", "bigbird_itc")
    lengths = (64, 57, 48, 41)
    _, ours, rows = rows_of_tokens(out, their_numbers(folder), lengths)
    with torch.no_grad():
        _, extra = load(out)(ours, features_only=True, return_all_hiddens=True)
        for n, row in enumerate(rows):
            assert_states_equal(extra, n, len(row), block_sparse(theirs)(row[None], output_hidden_states=True))
    args = (out / "model.args").read_text()
    assert "--block-size 4 --random-blocks 2 --random-attention first_block" in args and "gelu_tanh" in args


@pytest.mark.parametrize("name", ["BigBirdForMaskedLM", "BigBirdForPreTraining"])
def test_bigbird_s_tokens_are_hugging_face_s(converted, their_numbers, name):
    theirs, folder, out = converted(name, "bigbird_itc")
    numbers = their_numbers(folder)
    dictionary, ours, [row] = rows_of_tokens(out, numbers, [50])
    known = [n for n, symbol in enumerate(dictionary.symbols) if symbol in numbers]
    with torch.no_grad():
        words, _ = load(out)(ours)
        output = block_sparse(theirs)(row[None])
    wanted = output.logits if name == "BigBirdForMaskedLM" else output.prediction_logits
    wanted = wanted[..., [numbers[dictionary[n]] for n in known]]
    torch.testing.assert_close(words[..., known], wanted, **TOLERANCE)


def test_short_texts(converted, their_numbers):
    """transformers attends to all of them. So does what stands for it; seeded blocks see all of 4 + 2 blocks and some
    of more, whatever the length."""
    theirs, folder, out = converted("BigBirdModel", "bigbird_itc")
    lengths = 36, 29, 24, 3
    _, ours, rows = rows_of_tokens(out, their_numbers(folder), lengths)
    with torch.no_grad():
        wanted = [block_sparse(theirs)(row[None]).last_hidden_state[0] for row in rows]
        hidden, _ = load(out)(ours, features_only=True)
        for row, states in zip(hidden, wanted, strict=True):
            torch.testing.assert_close(row[: len(states)], states, **TOLERANCE)
        _, _, out = converted("BigBirdModel", "bigbird_itc", "--random-attention", "seeded", "--overwrite")
        hidden, _ = load(out)(ours, features_only=True)
    differ = [(row[: len(states)] - states).abs().max() for row, states in zip(hidden, wanted, strict=True)]
    assert min(differ[:2]) > 1e-2 and max(differ[2:]) < 1e-4


def test_blocks_that_see_all_are_the_source(converted, their_numbers):
    """From RoBERTa: up to 4 + R blocks, BigBird-ITC is what it started from."""
    theirs, folder, out = converted("RobertaModel", "bigbird_itc", "--block-size", "6")
    _, ours, [row] = rows_of_tokens(out, their_numbers(folder), [41])
    with torch.no_grad():
        hidden, _ = load(out)(ours, features_only=True)
        torch.testing.assert_close(hidden, theirs(row[None]).last_hidden_state, **TOLERANCE)
    positions = torch.load(out / "checkpoint.pt", weights_only=True)["model"]["encoder.embeddings.positions.weight"]
    assert len(positions) == 4096 and torch.equal(positions[80:160], positions[:80])


def test_models_of_the_plugin_as_sources(converted, tmp_path):
    """BigBird-ITC comes back as it was, with its blocks; the others are no source."""
    _, _, one = converted("BigBirdForMaskedLM", "bigbird_itc", "--random-seed", "5")
    main(["--from", str(one), "--out", str(tmp_path / "two"), "--to", "bigbird_itc"])
    assert (one / "model.args").read_text() == (tmp_path / "two" / "model.args").read_text()
    states = [torch.load(out / "checkpoint.pt", weights_only=True)["model"] for out in (one, tmp_path / "two")]
    assert states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )
    main(["--from", str(one), "--out", str(tmp_path / "full"), "--to", "full"])
    assert "gelu_tanh" in (tmp_path / "full" / "model.args").read_text()
    for to, title in (("longformer", "Longformer"), ("bigbird_etc", "BigBird-ETC")):
        _, _, out = converted("BigBirdForMaskedLM", to)
        with pytest.raises(UserError, match=f"this is a {title} model already"):
            read_source(out)


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


def prepared(questions, out, folder):
    """The questions in the words of a converted model."""
    words = f"--train {questions} --valid {questions} --tokenizer {out} --dict {out}/dict.txt"
    prepare(f"qa --dataset squad {words} --max-tokens 150 --stride 100 --destdir {folder}/data".split())
    return folder / "data"


def logits_of(name, theirs, tokens, start):
    """Start and end logits of transformers for one row.

    Args:
        tokens: <int64>[L].
        start: where the context begins.
    """
    more = {}
    if name.startswith("BigBird"):
        assert len(tokens) > 36
        block_sparse(theirs)
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
def test_a_question_answering_model_answers_at_once(converted, their_numbers, questions, name, to, tmp_path):
    """As transformers does with the same tokens, one question at a time; [QUESTION] is its <mask>."""
    theirs, folder, out = converted(name, to)
    model, task = load_trained(out / "checkpoint.pt", prepared(questions, out, tmp_path), "cpu")
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
        answer = context[window.offsets[begin][0] : window.offsets[end][1]]
        wanted_answers[batch["examples"][row].id] = answer.strip()  # of a token with the space before it
    predict([f"{tmp_path}/data", "--path", f"{out}/checkpoint.pt", "--gen-subset", "valid", "--output",
             f"{tmp_path}/answers", "--device", "cpu"])  # fmt: skip
    assert json.loads((tmp_path / "answers" / "predictions.json").read_text()) == wanted_answers


def test_longformer_s_own_choice_of_global_tokens_is_ours(converted, their_numbers, questions, tmp_path):
    """Without a mask, transformers makes those before the first </s> global; here a context starts behind it."""
    theirs, folder, out = converted("LongformerForQuestionAnswering", "longformer")
    model, task = load_trained(out / "checkpoint.pt", prepared(questions, out, tmp_path), "cpu")
    text = torch.tensor([0, *range(10, 17), 2, 2, *range(20, 45), 2])
    names = {number: symbol for symbol, number in their_numbers(folder).items()}
    ours = torch.tensor([[task.source_dictionary.index(names[number]) for number in text.tolist()]])
    with torch.no_grad():
        hidden, _ = model(ours, context_starts=torch.tensor([9]), features_only=True)
        wanted = theirs(text[None], output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(hidden, wanted, **TOLERANCE)


@pytest.mark.parametrize("to", [to for to in TARGETS if to not in ("full", *SEQ2SEQ)])
def test_every_model_takes_a_question_answering_head_and_token_types(converted, questions, to, tmp_path):
    """A start for training: the head is the source's, and what tells its context from its question is read."""
    theirs, folder, out = converted("BertForQuestionAnswering", to)
    model, task = load_trained(out / "checkpoint.pt", prepared(questions, out, tmp_path), "cpu")
    assert torch.equal(model.span_head.start.weight[0], theirs.qa_outputs.weight[0])
    assert "--context-type" in (out / "model.args").read_text().split()
    task.load_dataset("valid")
    inputs = task.dataset("valid").collater([task.dataset("valid")[0]])["net_input"]
    start = int(inputs["context_starts"][0])
    with torch.no_grad():
        [before, *_] = model(**inputs, return_all_hiddens=True)[1]["inner_states"]
        model.encoder.embeddings.context.zero_()
        [after, *_] = model(**inputs, return_all_hiddens=True)[1]["inner_states"]
    changed = (before != after).any(-1)[0]
    assert changed[start:].all() and not changed[:start].any()


def test_fairseq_trains_a_question_answering_model_on(converted, commands, forks, questions, tmp_path):
    """With the options that the README of the warm start gives: an update away from the source."""
    _, _, out = converted("BigBirdForQuestionAnswering", "bigbird_itc")
    assert (
        "--task question_answering --span-head bigbird --criterion question_answering"
        in (out / "README.md").read_text()
    )
    package = Path(fairseq_littlebird.__file__).parent
    words = f"{prepared(questions, out, tmp_path)} --user-dir {package} --task question_answering --span-head bigbird"
    words += f" --criterion question_answering {(out / 'model.args').read_text()} --finetune-from-model"
    words += f" {out}/checkpoint.pt --optimizer adam --lr 1e-3 --batch-size 8 --max-update 1 --cpu --save-dir saved"
    done = forks.run([commands / "fairseq-train", *words.split()], cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "newly initialised" not in done.stdout
    files = out / "checkpoint.pt", tmp_path / "saved" / "checkpoint_last.pt"
    before, after = (torch.load(file, weights_only=True)["model"] for file in files)
    assert before.keys() == after.keys()
    assert 0 < max((after[key] - before[key]).abs().max() for key in before) < 0.01
