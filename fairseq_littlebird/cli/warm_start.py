"""littlebird-warm-start: a pretrained encoder becomes a LittleBird model, its teacher, or one of its peers."""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from fairseq_littlebird.cli.numbers import count as _count
from fairseq_littlebird.cli.numbers import positive as _positive
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from fairseq_littlebird.checkpoints.source import Source
    from fairseq_littlebird.checkpoints.vocabulary import Words
    from fairseq_littlebird.modules.config import EncoderConfig

NAMES = ("checkpoint.pt", "model.args", "README.md", *FILES)
"""Every name in the folder."""

TEXT, QUESTIONS = "littlebird_masked_lm", "question_answering"


class Target(NamedTuple):
    """A model to write.

    Args:
        model: its name in fairseq's registry, and in those of its architectures.
        options: of the command line, those that it takes and not every model.
        state: of ``checkpoints.warm_start``, the function that makes its parameters.
    """

    model: str
    options: tuple[str, ...]
    state: str


TARGETS = {
    "littlebird": Target(
        "littlebird", ("pack_size", "block_size", "positions", "no_window", "max_positions"), "littlebird_state"
    ),
    "full": Target("full_attention", (), "full_attention_state"),
    "bigbird_itc": Target(
        "bigbird_itc",
        ("block_size", "random_blocks", "random_attention", "random_seed", "max_positions"),
        "full_attention_state",
    ),
    "bigbird_etc": Target("bigbird_etc", ("global_tokens", "local_radius", "max_distance"), "bigbird_etc_state"),
    "longformer": Target("longformer", ("attention_window", "attention_dilation", "max_positions"), "longformer_state"),
}
"""By what ``--to`` calls them."""
OPTIONS = sorted({option for target in TARGETS.values() for option in target.options})
SIZES = ("layers", "embed_dim", "ffn_embed_dim", "heads", "word_embed_dim", "layer_norm_eps", "activation")
"""Those that the weights fix, by the names of EncoderConfig."""


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    check_folder(options.out, NAMES, options.overwrite)
    with TemporaryDirectory() as own:
        _convert(options, Path(own))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-warm-start",
        description="Writes a fairseq checkpoint, dict.txt, the tokenizer's files, model.args for fairseq-train, and a "
        "README.md that says what was mapped, tiled, dropped and initialised.",
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="fairseq RoBERTa or XLM-R (model.pt or its folder), a Hugging Face folder of BERT, RoBERTa, XLM-R, "
        "ELECTRA, BigBird or Longformer, also with a head for questions, or a checkpoint of the full-attention encoder "
        "or a folder with one",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--to",
        choices=TARGETS,
        default="littlebird",
        help="full: full attention, as the teacher of a distillation (%(default)s)",
    )
    parser.add_argument(
        "--arch", metavar="NAME", help="a fairseq architecture, whose sizes must be the source's (from the source)"
    )
    parser.add_argument("--pack-size", type=_count, metavar="N", help="packed rows; 0 for none (the architecture's)")
    parser.add_argument(
        "--block-size", type=_positive, metavar="N", help="tokens a block (a BigBird source's, the architecture's)"
    )
    parser.add_argument(
        "--random-blocks", type=_count, metavar="N", help="BigBird: blocks drawn (the source's, the architecture's)"
    )
    parser.add_argument(
        "--random-attention",
        choices=("seeded", "first_block"),
        help="BigBird: first_block computes what transformers does outside training (which a BigBird source gets)",
    )
    parser.add_argument("--random-seed", type=_count, metavar="N", help="BigBird: of the blocks drawn (0)")
    parser.add_argument(
        "--attention-window", metavar="N[,N…]", help="Longformer: tokens a window, of all layers or of each (512)"
    )
    parser.add_argument(
        "--attention-dilation", metavar="N[,N…]", help="Longformer: steps of a window, of all heads or of each (1)"
    )
    parser.add_argument("--global-tokens", type=_positive, metavar="N", help="BigBird-ETC (the architecture's)")
    parser.add_argument("--local-radius", type=_positive, metavar="N", help="BigBird-ETC (the architecture's)")
    parser.add_argument("--max-distance", type=_positive, metavar="N", help="BigBird-ETC (the architecture's)")
    parser.add_argument("--layers", type=_positive, metavar="N", help="evenly spaced layers of the source (all)")
    parser.add_argument(
        "--positions",
        choices=("bialibi", "learned", "none"),
        help="learned tiles the source's position rows (bialibi)",
    )
    parser.add_argument(
        "--no-window", action="store_true", default=None, help="ablation: attend to the packed rows alone"
    )
    parser.add_argument(
        "--max-positions",
        type=_positive,
        metavar="N",
        help="rows of learned positions: the source's, repeated (the source's; BigBird-ITC and Longformer: 4096)",
    )
    parser.add_argument(
        "--add-word",
        nargs="+",
        action="extend",
        default=[],
        metavar="WORD",
        help="new words of the dictionary, for programs to put between tokens: text itself never becomes one",
    )
    parser.add_argument(
        "--html-tags", action="store_true", help="new words for the tags of paragraphs, headings, lists and tables"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what is drawn at random (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    return parser


def _convert(options: argparse.Namespace, own: Path) -> None:
    """``own`` is an empty folder, for the dictionary and the tokenizer that a checkpoint carries."""
    # argument parsing and --help should not wait for torch
    import torch

    from fairseq_littlebird.checkpoints import warm_start
    from fairseq_littlebird.checkpoints.report import report
    from fairseq_littlebird.checkpoints.source import read_source
    from fairseq_littlebird.registration import register

    register()
    target = TARGETS[options.to]
    _check_options(options, target)
    source = read_source(options.source)
    words, tokenizer = _words(source, options, own)
    layers = warm_start.spaced_layers(source.config.layers, _layers(source, options))
    model, arch = _model(source, options, layers)
    title, config = _built(target, model, len(words.symbols))
    generator = torch.Generator().manual_seed(options.seed)
    state = getattr(warm_start, target.state)(source, words, config, layers, generator)
    arguments = _model_args(arch, model, target, config)
    with whole_folder(options.out, NAMES, options.overwrite) as folder:
        (folder / "dict.txt").write_text("".join(f"{line}\n" for line in words.lines), "utf-8")
        (folder / "model.args").write_text(arguments + "\n", "utf-8")
        for name, file in (tokenizer.files if tokenizer else {}).items():
            shutil.copyfile(file, folder / name)
        torch.save(_checkpoint(state, model, source, options, folder), folder / "checkpoint.pt")
        how_to_go_on, files = _commands(options, source, config), _tokenizer_line(tokenizer)
        text = report(title, source, words, config, state, layers, arguments, how_to_go_on, files)
        (folder / "README.md").write_text(text, "utf-8")
    count = sum(value.numel() for value in state.values())
    head = "a masked-language-model head" if source.has_head else f"a span head ({source.span_head})"
    print(
        f"{options.out}: {arch} from {source.kind}, {len(layers)} layers, {count / 1e6:.1f} M parameters, "
        f"{len(words.symbols):,} words, {len(words.new)} of them new, "
        f"{f'with {head}' if source.has_head or source.span_head else 'without a head'}; "
        "README.md says what became of all"
    )


def _check_options(options: argparse.Namespace, target: Target) -> None:
    wrong = [name for name in OPTIONS if getattr(options, name) is not None and name not in target.options]
    if wrong:
        raise UserError(
            f"{', '.join(map(_flag, wrong))} with --to {options.to}",
            remedy=f"leave it out: that model takes {', '.join(map(_flag, target.options)) or 'none such'}",
        )


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _words(source: Source, options: argparse.Namespace, own: Path) -> tuple[Words, Tokenizer | None]:
    """The dictionary, and the tokenizer if there is one."""
    from fairseq_littlebird.checkpoints import vocabulary
    from fairseq_littlebird.checkpoints.dictionary import MASK
    from fairseq_littlebird.checkpoints.tensors import load_tensors
    from fairseq_littlebird.data.model_folder import write_own_files

    rows, where = source.config.vocab_size, str(source.folder)
    new = [*options.add_word, *(vocabulary.HTML_TAGS if options.html_tags else ())]
    if source.dictionary is not None:
        words = vocabulary.words_of_dictionary(source.dictionary, rows, new, where)
        write_own_files(own, load_tensors(source.path, mapped=True), source.path)
        return words, _tokenizer_beside(own / "dict.txt")
    tokenizer = load_tokenizer(source.folder)
    numbers = tokenizer.numbers()
    if tokenizer.kind == "sentencepiece" and MASK not in numbers:  # XLM-R's; BigBird's has all its words
        numbers = vocabulary.xlm_roberta_numbers(numbers)
    return vocabulary.words_of_tokenizer(tokenizer.symbols(), numbers, rows, new, where), tokenizer


def _tokenizer_beside(dictionary: Path) -> Tokenizer | None:
    """The tokenizer in the dictionary's folder; fairseq's RoBERTa comes without one."""
    folder = dictionary.parent
    sets = (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt"), ("tokenizer.json",), ("vocab.txt",))
    if any(folder.glob("*.model")) or any(all((folder / name).exists() for name in names) for names in sets):
        return load_tokenizer(folder, dictionary)
    return None


def _tokenizer_line(tokenizer: Tokenizer | None) -> str:
    if tokenizer is None:
        return (
            "The source came without its tokenizer: put its files (RoBERTa: `encoder.json` and `vocab.bpe`; XLM-R: "
            "`sentencepiece.model`) into this folder before littlebird-prepare."
        )
    return f"Copied: {', '.join(f'`{name}`' for name in tokenizer.files)} ({tokenizer.kind})."


def _layers(source: Source, options: argparse.Namespace) -> int:
    there = source.config.layers
    wanted = options.layers or there
    if wanted > there:
        raise UserError(f"{wanted} layers of {there}", options.source, "name no more layers than the source has")
    return wanted


def _model(source: Source, options: argparse.Namespace, layers: Sequence[int]) -> tuple[dict[str, Any], str]:
    """Every option of the model, and its architecture's name.

    Raises:
        UserError: an architecture of another model, or of other sizes than the source's.
    """
    from fairseq_littlebird.checkpoints.key_maps import CONTEXT
    from fairseq_littlebird.modules.size_names import FAIRSEQ

    config, target = source.config, TARGETS[options.to]
    kept = ("embed_dim", "ffn_embed_dim", "heads", "word_embed_dim")
    own: dict[str, Any] = {FAIRSEQ["layers"]: len(layers)} | {FAIRSEQ[name]: getattr(config, name) for name in kept}
    arch = options.arch or _default_arch(source, options.to)
    model = _architecture(arch, target.model)
    if options.arch:
        differ = [
            f"{name.replace('encoder_', '').replace('_', ' ')} {model[name]} against the source's {value}"
            for name, value in own.items()
            if model[name] != value
        ]
        if differ:
            raise UserError(f"{arch} has {', '.join(differ)}", options.source, "leave out --arch, or name another")
    model |= own | {"layer_norm_eps": config.layer_norm_eps, "activation": config.activation}
    model["context_type"] = CONTEXT in source.state
    if options.to in ("littlebird", "full", "bigbird_etc") or source.model == target.model:
        model["max_positions"] = config.max_positions
    if source.model == target.model:
        model |= _own_options(source, layers)
    model |= {name: getattr(options, name) for name in target.options if getattr(options, name) is not None}
    if options.max_positions and model.get("positions", "learned") != "learned":
        raise UserError("--max-positions without learned positions", remedy="add --positions learned")
    return model, arch


def _own_options(source: Source, layers: Sequence[int]) -> dict[str, Any]:
    """The options that the source fixes, as the command line has them."""
    options = dict(source.options)
    if "attention_window" in options:
        windows = [str(options["attention_window"][n]) for n in layers]
        options["attention_window"] = windows[0] if len({*windows}) == 1 else ",".join(windows)
    return options


def _default_arch(source: Source, to: str) -> str:
    config = source.config
    size = "large" if (config.layers, config.embed_dim) == (24, 1024) else "base"
    full = "bert_full" if config.layer_norm_eps < 1e-6 else "roberta_full"
    return f"{full if to == 'full' else to}_{size}"


def _architecture(arch: str, model: str) -> dict[str, Any]:
    """Every option of the model with the value that the architecture gives it."""
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY

    known = sorted(name for name, of in ARCH_MODEL_NAME_REGISTRY.items() if of == model and name != model)
    if arch not in known:
        raise UserError(f"{arch!r} is no architecture of {model}", "--arch", f"choose one of {', '.join(known)}")
    chosen = argparse.Namespace()
    ARCH_CONFIG_REGISTRY[arch](chosen)
    defaults = {key: value for key, value in vars(MODEL_DATACLASS_REGISTRY[model]()).items() if key != "_name"}
    return {key: str(value) if isinstance(value, str) else value for key, value in (defaults | vars(chosen)).items()}


def _built(target: Target, model: dict[str, Any], words: int) -> tuple[str, EncoderConfig]:
    """What the model calls itself, and the sizes of its encoder.

    Raises:
        UserError: options that do not fit together.
    """
    import torch
    from fairseq.models import MODEL_REGISTRY

    from fairseq_littlebird.checkpoints.dictionary import SPECIAL

    kind = MODEL_REGISTRY[target.model]
    try:
        with torch.device("meta"):
            return kind.title, kind.build_encoder(kind.config_class(**model), words, SPECIAL.index("<pad>")).config
    except ValueError as error:
        raise UserError(str(error), "options", "choose sizes that fit together") from error


def _model_args(arch: str, model: dict[str, Any], target: Target, config: EncoderConfig) -> str:
    """What fairseq-train needs to build the model."""
    from fairseq_littlebird.modules.size_names import FAIRSEQ

    names = [FAIRSEQ[name] for name in SIZES if name != "word_embed_dim" or model[name]]
    names += [name for name in target.options if name not in ("no_window", "max_positions")]
    names += ["max_positions"] if config.has_positions else []
    words = ["--arch", arch]
    for name in names:
        words += [_flag(name), str(model[name])]
    return " ".join(words + [_flag(name) for name in ("no_window", "context_type") if model.get(name)])


def _checkpoint(
    state: dict[str, Any], model: dict[str, Any], source: Source, options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """As fairseq's own before the first update, with the dictionary and the tokenizer that lie in ``folder``."""
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.tasks import TASK_DATACLASS_REGISTRY
    from omegaconf import OmegaConf

    from fairseq_littlebird.data.model_folder import read_files

    def plain(config: Any) -> dict[str, Any]:
        return dict(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))  # type: ignore[arg-type]

    task, criterion = (QUESTIONS, QUESTIONS) if source.span_head else (TEXT, "masked_lm")
    cfg = plain(FairseqConfig())
    cfg["model"] = {"_name": TARGETS[options.to].model, **model}
    cfg["task"] = plain(TASK_DATACLASS_REGISTRY[task]) | {"_name": task, "data": str(Path(options.out).resolve())}
    if source.span_head:
        cfg["task"]["span_head"] = source.span_head
    cfg["criterion"] = {"_name": criterion}
    history: dict[str, Any] = {
        "criterion_name": "QuestionAnsweringCriterion" if source.span_head else "MaskedLmLoss",
        "optimizer_name": "FairseqAdam",
        "lr_scheduler_state": {},
        "num_updates": 0,
    }
    return {
        "args": None,
        "cfg": cfg,
        "model": state,
        "criterion": None,
        "optimizer_history": [history],
        "task_state": {"files": read_files(folder)},
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0, "shuffle": True}},
        "last_optimizer_state": None,
    }


def _commands(options: argparse.Namespace, source: Source, config: EncoderConfig) -> str:
    folder = shlex.quote(str(options.out))
    start = f"$(cat {folder}/model.args) --finetune-from-model {folder}/checkpoint.pt"
    if source.span_head:
        tokens = min(config.max_positions, 4096) if config.has_positions else 4096
        answer = f"littlebird-predict DATA --path {folder}/checkpoint.pt --gen-subset valid --output PREDICTIONS\n"
        return f"""littlebird-prepare qa --dataset squad --train TRAIN.json --valid VALID.json --tokenizer {folder} \\
    --dict {folder}/dict.txt --max-tokens {tokens} --stride {tokens // 4} --destdir DATA
{answer if source.model == TARGETS[options.to].model else ""}fairseq-train DATA --user-dir fairseq_littlebird \\
    --task {QUESTIONS} --span-head {source.span_head} --criterion {QUESTIONS} \\
    {start} \\
    --optimizer adam --lr 3e-5 --batch-size 8 --max-epoch 2 --save-dir CHECKPOINTS"""
    task = f"{TEXT} --padding-insertion" if options.to == "littlebird" else TEXT
    return f"""littlebird-prepare text --tokenizer {folder} --input TRAIN.txt --output train.symbols
littlebird-prepare text --tokenizer {folder} --input VALID.txt --output valid.symbols
fairseq-preprocess --only-source --srcdict {folder}/dict.txt --trainpref train.symbols --validpref valid.symbols \\
    --destdir DATA
fairseq-train DATA --user-dir fairseq_littlebird --task {task} --criterion masked_lm \\
    {start} \\
    --tokens-per-sample 512 --optimizer adam --lr 1e-4 --batch-size 8 --max-update 10000 --save-dir CHECKPOINTS"""


if __name__ == "__main__":
    main()
