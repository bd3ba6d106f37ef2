"""littlebird-warm-start, through its arguments, files and exit status, and fairseq-train on what it writes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from fairseq import checkpoint_utils, models

import fairseq_littlebird
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.cli.warm_start import main
from fairseq_littlebird.conversion.adapters import HUGGING_FACE
from fairseq_littlebird.conversion.parameters import TOKEN_TYPES, encoder_shapes, head_shapes
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.modules.config import FullAttentionConfig

PACKAGE = Path(fairseq_littlebird.__file__).parent
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[unused0]",
    *"the stone bridge was by of a river port . !".split(),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """BERT with a masked-language-model head, made key by key."""
    folder = tmp_path_factory.mktemp("bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    config = {
        "model_type": "bert",
        "vocab_size": len(PIECES),
        "max_position_embeddings": 64,
        "hidden_act": "gelu",
        **sizes,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    own = FullAttentionConfig(len(PIECES), layers=3, embed_dim=16, ffn_embed_dim=24, heads=2, max_positions=64)
    generator = torch.Generator().manual_seed(0)
    shapes = encoder_shapes(own) | head_shapes(own)
    ours = {key: torch.randn(shape, generator=generator) * 0.1 for key, shape in shapes.items()}
    theirs = HUGGING_FACE["bert"].from_ours(ours | {TOKEN_TYPES: torch.ones(2, 16)})
    weights = {key: value for key, value in theirs.items() if "decoder" not in key}  # tied
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    return folder


def run(source, out, *more):
    main(["--from", str(source), "--out", str(out), *more])
    return out


def state(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, arguments)))
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("littlebird-warm-start: ") and error.count("\n") == 1
    return error


def test_the_folder(source, tmp_path, capsys):
    out = run(
        source,
        tmp_path / "out",
        "--pack-size",
        "4",
        "--block-size",
        "8",
        "--html-tags",
        "--add-token",
        "[TITLE]",
        "--add-word",
        "[OLD]",
    )
    assert {path.name for path in out.iterdir()} == {
        "checkpoint.pt",
        "dict.txt",
        "vocab.txt",
        "model.args",
        "README.md",
    }
    printed = capsys.readouterr().out
    count = sum(value.numel() for value in state(out)["model"].values())
    assert "littlebird_base from Hugging Face bert, 3 layers" in printed and f" {count:,} parameters" in printed
    words = load_dictionary(out)
    assert len(words) == len(state(out)["model"]["encoder.embeddings.tokens.weight"])
    assert {"[QUESTION]", "<mask>", "[TITLE]", "[OLD]", "<p>", "</table>", "bridge"} <= {*words.symbols}
    readme = (out / "README.md").read_text()
    for line in (
        "- `encoder.pack`: 4 random tokens",
        "`[QUESTION]`: as `<mask>`",
        "- Embedding of token type 0 added to every position embedding; the other 1 dropped.",
        "--finetune-from-model",
    ):
        assert line in readme


def test_the_model_is_built_from_the_checkpoint_alone(source, tmp_path):
    for n, more in enumerate((["--to", "full"], ["--positions", "learned", "--max-positions", "100", "--layers", "2"])):
        out = run(source, tmp_path / str(n), *more)
        loaded = checkpoint_utils.load_checkpoint_to_cpu(str(out / "checkpoint.pt"))
        task = checkpoint_utils.load_model_ensemble_and_task([str(out / "checkpoint.pt")])[2]
        model = models.build_model(loaded["cfg"].model, task)
        model.load_state_dict(loaded["model"], strict=True)
        assert model.encoder.config.max_positions == (100 if n else 64)


def test_the_seed_decides(source, tmp_path):
    one, same, other = (
        state(run(source, tmp_path / str(n), "--seed", str(seed)))["model"] for n, seed in enumerate((1, 1, 2))
    )
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["encoder.pack"], other["encoder.pack"])


@pytest.mark.parametrize(
    "more, message",
    [
        (["--arch", "littlebird_tiny"], "embed dim 64 against the source's 16"),
        (["--arch", "bert_full_base"], "'bert_full_base' is not an architecture of littlebird"),
        (["--layers", "4"], "4 layers of 3"),
        (["--to", "full", "--pack-size", "4"], "--pack-size with --to full"),
        (["--to", "longformer", "--pack-size", "4", "--no-window"], "--no-window, --pack-size with --to longformer"),
        (["--to", "bigbird_etc", "--max-positions", "9"], "that model takes --global-tokens, --local-radius, "),
        (["--attention-window", "4"], "--attention-window with --to littlebird"),
        (["--to", "longformer", "--attention-window", "7"], "window 7 is not an even number"),
        (["--to", "longformer", "--attention-window", "4,6"], "2 attention windows do not fit 3 layers"),
        (["--to", "bigbird_itc", "--arch", "longformer_base"], "'longformer_base' is not an architecture"),
        (["--to", "full", "--random-seed", "3"], "--random-seed with --to full"),
        (["--max-positions", "4"], "add --positions learned"),
        (["--pack-size", "0", "--no-window"], "nothing to attend to"),
        (["--add-token", "a b"], "'a b' cannot be a token"),
    ],
)
def test_options_that_do_not_fit(source, more, message, tmp_path, capsys):
    assert message in refused(capsys, "--from", source, "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_an_output_is_never_overwritten_unasked(source, tmp_path, capsys):
    out = run(source, tmp_path / "out")
    assert "add --overwrite" in refused(capsys, "--from", source, "--out", out)
    run(source, out, "--to", "full", "--overwrite")
    assert "bert_full_base" in (out / "model.args").read_text()
    assert "holds something else" in refused(capsys, "--from", source, "--out", source, "--overwrite")


def test_transformers_is_not_imported(source, tmp_path):
    code = f"""
