"""littlebird-warm-start from encoder–decoders, and to them: what it writes, fairseq loads and transformers' equals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from fairseq import checkpoint_utils
from helpers.seq2seq import CONFIGS, IDS, SIDES, randomise
from torch import Tensor, nn

from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.data.dictionary import load_dictionary

TEXT = (
    "The stone bridge of Oslo was painted by Mara Lindt.",
    "Nobody knew that the night train crossed a river port in Turin!",
)
UNITS = ["<s>", "<pad>", "</s>", "<unk>", *(f"u{n}" for n in range(30)), "<mask>"]


@pytest.fixture(scope="module")
def pegasus_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model with Pegasus' special tokens."""
    prefix = tmp_path_factory.mktemp("pieces") / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 5), model_prefix=str(prefix), vocab_size=60, hard_vocab_limit=False,
        minloglevel=2, pad_id=0, eos_id=1, bos_id=2, unk_id=3, user_defined_symbols=["[MASK]"],
    )  # fmt: skip
    return prefix.with_suffix(".model")


@pytest.fixture(scope="module")
def folders(transformers: Any, tmp_path_factory: pytest.TempPathFactory, pegasus_pieces: Path) -> Any:
    """``folders(kind)``: a random model of transformers, and its folder with a tokenizer."""
    made: dict[str, tuple[Any, Path]] = {}

    def make(kind: str) -> tuple[Any, Path]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            name, configuration, more = CONFIGS[kind]
            if "pegasus" in kind:
                model = sentencepiece.SentencePieceProcessor(model_file=str(pegasus_pieces))
                start = 0 if kind == "pegasus" else 2
                ids = {"vocab_size": model.get_piece_size(), "pad_token_id": 0, "eos_token_id": 1,
                       "decoder_start_token_id": start}  # fmt: skip
                (folder / "spiece.model").write_bytes(pegasus_pieces.read_bytes())
            else:
                ids = IDS | {"vocab_size": len(UNITS)}
                (folder / "vocab.json").write_text(json.dumps({unit: n for n, unit in enumerate(UNITS)}))
                (folder / "merges.txt").write_text("#version: 0.2\n")
            config = getattr(transformers, configuration)(**SIDES, **ids, **more)
            theirs = getattr(transformers, name)(config).eval()
            randomise(theirs)
            if kind == "pegasus":
                for key, parameter in theirs.named_parameters():
                    if "attn" in key and "norm" not in key and key.endswith("bias"):
                        nn.init.zeros_(parameter)
            theirs.save_pretrained(folder)
            made[kind] = theirs, folder
        return made[kind]

    return make


def convert(source: Path, out: Path, to: str, *more: str) -> Any:
    """The model that fairseq loads from what the command wrote."""
    main(["--from", str(source), "--out", str(out), "--to", to, *more])
    return load(out)


def load(out: Path) -> Any:
    dictionary = load_dictionary(out)
    for language in ("source", "target"):
        (out / f"dict.{language}.txt").write_text((out / "dict.txt").read_text())
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(out / "checkpoint.pt")], arg_overrides={"data": str(out)}
    )
    assert len(dictionary) == len(models[0].decoder.embed_tokens.weight)
    return models[0].eval()


def ids_of(kind: str, out: Path, pieces: Path) -> list[int]:
    """The source's id of each token of the dictionary; -1 for a new one."""
    if "pegasus" not in kind:
        own = {unit: n for n, unit in enumerate(UNITS)}
    else:
        model = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
        own = {model.id_to_piece(n): n for n in range(model.get_piece_size())}
        own |= {"<mask>": own["[MASK]"]} | {"<s>": 0 if kind == "pegasus" else 2}
    return [own.get(symbol, -1) for symbol in load_dictionary(out).symbols]


