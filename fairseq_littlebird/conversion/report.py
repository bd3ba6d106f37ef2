"""The README of a warm start: what became of every part of the source."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence

from fairseq_littlebird.checkpoints.dictionary import QUESTION
from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.parameters import LM_HEAD, TOKENS
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.conversion.targets import TARGETS
from fairseq_littlebird.conversion.vocabulary import VocabularyMap
from fairseq_littlebird.modules.config import EncoderConfig, FullAttentionConfig, LittleBirdConfig

TEXT, QUESTIONS = "littlebird_masked_lm", "question_answering"
"""The tasks that go on from a warm start without or with a question-answering head."""


def report(
    title: str,
    source: Source,
    vocabulary: VocabularyMap,
    config: EncoderConfig,
    state: State,
    layers: Sequence[int],
    arguments: str,
    commands: str,
    tokenizer: str,
) -> str:
    """Markdown.

    Args:
        title: the model's name.
        source, vocabulary, config, layers: what went in.
        state: what came out.
        arguments: how the model is asked for on fairseq-train's command line.
        commands: how to go on.
        tokenizer: a sentence on the tokenizer's files.
    """
    absent = not source.has_head and not source.span_head
    head = ["`lm_head` (not in the checkpoint: newly initialised by fairseq-train)"] if absent else []
    sections = [
        f"# {title[0].upper()}{title[1:]} from {source.kind}",
        f"Source: `{source.path}`, {source.keys} keys. Model: `{arguments}`.",
        _section("Mapped", _mapped(source, state)),
        _section("Steps", _steps(source, vocabulary, config, state, layers)),
        _section("Tiled", _tiled(source, config)),
        _section("Dropped", _listed([*source.dropped, *_left_out(source, state, layers)], _unused(vocabulary))),
        _section("Initialised", _initialised(source, vocabulary, state, head)),
        _section("Tokenizer", tokenizer),
        _section("How to go on", f"```bash\n{commands}\n```"),
    ]
    return "\n\n".join(sections) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body or 'Nothing.'}"


def group(key: str) -> str:
    """A key without its layer's number and its weight or bias."""
    return re.sub(r"\.(weight|bias)$", "", re.sub(r"layers\.\d+", "layers.*", key))


def _mapped(source: Source, state: State) -> str:
    """One line a kind of parameter that the source has, under our name."""
    taken = Counter(group(key) for key in state if _origin(key) in source.state)
    rows = [f"| `{name}` | {count} |" for name, count in taken.items()]
    return "\n".join(["| parameters | keys |", "|---|---|", *rows])


def _origin(key: str) -> str:
    """The source's parameter behind one of LittleBird's."""
    return key.replace(".pack_norm.", ".attention_norm.").replace(".pack_", ".").replace(".global_", ".")


def _steps(
    source: Source, vocabulary: VocabularyMap, config: EncoderConfig, state: State, layers: Sequence[int]
) -> str:
    steps = list(source.notes)
    steps.append(
        f"Token embeddings put into the order of fairseq's dictionary: {len(vocabulary.symbols) - len(vocabulary.new)}."
    )
    if len(layers) < source.config.layers:
        steps.append(f"Layers taken, of {source.config.layers}, from 1: {', '.join(str(n + 1) for n in layers)}.")
    if not source.config.has_positions and not isinstance(config, FullAttentionConfig):
        steps.append("Rotary positions dropped: BiALiBi takes their place.")
    elif source.config.has_positions and not config.has_positions:
        steps.append(
            "Mean of the position embeddings added to every token embedding, as the model has no position embeddings."
        )
    if any(".global_" in key for key in state) and not any(".global_" in key for key in source.state):
        steps.append("Each layer's q, k, v copied to those of its global tokens.")
    if getattr(config, "random_attention", "") == "first_block":
        steps.append(
            "`--random-attention first_block`: what transformers computes outside training, block 0 again in place of "
            "each random block. To train with random blocks as the paper has them, convert again with "
            "`--random-attention seeded` and, for others, `--random-seed N`."
        )
    if source.span_head:
        steps.append(
            f"Head for questions: `--task question_answering --span-head {source.span_head}`. The source never saw "
            "`[QUESTION]`, which stands before each question here; it reads its `<mask>` there."
        )
    if isinstance(config, LittleBirdConfig) and config.pack_size:
        steps.append("Each layer's q, k, v copied to pack and to unpack attention; pack_norm from attention_norm.")
    if len(layers) and layers[0] > 0 and not config.form.first_norm:
        steps.append(f"The norm before layer {layers[0] + 1}'s attention left out: the first layer here has none.")
    return "\n".join(f"- {step}" for step in steps)


