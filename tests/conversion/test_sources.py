"""Every source format: what is read, and what is refused with which words."""

from __future__ import annotations

import argparse
import json
import shutil

import pytest
import safetensors.torch
import torch

from fairseq_littlebird.conversion.parameters import encoder_shapes, head_shapes
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.errors import UserError


@pytest.fixture
def folder(hugging_face, tmp_path):
    """``folder("BertModel")``: a copy to spoil; ``edit`` and ``configure`` change its weights and config.json."""

    class Folder:
        def __init__(self, name):
            self.path = tmp_path / name
            shutil.copytree(hugging_face(name)[1], self.path)
            self.weights = safetensors.torch.load_file(self.path / "model.safetensors")

        def save(self, weights):
            safetensors.torch.save_file(weights, self.path / "model.safetensors")
            return self.path

        def configure(self, **values):
            config = json.loads((self.path / "config.json").read_text())
            (self.path / "config.json").write_text(json.dumps(config | values))
            return self.path

    return Folder


def same(one, other):
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(one.state[key], other.state[key]) for key in one.state)
    assert one.config == other.config


@pytest.mark.parametrize("name, head", [("BertModel", False), ("RobertaForMaskedLM", True), ("ElectraModel", False)])
def test_the_contract_of_keys_and_shapes(hugging_face, name, head):
    source = read_source(hugging_face(name)[1])
    shapes = encoder_shapes(source.config) | (head_shapes(source.config) if head else {})
    assert {key: tuple(value.shape) for key, value in source.state.items()} == shapes
    assert source.has_head is head
    assert all(value.dtype == torch.float32 for value in source.state.values())


def test_positions_hold_the_token_type_and_lose_the_offset(hugging_face):
    for name, offset in (("BertModel", 0), ("RobertaForMaskedLM", 2)):
        model, path = hugging_face(name)
        embeddings = getattr(model, model.base_model_prefix, model).embeddings
        wanted = embeddings.position_embeddings.weight[offset:] + embeddings.token_type_embeddings.weight[0]
        assert torch.equal(read_source(path).state["encoder.embeddings.positions.weight"], wanted)