@pytest.mark.parametrize(
    ("kind", "to"),
    [("led", "led"), ("bigbird_pegasus", "bigbird_pegasus"), ("bart", "led"), ("pegasus", "bigbird_pegasus")],
)
def test_the_logits_are_the_source_s(folders: Any, pegasus_pieces: Path, tmp_path: Path, kind: str, to: str) -> None:
    """In the dictionary's order; BART's and Pegasus' on texts that a window or few blocks hold whole."""
    theirs, source = folders(kind)
    more = ["--max-positions", "160"] if kind == "bart" else []
    ours = convert(source, tmp_path / "out", to, *more)
    ids = torch.tensor(ids_of(kind, tmp_path / "out", pegasus_pieces))
    known = ids.ge(0).nonzero().squeeze(1)
    length = 97 if kind == to else 50
    ordinary = known[(known > 3)]
    tokens = ordinary[torch.randint(len(ordinary), (2, length), generator=torch.Generator().manual_seed(0))]
    start = 0 if "pegasus" in kind else 2
    target = ordinary[torch.randint(len(ordinary), (2, 7), generator=torch.Generator().manual_seed(1))]
    target[:, 0] = start
    if kind == "bart":
        nothing = torch.zeros_like(tokens, dtype=torch.bool)
        options: dict[str, Tensor] = {"global_tokens": nothing}
    else:
        options = {}
    inputs: dict[str, Tensor] = {"attention_mask": torch.ones_like(tokens)}
    if kind == "led":
        inputs["global_attention_mask"] = (torch.arange(length) == 0).long().expand_as(tokens)
    with torch.no_grad():
        got = ours(tokens, None, target, **options)[0][..., known]
        wanted = theirs(input_ids=ids[tokens], decoder_input_ids=ids[target], **inputs).logits[..., ids[known]]
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_bart_s_positions_are_copied(folders: Any, tmp_path: Path) -> None:
    ours = convert(folders("bart")[1], tmp_path / "out", "led")
    table = ours.encoder.embeddings.positions.weight
    assert len(table) == 16384
    assert torch.equal(table[:60], table[60:120])
    assert len(ours.decoder.embed_positions.weight) == 60


def test_pegasus_positions_go_on(folders: Any, tmp_path: Path) -> None:
    ours = convert(folders("pegasus")[1], tmp_path / "out", "bigbird_pegasus")
    table = ours.encoder.embeddings.positions.weight
    assert len(table) == 4096
    assert not torch.allclose(table[:60], table[60:120], atol=0.1)
    angles = 100 * 10000.0 ** -(torch.arange(8) * 2 / 16)
    torch.testing.assert_close(table[100, :8], angles.sin(), atol=1e-4, rtol=1e-4)


def test_bert_is_encoder_and_decoder(source: Path, tmp_path: Path) -> None:
    """E.5's recipe: only cross-attention is new, and the two sides are the same modules after loading."""
    ours = convert(source, tmp_path / "out", "bigbird_roberta", "--block-size", "8")
    for theirs, layer in zip(ours.encoder.layers, ours.decoder.layers, strict=True):
        assert layer.self_attn.q_proj is theirs.attention.q
        assert layer.fc2 is theirs.ffn.fc2
    assert ours.decoder.embed_positions.weight is ours.encoder.embeddings.positions.weight
    report = (tmp_path / "out" / "README.md").read_text()
    initialised = report.partition("## Initialised")[2].partition("##")[0]
    assert "encoder_attn.q_proj" in initialised
    assert "self_attn" not in initialised and "fc1" not in initialised and "encoder.layers" not in initialised


@pytest.mark.parametrize("to", ["led", "littlebird_seq2seq"])
@pytest.mark.parametrize("kind", ["bert", "bart"])
def test_both_kinds_of_sources(folders: Any, source: Path, tmp_path: Path, kind: str, to: str) -> None:
    where = source if kind == "bert" else folders(kind)[1]
    ours = convert(where, tmp_path / "out", to)
    layer = ours.decoder.layers[0]
    assert layer.self_attn.q_proj.weight is not ours.encoder.layers[0].attention.q.weight
    if kind == "bert":
        assert torch.equal(layer.self_attn.q_proj.weight, ours.encoder.layers[0].attention.q.weight)
    arguments = (tmp_path / "out" / "model.args").read_text()
    assert f"--arch {to}_base" in arguments
    assert ("--cross-positions sinusoidal" in arguments) == (to == "littlebird_seq2seq")