def _tiled(source: Source, config: EncoderConfig) -> str:
    there, now = source.config.max_positions, config.max_positions
    if not config.has_positions or there == now:
        return ""
    how = "repeated" if now > there else "cut"
    return f"- `encoder.embeddings.positions`: {there} embeddings {how} to {now}."


def _left_out(source: Source, state: State, layers: Sequence[int]) -> list[str]:
    """The source's parameters of other layers, and of global tokens where the model has no such projections."""
    numbers = {re.escape(f"encoder.layers.{n}.") for n in range(source.config.layers) if n not in layers}
    without = not any(".global_" in key for key in state)
    return [
        key
        for key in source.state
        if any(re.match(number, key) for number in numbers) or (without and ".global_" in key)
    ]


def _unused(vocabulary: VocabularyMap) -> list[str]:
    names = {number: f", `{name}`" if name else "" for number, name in vocabulary.unused.items()}
    return [f"token embedding {number}{name}: not in the dictionary" for number, name in sorted(names.items())]


def _listed(keys: Sequence[str], more: Sequence[str]) -> str:
    return "\n".join([*(f"- `{key}`" for key in keys), *(f"- {line}" for line in more)])


def _initialised(source: Source, vocabulary: VocabularyMap, state: State, head: list[str]) -> str:
    lines = [f"- {line}" for line in head]
    for token in vocabulary.new:
        how = "as `<mask>`" if token == QUESTION else "mean embedding with noise of the embeddings' deviation"
        lines.append(f"- `{TOKENS}`, `{token}`: {how}")
    if source.has_head and vocabulary.new:
        lines.append(f"- `{LM_HEAD}bias` of these tokens: the lowest there is, so that nothing predicts them at once")
    if any(".slopes." in key for key in state):
        lines.append("- `encoder.layers.*.attention.slopes`: alpha 0, beta and gamma ALiBi's")
    if "encoder.global_embedding" in state:
        lines.append("- `encoder.layers.*.attention.relative`: small random vectors")
        lines.append("- `encoder.global_embedding`: as `<s>` is read")
    if "encoder.pack" in state:
        lines.append(f"- `encoder.pack`: {len(state['encoder.pack'])} random tokens, as the first layer reads them")
    return "\n".join(lines)


def next_commands(source: Source, config: EncoderConfig, to: str, out: str) -> str:
    """How to train on from what was written.

    Args:
        source: what went in.
        config: the sizes of the model that came out.
        to: which model it is, one of ``TARGETS``.
        out: its folder.
    """
    folder = shlex.quote(out)
    start = f"$(cat {folder}/model.args) --finetune-from-model {folder}/checkpoint.pt"
    if source.span_head:
        tokens = min(config.max_positions, 4096) if config.has_positions else 4096
        answer = f"littlebird-predict DATA --path {folder}/checkpoint.pt --gen-subset valid --output PREDICTIONS\n"
        return f"""littlebird-prepare qa --dataset squad --train TRAIN.json --valid VALID.json --tokenizer {folder} \\
    --dict {folder}/dict.txt --max-tokens {tokens} --stride {tokens // 4} --destdir DATA
{answer if source.model == TARGETS[to].model else ""}fairseq-train DATA --user-dir fairseq_littlebird \\
    --task {QUESTIONS} --span-head {source.span_head} --criterion {QUESTIONS} \\
    {start} \\
    --optimizer adam --lr 3e-5 --batch-size 8 --max-epoch 2 --save-dir CHECKPOINTS"""
    optimizer = "littlebird_adam" if to == "littlebird" else "adam"
    return f"""littlebird-prepare text --tokenizer {folder} --input TRAIN.txt --output train.symbols
littlebird-prepare text --tokenizer {folder} --input VALID.txt --output valid.symbols
fairseq-preprocess --only-source --srcdict {folder}/dict.txt --trainpref train.symbols --validpref valid.symbols \\
    --destdir DATA
fairseq-train DATA --user-dir fairseq_littlebird --task {TEXT} --criterion masked_lm \\
    {start} \\
    --tokens-per-sample 512 --optimizer {optimizer} --lr 1e-4 --batch-size 8 --max-update 10000 \\
    --save-dir CHECKPOINTS"""