import sys
from fairseq_littlebird.cli.warm_start import main
main(["--from", {str(source)!r}, "--out", {str(tmp_path / "out")!r}])
assert "transformers" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("to", ["littlebird", "full"])
def test_fairseq_trains_on(source, commands, forks, to, tmp_path):
    """From the command lines of the README: two updates with --finetune-from-model, or with --restore-file."""
    out = run(source, tmp_path / "out", "--to", to)
    rng = random.Random(0)
    text = "\n".join(" ".join(rng.choices(PIECES[6:], k=20)) for _ in range(40))
    (tmp_path / "text").write_text(text + "\n")
    prepare(["text", "--tokenizer", str(out), "--input", f"{tmp_path}/text", "--output", f"{tmp_path}/symbols"])
    checkpoint = str(out / "checkpoint.pt")
    start = {
        "littlebird": ["--finetune-from-model", checkpoint, "--padding-insertion"],
        "full": ["--restore-file", checkpoint, "--reset-optimizer", "--reset-dataloader", "--reset-meters",
                 "--reset-lr-scheduler"],
    }[to]  # fmt: skip

    def fairseq(name, *words):
        done = forks.run([commands / f"fairseq-{name}", *words], cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    fairseq("preprocess", "--only-source", "--srcdict", str(out / "dict.txt"), "--trainpref", "symbols",
            "--validpref", "symbols", "--destdir", "data")  # fmt: skip
    training = "--tokens-per-sample 32 --cpu --optimizer adam --lr 1e-3 --batch-size 4 --max-update 2 --save-dir saved"
    logged = fairseq(
        "train", "data", "--user-dir", str(PACKAGE), "--task", "littlebird_masked_lm", "--criterion", "masked_lm",
        *(out / "model.args").read_text().split(), *start, *training.split(),
    )  # fmt: skip
    assert "newly initialised" not in logged  # the head is the source's
    before, after = state(out)["model"], torch.load(tmp_path / "saved" / "checkpoint_last.pt", weights_only=True)
    assert before.keys() == after["model"].keys()
    assert after["optimizer_history"][-1]["num_updates"] == 2
    drift = max((after["model"][key] - before[key]).abs().max() for key in before)
    assert 0 < drift < 0.01  # two updates of 1e-3 away from the source, not from a random start