def test_the_mean_of_the_positions_is_taken_off_the_decoder_s(folders: Any, tmp_path: Path) -> None:
    """It is part of the token embeddings of an encoder without positions; logits move by one constant."""
    _, where = folders("bart")
    with_table = convert(where, tmp_path / "a", "littlebird_seq2seq", "--positions", "learned", "--pack-size", "0")
    without = convert(where, tmp_path / "b", "littlebird_seq2seq", "--pack-size", "0")
    memory = {"encoder_out": [torch.randn(9, 1, 16)], "encoder_padding_mask": []}
    target = torch.tensor([[2, 7, 9, 12]])
    for model in (with_table, without):
        model.decoder.cross_positions = "none"
    with torch.no_grad():
        a, b = (model.decoder(target, memory)[0].log_softmax(-1) for model in (with_table, without))
    known = torch.tensor([0, *range(2, len(UNITS))])
    torch.testing.assert_close(a[..., known] - a[..., :1], b[..., known] - b[..., :1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "to", "message"),
    [
        ("pegasus", "led", "pegasus has its norms before"),
        ("bart", "bigbird_pegasus", "bart has its norms after"),
        ("bart", "bigbird_roberta", "has a decoder of its own"),
        ("bart", "littlebird", "model type 'bart'"),
    ],
)
def test_sources_that_do_not_fit(
    folders: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, to: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--from", str(folders(kind)[1]), "--out", str(tmp_path / "out"), "--to", to])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale_embedding": True}, "scale_embedding is True"),
        ({"activation_function": "silu"}, "activation_function is 'silu'"),
        ({"decoder_layers": 2}, "keys that the configuration's"),
        ({"encoder_ffn_dim": 41}, "keys of another shape"),
        ({"d_model": None}, "d_model is None"),
    ],
)
def test_configurations_that_do_not_fit(
    folders: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folders("bart")[1].iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(SystemExit):
        main(["--from", str(copy), "--out", str(tmp_path / "out"), "--to", "led"])
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_bias_of_logits_is_refused(transformers: Any, folders: Any, tmp_path: Path) -> None:
    from fairseq_littlebird.conversion.seq2seq.adapters import BART
    from fairseq_littlebird.errors import UserError

    state = dict(folders("bart")[0].state_dict())
    state["final_logits_bias"] = torch.ones(1, len(UNITS))
    with pytest.raises(UserError, match="final_logits_bias is not 0"):
        BART.to_ours(state, "x")


def test_fairseq_s_bart(tmp_path: Path) -> None:
    """A checkpoint of fairseq's own BART; a text that the window holds whole gives its logits."""
    import argparse

    from fairseq.models.bart import BARTModel
    from fairseq.models.bart.model import bart_base_architecture
    from helpers.seq2seq import dictionary

    args = argparse.Namespace(
        arch="bart_base", encoder_layers=2, decoder_layers=2, encoder_embed_dim=16, encoder_ffn_embed_dim=24,
        encoder_attention_heads=2, decoder_attention_heads=4, max_source_positions=60, max_target_positions=60,
    )  # fmt: skip
    bart_base_architecture(args)
    words = dictionary()
    words.add_symbol("<mask>")
    theirs = BARTModel.build_model(args, argparse.Namespace(source_dictionary=words, target_dictionary=words)).eval()
    randomise(theirs)
    words.save(str(tmp_path / "dict.txt"))
    torch.save({"args": args, "model": theirs.state_dict()}, tmp_path / "model.pt")
    ours = convert(tmp_path, tmp_path / "out", "led", "--max-positions", "120")
    source, target = torch.randint(4, 40, (2, 50)), torch.randint(4, 40, (2, 6))
    with torch.no_grad():
        wanted = theirs(source, torch.tensor([50, 50]), target)[0]
        got = ours(source, None, target, global_tokens=torch.zeros_like(source, dtype=torch.bool))[0]
    torch.testing.assert_close(got[..., : len(words)], wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def source(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT of transformers, with WordPiece."""
    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"the stone bridge was by of a river port . !".split()]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=64,
    )  # fmt: skip
    model = transformers.BertForMaskedLM(config)
    randomise(model)
    model.save_pretrained(folder)
    return folder
