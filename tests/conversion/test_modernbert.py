"""ModernBERT's folders: how either release writes its settings, what they become, and what is refused."""

from __future__ import annotations

import json
import re
import shutil

import numpy
import pytest
import safetensors.torch
import torch
from fairseq import checkpoint_utils

from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import load_tokenizer

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 160,
    "local_attention": 8,
}


@pytest.fixture
def folder(hugging_face, tmp_path):
    """``folder(name, **changes)``: a copy whose config.json is changed; a value of None removes the setting."""

    def folder(name="ModernBertForMaskedLM", **changes):
        path = tmp_path / "source"
        shutil.copytree(hugging_face(name)[1], path, dirs_exist_ok=True)
        config = json.loads((path / "config.json").read_text()) | changes
        kept = {key: value for key, value in config.items() if key not in changes or value is not None}
        (path / "config.json").write_text(json.dumps(kept))
        return path

    return folder


@pytest.fixture
def loaded():
    def loaded(out):
        [model], _, _ = checkpoint_utils.load_model_ensemble_and_task([str(out / "checkpoint.pt")])
        return model.eval()

    return loaded


def test_settings_of_both_releases(folder):
    """5 names rotary settings and layers one by one; 4 had two bases and a period, and the global base for none."""
    five = read_source(folder())
    assert five.config.attention_window == (0, 8, 0) and (five.config.rope_theta, five.config.local_rope_theta) == (
        160_000.0,
        10_000.0,
    )
    old = {"rope_parameters": None, "layer_types": None, "global_attn_every_n_layers": 2}
    assert read_source(folder(**old)).config == five.config
    assert read_source(folder(**old, position_embedding_type="sans_pos", reference_compile=True)).config == five.config
    other = read_source(folder(**old | {"global_attn_every_n_layers": 3}, global_rope_theta=5e3, local_rope_theta=7e3))
    assert other.config.attention_window == (0, 8, 8)
    assert (other.config.rope_theta, other.config.local_rope_theta) == (5e3, 7e3)
    path = folder(**old, global_rope_theta=5e3)
    config = json.loads((path / "config.json").read_text()) | {"local_rope_theta": None}
    (path / "config.json").write_text(json.dumps(config))
    assert read_source(path).config.local_rope_theta == 5e3


def probabilities(internals, real):
    scores = internals.q @ internals.k.transpose(-1, -2) * internals.q.shape[-1] ** -0.5
    place = torch.arange(real.shape[1])
    if internals.window:
        scores = scores.masked_fill((place - place[:, None]).abs() > internals.window // 2, -torch.inf)
    return scores.masked_fill(~real[:, None, None], -torch.inf).softmax(-1)


@pytest.mark.parametrize(
    "settings",
    [
        {"local_attention": 7, "global_attn_every_n_layers": 4},
        {"attention_bias": True, "norm_bias": False, "mlp_bias": False, "decoder_bias": False},
        {"norm_bias": True, "mlp_bias": True, "classifier_bias": True},
        {
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 90.0},
            },
            "hidden_activation": "gelu_pytorch_tanh",
            "classifier_activation": "gelu_pytorch_tanh",
            "norm_eps": 1e-4,
        },
    ],
)
def test_equals_transformers_at_lengths_beyond_the_window(
    transformers, vocabularies, their_numbers, loaded, settings, tmp_path
):
    """Hidden states, attention and logits of 90 tokens and of padding beside them."""
    from transformers import AutoModelForMaskedLM, ModernBertConfig

    files, count = vocabularies["modern"]
    numbers = their_numbers(files)
    special = {"pad_token_id": numbers["<pad>"], "cls_token_id": numbers["<s>"], "sep_token_id": numbers["</s>"]}
    special |= {"bos_token_id": numbers["<s>"], "eos_token_id": numbers["</s>"]}
    config = ModernBertConfig(vocab_size=count, **special, **SIZES | settings)
    config._attn_implementation = "eager"
    theirs = AutoModelForMaskedLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.2 * noise if "norm" in name and name.endswith("weight") else 0.3 * noise)
    source = tmp_path / "source"
    theirs.save_pretrained(source)
    for file in files.iterdir():
        shutil.copy(file, source)
    main(["--from", str(source), "--out", str(tmp_path / "out"), "--to", "full"])
    ours, dictionary = loaded(tmp_path / "out"), load_dictionary(tmp_path / "out")
    known = [n for n, symbol in enumerate(dictionary.symbols) if symbol != "[QUESTION]"]
    to_theirs = torch.tensor([numbers.get(symbol, 0) for symbol in dictionary.symbols])
    tokens = torch.tensor(known[4:])[torch.randint(len(known) - 4, (2, 90), generator=generator)]
    tokens[1, 50:] = dictionary.pad()
    real = tokens != dictionary.pad()
    with torch.no_grad():
        wanted = theirs(
            to_theirs[tokens], attention_mask=real.long(), output_hidden_states=True, output_attentions=True
        )
        hidden, extra = ours(tokens, return_all_hiddens=True, return_attention_internals=True, features_only=True)
        logits, _ = ours(tokens)
    close = {"rtol": 0, "atol": 1e-4}
    torch.testing.assert_close(hidden[real], wanted.hidden_states[-1][real], **close)
    for state, their_state in zip(extra["inner_states"][:-1], wanted.hidden_states[:-1], strict=True):
        torch.testing.assert_close(state[real], their_state[real], **close)
    for internals, attention in zip(extra["attention_internals"], wanted.attentions, strict=True):
        rows = probabilities(internals, real).transpose(1, 2)[real]
        torch.testing.assert_close(rows, attention.transpose(1, 2)[real], **close)
    torch.testing.assert_close(logits[real][:, known], wanted.logits[..., to_theirs[known]][real], **close)