def test_every_file_of_weights(folder):
    one = folder("BertForMaskedLM")
    wanted = read_source(one.path)
    keys = sorted(one.weights)
    shards = {"a": keys[::2], "b": keys[1::2]}
    (one.path / "model.safetensors").unlink()
    for suffix, save in (("safetensors", safetensors.torch.save_file), ("bin", torch.save)):
        stem = "model" if suffix == "safetensors" else "pytorch_model"
        save(one.weights, one.path / f"{stem}.{suffix}")
        same(read_source(one.path), wanted)
        (one.path / f"{stem}.{suffix}").unlink()
        for name, part in shards.items():
            save({key: one.weights[key] for key in part}, one.path / f"{name}.{suffix}")
        index = {key: f"{name}.{suffix}" for name, part in shards.items() for key in part}
        (one.path / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": index}))
        same(read_source(one.path), wanted)
        (one.path / f"a.{suffix}").unlink()
        with pytest.raises(UserError, match=f"missing shards: a.{suffix}"):
            read_source(one.path)
        (one.path / f"{stem}.{suffix}.index.json").unlink()
    with pytest.raises(UserError, match="no weights"):
        read_source(one.path)


def test_a_prefix_makes_no_difference(folder):
    one = folder("BertModel")
    wanted = read_source(one.path)
    same(read_source(one.save({f"bert.{key}": value for key, value in one.weights.items()})), wanted)
    both = one.weights | {"bert.pooler.dense.bias": one.weights["pooler.dense.bias"].clone()}
    with pytest.raises(UserError, match="pooler.dense.bias .*twice"):
        read_source(one.save(both))


def test_old_names_half_precision_and_buffers(folder):
    one = folder("BertForMaskedLM")
    wanted = read_source(one.path)
    old = {"weight": "gamma", "bias": "beta"}
    weights = {}
    for key, value in one.weights.items():
        stem, _, last = key.rpartition(".")
        weights[f"{stem}.{old[last]}" if stem.endswith("LayerNorm") else key] = value
    weights["bert.embeddings.position_ids"] = torch.arange(80)[None]
    source = read_source(one.save(weights))
    same(source, wanted)
    assert "embeddings.position_ids" in source.dropped
    half = read_source(one.save({key: value.half() for key, value in one.weights.items()}))
    assert all(value.dtype == torch.float32 for value in half.state.values())
    assert torch.equal(half.state["lm_head.bias"], wanted.state["lm_head.bias"].half().float())


def test_pooler_and_next_sentence_head_are_dropped_by_name(hugging_face):
    dropped = {key.rpartition(".")[0] for key in read_source(hugging_face("BertForPreTraining")[1]).dropped}
    assert dropped == {"pooler.dense", "cls.seq_relationship"}
    dropped = {key.split(".")[0] for key in read_source(hugging_face("ElectraForPreTraining")[1]).dropped}
    assert dropped == {"discriminator_predictions"}


def test_missing_and_unexpected_keys_are_listed(folder):
    one = folder("BertForMaskedLM")
    gone = ["bert.encoder.layer.1.intermediate.dense.bias", "cls.predictions.transform.LayerNorm.weight"]
    with pytest.raises(UserError) as error:
        read_source(one.save({key: value for key, value in one.weights.items() if key not in gone}))
    assert "2 missing keys" in str(error.value)
    assert all(key.removeprefix("bert.") in str(error.value) for key in gone)
    more = {"classifier.weight": torch.zeros(2, 16), "bert.encoder.layer.0.adapter.up.bias": torch.zeros(2)}
    with pytest.raises(UserError) as error:
        read_source(one.save(one.weights | more))
    assert "2 unexpected keys" in str(error.value)
    assert "classifier.weight" in str(error.value) and "layer.0.adapter.up.bias" in str(error.value)


@pytest.mark.parametrize(
    "name, key, tied",
    [
        ("BertForMaskedLM", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
        ("BertForMaskedLM", "cls.predictions.decoder.bias", "cls.predictions.bias"),
        ("RobertaForMaskedLM", "lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"),
        ("ElectraForMaskedLM", "generator_lm_head.weight", "electra.embeddings.word_embeddings.weight"),
    ],
)
def test_tied_weights_must_be_tied(folder, name, key, tied):
    one = folder(name)
    wanted = read_source(one.path)
    same(read_source(one.save(one.weights | {key: one.weights[tied].clone()})), wanted)
    with pytest.raises(UserError, match="untied"):
        read_source(one.save(one.weights | {key: one.weights[tied] + 1e-3}))


@pytest.mark.parametrize(
    "values, message",
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"model_type": "deberta"}, "model type 'deberta'"),
        ({"num_attention_heads": 3}, "3 attention heads do not divide a width of 16"),
        ({"num_hidden_layers": 2}, "no place for: encoder.layer.2."),
        ({"num_hidden_layers": 4}, "missing keys: encoder.layer.3.attention.self.query.weight"),
        ({"intermediate_size": 32}, r"encoder.layer.0.intermediate.dense.weight is \[24, 16\] instead of \[32, 16\]"),
        ({"vocab_size": 7}, "another shape"),
        ({"hidden_size": None}, "hidden_size is None"),
    ],
)
def test_what_no_encoder_here_is(folder, values, message):
    with pytest.raises(UserError, match=message):
        read_source(folder("BertModel").configure(**values))


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("BigBirdModel", {"attention_type": "original_full"}, "'original_full'.*'block_sparse'"),
        ("BigBirdModel", {"rescale_embeddings": True}, "rescale_embeddings is True"),
        ("BigBirdModel", {"use_bias": False}, "use_bias is False"),
        ("BigBirdModel", {"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ("BigBirdModel", {"block_size": None}, "block_size is None"),
        ("LongformerModel", {"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'"),
        ("LongformerModel", {"attention_window": [4, 4]}, r"attention_window is \[4, 4\].* 3"),
        ("LongformerModel", {"attention_window": None}, "attention_window is None"),
        ("BigBirdForQuestionAnswering", {"layer_norm_eps": 1e-5}, "not of the released checkpoints' kind"),
    ],
)
def test_what_no_sparse_encoder_here_is(folder, name, values, message):
    with pytest.raises(UserError, match=message):
        read_source(folder(name).configure(**values))


def test_what_sparse_sources_fix(folder):
    one = folder("LongformerModel")
    assert read_source(one.path).options == {"attention_window": [12, 4, 12]}
    assert read_source(one.configure(attention_window=8)).options == {"attention_window": [8, 8, 8]}
    gone = "encoder.layer.1.attention.self.key_global.bias"
    with pytest.raises(UserError, match=f"1 missing keys: {gone}"):
        read_source(one.save({key: value for key, value in one.weights.items() if key != gone}))
    source = read_source(folder("BigBirdModel").path)
    assert source.model == "bigbird_itc" and source.config.activation == "gelu_tanh"
    assert source.options == {"block_size": 4, "random_blocks": 2, "random_attention": "first_block"}


def test_heads_for_questions(folder):
    """Whole or not at all, two rows become two layers; with it comes the token type of a context."""
    one = folder("BertForQuestionAnswering")
    source, types = read_source(one.path), one.weights["bert.embeddings.token_type_embeddings.weight"]
    assert source.span_head == "independent"
    for row, name in enumerate(("start", "end")):
        assert torch.equal(source.state[f"span_head.{name}.weight"][0], one.weights["qa_outputs.weight"][row])
        assert torch.equal(source.state[f"span_head.{name}.bias"][0], one.weights["qa_outputs.bias"][row])
    assert torch.equal(source.state["encoder.embeddings.context"], types[1] - types[0])
    assert "encoder.embeddings.context" not in read_source(folder("BertModel").path).state
    three = one.weights | {"qa_outputs.weight": torch.zeros(3, 16)}
    with pytest.raises(UserError, match=r"qa_outputs.weight is \[3, 16\] instead of \[2, 16\]"):
        read_source(one.save(three))
    del one.weights["qa_outputs.bias"]
    with pytest.raises(UserError, match="1 missing keys: qa_outputs.bias"):
        read_source(one.save(one.weights))


def test_files_that_cannot_be_read(folder, tmp_path):
    one = folder("BertModel")
    (one.path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="model.safetensors: "):
        read_source(one.path)
    (one.path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        read_source(one.path)
    (tmp_path / "dict.txt").write_text("a 1\n")
    (tmp_path / "model.pt").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="model.pt: "):
        read_source(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        read_source(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither config.json"):
        read_source(tmp_path / "empty")


# fairseq's own RoBERTa


@pytest.fixture(scope="module")
def roberta():
    """fairseq's model with random weights, its dictionary, and its settings."""
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel, base_architecture

    dictionary = Dictionary()
    for n in range(30):
        dictionary.add_symbol(str(n))
    dictionary.add_symbol("<mask>")
    args = argparse.Namespace(
        arch="roberta_base", encoder_layers=2, encoder_embed_dim=16, encoder_ffn_embed_dim=24,
        encoder_attention_heads=2, max_positions=20, tokens_per_sample=20, data="",
    )  # fmt: skip
    base_architecture(args)
    task = argparse.Namespace(source_dictionary=dictionary, dictionary=dictionary)
    model = RobertaModel.build_model(args, task).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.3 * torch.randn_like(parameter)
            parameter.copy_(1 + noise if "norm" in name and "weight" in name else noise)
    return model, dictionary, args


def old(weights):
    """As in 2019: decoder instead of encoder, q, k and v in one matrix, another name for the first norm."""
    renamed = {}
    for key, value in weights.items():
        key = key.replace("encoder.", "decoder.", 1).replace("layernorm_embedding", "emb_layer_norm")
        if "q_proj" in key:
            parts = [weights[key.replace("decoder.", "encoder.", 1).replace("q_proj", f"{n}_proj")] for n in "qkv"]
            renamed[key.replace("q_proj.", "in_proj_")] = torch.cat(parts)
        elif "k_proj" not in key and "v_proj" not in key:
            renamed[key] = value
    return renamed


def save(path, model, dictionary, args, age="new"):
    weights = model.state_dict()
    content = (
        {"args": args, "model": old(weights)} if age == "old" else {"cfg": {"model": vars(args)}, "model": weights}
    )
    torch.save(content, path / "model.pt")
    lines = [f"{symbol} 1" for symbol in dictionary.symbols if symbol.isdecimal()]
    (path / "dict.txt").write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("age", ["new", "old"])
def test_fairseq_roberta(roberta, age, tmp_path):
    """Words, hidden states and logits as fairseq computes them."""
    from fairseq import checkpoint_utils

    from fairseq_littlebird.cli.warm_start import main

    model, dictionary, args = roberta
    (tmp_path / "source").mkdir()
    source = save(tmp_path / "source", *roberta, age)
    main(["--from", str(source), "--out", str(tmp_path / "out"), "--to", "full"])
    [ours], _, task = checkpoint_utils.load_model_ensemble_and_task([str(tmp_path / "out" / "checkpoint.pt")])
    tokens = torch.randint(4, len(dictionary), (2, 12), generator=torch.Generator().manual_seed(0))
    tokens[1, 7:] = dictionary.pad()
    mine = torch.tensor([[task.source_dictionary.index(dictionary[n]) for n in row] for row in tokens.tolist()])
    known = [task.source_dictionary.index(symbol) for symbol in dictionary.symbols]
    real = tokens != dictionary.pad()
    with torch.no_grad():
        for features in (True, False):
            wanted = model(tokens, features_only=features)[0][real]
            given = ours.eval()(mine, features_only=features)[0][real]
            torch.testing.assert_close(given if features else given[:, known], wanted, rtol=0, atol=1e-4)


def test_what_fairseq_checkpoints_are_refused(roberta, tmp_path):
    model, dictionary, args = roberta
    for name, value in (("activation_fn", "relu"), ("encoder_normalize_before", True)):
        changed = argparse.Namespace(**vars(args) | {name: value})
        with pytest.raises(UserError, match=name):
            read_source(save(tmp_path, model, dictionary, changed))
    weights = model.state_dict()
    torch.save({"args": args, "model": weights | {"encoder.lm_head.weight": weights["encoder.lm_head.weight"] + 1}},
               tmp_path / "model.pt")  # fmt: skip
    with pytest.raises(UserError, match="untied"):
        read_source(tmp_path)
    torch.save({"args": args, "model": weights | {"classification_heads.a.dense.bias": torch.zeros(2)}},
               tmp_path / "model.pt")  # fmt: skip
    with pytest.raises(UserError, match="unexpected keys: classification_heads.a.dense.bias"):
        read_source(tmp_path)
    (tmp_path / "dict.txt").unlink()
    with pytest.raises(UserError, match="no dict.txt"):
        read_source(tmp_path)


def test_a_teacher_that_was_trained_on_is_a_source(hugging_face, tmp_path):
    from fairseq_littlebird.cli.warm_start import main

    main(["--from", str(hugging_face("RobertaForMaskedLM")[1]), "--out", str(tmp_path / "one"), "--to", "full"])
    main(["--from", str(tmp_path / "one"), "--out", str(tmp_path / "two"), "--to", "full"])
    one, two = (torch.load(tmp_path / n / "checkpoint.pt", weights_only=True)["model"] for n in ("one", "two"))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    for name in ("dict.txt", "model.args", "vocab.json", "merges.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    main(["--from", str(tmp_path / "two" / "checkpoint.pt"), "--out", str(tmp_path / "bird")])
    with pytest.raises(UserError, match="LittleBird model already"):
        read_source(tmp_path / "bird")


@pytest.mark.parametrize("older", ["encoder.embeddings.words.weight", "encoder.layers.0.q.weight"])
def test_a_checkpoint_of_an_older_version(tmp_path, older):
    """Some of its parameters have other names, and are listed neither as missing nor as unexpected."""
    weights = {"encoder.layers.0.attention.q.weight": torch.zeros(4, 4), older: torch.zeros(4, 4)}
    settings = {"_name": "full_attention", "encoder_attention_heads": 2}
    torch.save({"cfg": {"model": settings}, "model": weights}, tmp_path / "checkpoint_best.pt")
    (tmp_path / "dict.txt").write_text("a 1\n")
    with pytest.raises(UserError, match="older version.*littlebird-warm-start"):
        read_source(tmp_path)
