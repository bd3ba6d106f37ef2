"""LED and BigBird-Pegasus as transformers' own classes, and back, against the models of fairseq."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_littlebird.cli.export import main
from fairseq_littlebird.cli.warm_start import main as warm_start
from fairseq_littlebird.data.dictionary import load_dictionary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"the stone bridge was by of a river port . !".split()]


@pytest.fixture(scope="module")
def trained(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``trained(family)``: a folder with a checkpoint, made from BERT or from one of transformers'."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            root = tmp_path_factory.mktemp(family)
            (root / "theirs").mkdir()
            (root / "theirs" / "vocab.txt").write_text("\n".join(PIECES) + "\n")
            torch.manual_seed(0)
            if family == "bigbird_pegasus":
                config = transformers.BigBirdPegasusConfig(
                    vocab_size=len(PIECES), d_model=16, encoder_layers=2, decoder_layers=1, encoder_ffn_dim=24,
                    decoder_ffn_dim=20, encoder_attention_heads=2, decoder_attention_heads=4, block_size=4,
                    max_position_embeddings=128, pad_token_id=0, eos_token_id=3, decoder_start_token_id=2,
                )  # fmt: skip
                model = transformers.BigBirdPegasusForConditionalGeneration(config)
            else:
                config = transformers.BertConfig(
                    vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                    intermediate_size=24, max_position_embeddings=128, layer_norm_eps=1e-5,
                )  # fmt: skip
                model = transformers.BertModel(config)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += 0.2 * torch.randn_like(parameter)
            model.save_pretrained(root / "theirs")
            more = ["--max-positions", "128", "--attention-window", "8,16"] if family == "led" else []
            warm_start(["--from", str(root / "theirs"), "--out", str(root / "ours"), "--to", family, *more])
            made[family] = root / "ours"
        return made[family]

    return make


def load(folder: Path) -> Any:
    for language in ("source", "target"):
        (folder / f"dict.{language}.txt").write_text((folder / "dict.txt").read_text())
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(folder / "checkpoint.pt")], arg_overrides={"data": str(folder)}
    )
    return models[0].eval()


@pytest.mark.parametrize("family", ["led", "bigbird_pegasus"])
def test_transformers_computes_the_same_and_it_comes_back(
    transformers: Any, trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str
) -> None:
    folder = trained(family)
    main(["hf", str(folder), str(tmp_path / "hf")])
    assert "for transformers" in capsys.readouterr().out
    assert not list((tmp_path / "hf").glob("*.py"))
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "hf").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    ours, symbols = load(folder), load_dictionary(folder).symbols
    assert type(theirs).__module__.startswith("transformers.models")
    text = " ".join(["the stone bridge was by a river port ."] * 9)
    inputs = tokenizer(text, return_tensors="pt")
    names = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[UNK]": "<unk>", "[MASK]": "<mask>"}
    ids = {n: symbols.index(names.get(piece, piece)) for piece, n in tokenizer.get_vocab().items()}
    source = torch.tensor([[ids[int(n)] for n in inputs["input_ids"][0]]])
    assert source[0, 0] == symbols.index("<s>") and source[0, -1] == symbols.index("</s>")
    if family == "led":
        inputs["global_attention_mask"] = torch.zeros_like(source).index_fill(1, torch.tensor([0]), 1)
    target = inputs["input_ids"][:, :6].clone()
    start = theirs.config.decoder_start_token_id
    assert names[tokenizer.convert_ids_to_tokens(start)] == ("</s>" if family == "led" else "<s>")
    target[:, 0] = start
    own = torch.tensor([[ids[int(n)] for n in target[0]]])
    order = torch.tensor([ids[n] for n in range(len(ids))])
    with torch.no_grad():
        wanted = ours(source, None, own)[0]
        got = theirs(**inputs, decoder_input_ids=target).logits
    torch.testing.assert_close(got, wanted[..., order], atol=1e-4, rtol=1e-4)
    assert theirs.generate(**inputs, num_beams=2, max_new_tokens=4).shape[1] <= 5
    warm_start(["--from", str(tmp_path / "hf"), "--out", str(tmp_path / "again"), "--to", family])
    again, there = load(tmp_path / "again"), load_dictionary(tmp_path / "again").symbols
    assert there == symbols
    assert theirs.get_output_embeddings().weight is theirs.get_input_embeddings().weight  # shared, there and back
    assert again.decoder.embed_tokens.weight is again.encoder.embeddings.tokens.weight
    assert again.decoder.output_projection.weight is again.encoder.embeddings.tokens.weight
    for (name, a), (_, b) in zip(again.named_parameters(), ours.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["hf", *arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def change(folder: Path, out: Path, **options: Any) -> Path:
    out.mkdir()
    for file in folder.iterdir():
        if file.name != "checkpoint.pt":
            (out / file.name).write_bytes(file.read_bytes())
    content = torch.load(folder / "checkpoint.pt", weights_only=False)
    content["cfg"]["model"] |= options
    torch.save(content, out / "checkpoint.pt")
    return out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_dilation": "2"}, "transformers has no dilated windows"),
        ({"attention_window": "8,12"}, "transformers needs such that divide the largest"),
        ({"layer_norm_eps": 1e-12}, "transformers has 1e-5 there"),
        ({"_name": "littlebird_seq2seq"}, "which transformers has no class for"),
        ({"encoder_ffn_embed_dim": 25}, "the weights do not fit the model they came with"),
    ],
)
def test_what_transformers_has_not(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], message: str
) -> None:
    folder = change(trained("led"), tmp_path / "changed", **options)
    assert message in refused(capsys, str(folder), str(tmp_path / "hf"))
    assert not (tmp_path / "hf").exists()


def test_options_of_other_models(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, str(trained("led")), str(tmp_path / "hf"), "--max-answer-length", "5")
    assert "--max-answer-length with an encoder–decoder" in error


def test_random_blocks_are_named(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = change(trained("bigbird_pegasus"), tmp_path / "changed", random_attention="seeded")
    main(["hf", str(folder), str(tmp_path / "hf")])
    assert "transformers reads block 0 again" in capsys.readouterr().out
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["num_random_blocks"] == 3