def test_a_student_keeps_what_it_can(hugging_face, loaded, tmp_path):
    """Feed-forward networks, norms, projections, embeddings and the head; slopes in place of rotary positions."""
    _, folder = hugging_face("ModernBertForMaskedLM")
    source = read_source(folder)
    main(["--from", str(folder), "--out", str(tmp_path / "out"), "--pack-size", "4", "--block-size", "4"])
    arguments = (tmp_path / "out" / "model.args").read_text()
    assert arguments.startswith("--arch littlebird_modernbert_base ") and "--bias-free" in arguments
    model = loaded(tmp_path / "out")
    state, config = model.state_dict(), model.encoder.config
    assert config.form == source.config.form and config.positions == "bialibi"
    for key, value in source.state.items():
        if "embeddings.tokens" not in key and key != "lm_head.bias":
            assert torch.equal(state[key], value), key
    for n in range(3):
        layer = f"encoder.layers.{n}."
        for name in "qkv":
            assert torch.equal(
                state[f"{layer}pack_attention.{name}.weight"], source.state[f"{layer}attention.{name}.weight"]
            )
        if n:
            assert torch.equal(state[f"{layer}pack_norm.weight"], source.state[f"{layer}attention_norm.weight"])
        assert not state[f"{layer}attention.slopes.alpha"].any()
    assert not [key for key in state if key.endswith(".bias") and key != "lm_head.bias"]
    assert "Rotary positions dropped" in (tmp_path / "out" / "README.md").read_text()


def test_fewer_layers_are_the_chosen_ones(hugging_face, loaded, tmp_path):
    """The first layer here has no norm before its attention, whichever it was; windows stay with their layers."""
    _, folder = hugging_face("ModernBertForMaskedLM")
    source = read_source(folder)
    for to in ("full", "littlebird"):
        main(["--from", str(folder), "--out", str(tmp_path / to), "--to", to, "--layers", "2"])
        state = loaded(tmp_path / to).state_dict()
        for n, of in ((0, 0), (1, 2)):
            key = "encoder.layers.{}.attention.out.weight"
            assert torch.equal(state[key.format(n)], source.state[key.format(of)])
    assert loaded(tmp_path / "full").encoder.config.attention_window == ()  # both attend to all
    main(["--from", str(folder), "--out", str(tmp_path / "one"), "--layers", "1"])
    assert "encoder.layers.0.attention_norm.weight" not in loaded(tmp_path / "one").state_dict()
    assert "norm before layer 3's attention left out" in (tmp_path / "one" / "README.md").read_text()


def test_a_teacher_is_a_source(hugging_face, loaded, tmp_path):
    _, folder = hugging_face("ModernBertForMaskedLM")
    main(["--from", str(folder), "--out", str(tmp_path / "one"), "--to", "full"])
    main(["--from", str(tmp_path / "one"), "--out", str(tmp_path / "two"), "--to", "full"])
    one, two = (loaded(tmp_path / name) for name in ("one", "two"))
    assert one.encoder.config == two.encoder.config
    assert all(torch.equal(value, two.state_dict()[key]) for key, value in one.state_dict().items())
    for name in ("dict.txt", "model.args", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    main(["--from", str(tmp_path / "two" / "checkpoint.pt"), "--out", str(tmp_path / "bird")])
    assert loaded(tmp_path / "bird").encoder.config.form == one.encoder.config.form


def test_names_of_special_tokens(hugging_face, their_numbers, tmp_path):
    """mmBERT's, which are Gemma's: its <s> is a tag of HTML, and stands for nothing here."""
    theirs, folder = hugging_face("ModernBertForMaskedLM")
    numbers = their_numbers(folder)
    assert numbers["<s>"] == numbers["<bos>"] == 2 and numbers["</s>"] == 1
    source = read_source(folder)
    main(["--from", str(folder), "--out", str(tmp_path / "out")])
    dictionary = load_dictionary(tmp_path / "out")
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["model"]
    table = state["encoder.embeddings.tokens.weight"]
    for symbol in ("<s>", "</s>", "<pad>", "<unk>", "<mask>", "▁the"):
        row = source.state["encoder.embeddings.tokens.weight"][numbers[symbol]]
        assert torch.equal(table[dictionary.index(symbol)], row), symbol
    tokenizer = load_tokenizer(tmp_path / "out")
    text = "The <s>river</s> é, 月"
    symbols, offsets = tokenizer.encode(text)
    assert symbols.count("<unk>") == 2 and "<0xE6>" in symbols  # the tags; bytes of what has no token
    assert [text[start:end] for start, end in offsets][-1] == "月" and "é" in [text[s:e] for s, e in offsets]


@pytest.mark.parametrize(
    "name, text, symbol", [("ModernBertModel", "the   stone", "␠␠␠"), ("ModernBertForMaskedLM", "the\nstone", "␊")]
)
def test_tokens_of_white_space(hugging_face, their_numbers, name, text, symbol, tmp_path):
    """They keep their embeddings under names that dict.txt can hold, and cost no character its place."""
    _, folder = hugging_face(name)
    main(["--from", str(folder), "--out", str(tmp_path / "out")])
    dictionary, tokenizer = load_dictionary(tmp_path / "out"), load_tokenizer(tmp_path / "out")
    symbols, offsets = tokenizer.encode(text)
    assert symbol in symbols and "<unk>" not in symbols
    assert text[slice(*offsets[-1])] == "e" and tokenizer.decode(symbols) == text
    state = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["model"]
    row = read_source(folder).state["encoder.embeddings.tokens.weight"][their_numbers(folder)[text[3:-5]]]
    assert torch.equal(state["encoder.embeddings.tokens.weight"][dictionary.index(symbol)], row)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "deberta-v2"}, "model type 'deberta-v2' is not supported"),
        ({"model_type": "modernbert-decoder"}, "model type 'modernbert-decoder' is not supported"),
        ({"normalization": "rmsnorm"}, "another ModernBERT than LittleBird starts from: normalization"),
        ({"hidden_activation": "silu", "classifier_activation": "silu"}, "hidden_act is 'silu'"),
        ({"classifier_activation": "relu"}, "classifier_activation is 'relu', hidden_activation 'gelu'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling is .*without scaling"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}},
            "rotary positions of full_attention are .*rope_type 'default'",
        ),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, "rope_parameters is"),
        ({"rope_parameters": {"full_attention": {"rope_theta": float("nan")}}}, "base of rotary positions is nan"),
        ({"num_hidden_layers": 10**9, "layer_types": None}, "1000000000 layers, but"),
        ({"quantization_config": {"bits": 8}}, "another ModernBERT .*: quantization_config"),
        ({"layer_types": ["full_attention"]}, "layer_types is"),
        ({"layer_types": ["full_attention", "chunked_attention", "full_attention"]}, "layer_types is"),
        ({"local_attention": "wide"}, "local_attention is 'wide'"),
        ({"mlp_bias": 1}, "mlp_bias is 1"),
        ({"mlp_bias": True}, "6 missing keys: layers.0.mlp.Wi.bias"),
        ({"num_hidden_layers": 2, "layer_types": None}, "no place for: layers.2."),
        ({"intermediate_size": 32}, r"layers.0.mlp.Wi.weight is \[48, 16\] instead of \[64, 16\]"),
    ],
)
def test_what_is_refused_in_one_line(folder, capsys, changes, message, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        main(["--from", str(folder(**changes)), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=message):
        read_source(folder(**changes))


def test_shapes_of_joined_projections(folder):
    path = folder()
    weights = safetensors.torch.load_file(path / "model.safetensors")
    key = "model.layers.1.attn.Wqkv.weight"
    safetensors.torch.save_file(weights | {key: weights[key][:40].clone()}, path / "model.safetensors")
    with pytest.raises(UserError, match=r"layers.1.attn.Wqkv.weight is \[40, 16\] instead of \[48, 16\]"):
        read_source(path)
    safetensors.torch.save_file({k: v for k, v in weights.items() if k != key}, path / "model.safetensors")
    with pytest.raises(UserError, match="1 missing keys: layers.1.attn.Wqkv.weight"):
        read_source(path)
    more = {"decoder.weight": weights["model.embeddings.tok_embeddings.weight"] + 1}
    safetensors.torch.save_file(weights | more, path / "model.safetensors")
    with pytest.raises(UserError, match="untied"):
        read_source(path)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--to", "bigbird_itc"], "cannot become bigbird_itc; write --to full or littlebird"),
        (["--to", "longformer"], "cannot become longformer"),
        (["--to", "littlebird_seq2seq"], "cannot become littlebird_seq2seq"),
        (["--positions", "learned"], "rotary positions cannot become learned ones"),
        (["--arch", "littlebird_base"], "normalize before False against the source's True"),
    ],
)
def test_what_it_cannot_become(folder, capsys, options, message, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        main(["--from", str(folder()), "--out", str(tmp_path / "out"), *options])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and len(error.splitlines()) == 1
    assert re.search(message, error), error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ModernBertForMaskedLM", "ModernBertModel"])
def test_back_to_a_folder_of_transformers(transformers, hugging_face, loaded, name, tmp_path):
    """A student that littlebird-export wrote, with the source's tokenizer, by its own code: to 1e-5."""
    from fairseq_littlebird.cli.export import main as export

    _, folder = hugging_face(name)
    sizes = ["--pack-size", "4", "--block-size", "4"]
    main(["--from", str(folder), "--out", str(tmp_path / "student"), *sizes])
    export(["hf", str(tmp_path / "student"), str(tmp_path / f"exported-{name}")])
    auto = transformers.AutoModelForMaskedLM if name.endswith("MaskedLM") else transformers.AutoModel
    theirs = auto.from_pretrained(tmp_path / f"exported-{name}", trust_remote_code=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / f"exported-{name}", trust_remote_code=True)
    ours, dictionary = loaded(tmp_path / "student"), load_dictionary(tmp_path / "student")
    tokens = load_tokenizer(tmp_path / "student")
    texts = ["The stone bridge of Oslo was painted.", "Nobody knew!"]
    encoded = tokenizer(texts, padding=True, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")
    rows = [["<s>", *tokens.tokenize(text), "</s>"] for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([[dictionary.index(s) for s in [*row, *["<pad>"] * (width - len(row))]] for row in rows])
    real = encoded["attention_mask"].bool()
    assert torch.equal(real, ids != dictionary.pad())
    told, exact = offsets[0][1 : len(rows[0]) - 1].tolist(), tokens.encode(texts[0])[1]
    assert [texts[0][s:e].strip() for s, e in told] == [texts[0][s:e].strip() for s, e in exact]
    with torch.no_grad():
        found = theirs(**encoded, output_hidden_states=True)
        hidden, extra = ours(ids, features_only=True, return_all_hiddens=True)
    for one, other in zip(found.hidden_states, extra["inner_states"], strict=True):
        torch.testing.assert_close(one[real], other[real], rtol=0, atol=1e-5)
    if name.endswith("MaskedLM"):
        with torch.no_grad():
            logits, _ = ours(ids)
        for symbol in ("<s>", "</s>", "<mask>", "▁the", "[QUESTION]"):
            own = {"<s>": tokenizer.bos_token, "</s>": tokenizer.eos_token}.get(symbol, symbol)
            column = found.logits[..., tokenizer.convert_tokens_to_ids(own)]
            torch.testing.assert_close(column[real], logits[..., dictionary.index(symbol)][real], rtol=0, atol=1e-5)
        assert (tokenizer.bos_token, tokenizer.pad_token, tokenizer.mask_token) == ("<bos>", "<pad>", "<mask>")
    else:
        torch.testing.assert_close(found.last_hidden_state[real], hidden[real], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_student_as_an_onnx_graph(hugging_face, loaded, tmp_path):
    """By onnxruntime alone, with the tokenizer beside it: logits to 1e-4 at two lengths, with padding."""
    from fairseq_littlebird.cli.export import main as export

    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    runtime, tokenizers = pytest.importorskip("onnxruntime"), pytest.importorskip("tokenizers")
    _, folder = hugging_face("ModernBertForMaskedLM")
    sizes = ["--layers", "2", "--pack-size", "4", "--block-size", "8"]
    main(["--from", str(folder), "--out", str(tmp_path / "student"), *sizes])
    export(["onnx", str(tmp_path / "student"), str(tmp_path / "graph")])
    session = runtime.InferenceSession(str(tmp_path / "graph" / "model.onnx"))
    own = tokenizers.Tokenizer.from_file(str(tmp_path / "graph" / "tokenizer.json"))
    own.enable_padding(pad_id=own.token_to_id("<pad>"), pad_token="<pad>")
    ours, dictionary = loaded(tmp_path / "student"), load_dictionary(tmp_path / "student")
    tokens = load_tokenizer(tmp_path / "student")
    names = {"<bos>": "<s>", "<eos>": "</s>"} | {"<s>": "", "</s>": ""}  # tags of HTML, which no text becomes
    symbols = [(number, names.get(piece, piece)) for piece, number in own.get_vocab().items()]
    known = {n: dictionary.index(symbol) for n, symbol in symbols if symbol in dictionary}
    for count in (3, 20):
        texts = [" ".join(["The stone bridge of Oslo."] * count), "Nobody knew!"]
        encoded = own.encode_batch(texts)
        ids, mask = ([getattr(one, name) for one in encoded] for name in ("ids", "attention_mask"))
        rows = [["<s>", *tokens.tokenize(text), "</s>"] for text in texts]
        width = max(map(len, rows))
        numbers = torch.tensor([[dictionary.index(s) for s in [*row, *["<pad>"] * (width - len(row))]] for row in rows])
        inputs = {"input_ids": numpy.array(ids), "attention_mask": numpy.array(mask)}
        real = torch.tensor(mask).bool()
        assert torch.equal(real, numbers != dictionary.pad()) and width > 8 * count
        with torch.no_grad():
            wanted = ours(numbers)[0][real][:, [*known.values()]]
        found = torch.from_numpy(session.run(["logits"], inputs)[0])[real][:, [*known]]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_a_table_rounded_up(folder, capsys, tmp_path):
    """Embeddings behind the tokenizer's last token are left out; of any other number they are of another tokenizer."""
    path = folder()
    weights = safetensors.torch.load_file(path / "model.safetensors")
    table = weights["model.embeddings.tok_embeddings.weight"]
    main(["--from", str(path), "--out", str(tmp_path / "as it is")])
    as_it_is = torch.load(tmp_path / "as it is" / "checkpoint.pt", weights_only=True)["model"]
    rounded_up = -(-len(table) // 64) * 64
    for count in (rounded_up, rounded_up + 1):
        more = torch.ones(count - len(table), table.shape[1])
        rounded = {"model.embeddings.tok_embeddings.weight": torch.cat([table, more])}
        rounded["decoder.bias"] = torch.cat([weights["decoder.bias"], more[:, 0]])
        path = folder(vocab_size=count)
        safetensors.torch.save_file(weights | rounded, path / "model.safetensors")
        if count > rounded_up:
            with pytest.raises(SystemExit):
                main(["--from", str(path), "--out", str(tmp_path / str(count))])
            assert f"the model {count} token embeddings" in capsys.readouterr().err
            continue
        main(["--from", str(path), "--out", str(tmp_path / str(count))])
        state = torch.load(tmp_path / str(count) / "checkpoint.pt", weights_only=True)["model"]
        assert all(torch.equal(value, state[key]) for key, value in as_it_is.items())
