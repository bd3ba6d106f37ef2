"""The README of an encoder–decoder's warm start: what became of every part of the source."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.report import group
from fairseq_littlebird.conversion.seq2seq.source import Seq2SeqSource
from fairseq_littlebird.conversion.vocabulary import VocabularyMap


def seq2seq_report(
    source: Seq2SeqSource,
    vocabulary: VocabularyMap,
    state: State,
    initialised: Sequence[str],
    arguments: str,
    out: str,
    tokenizer: str,
) -> str:
    """Markdown.

    Args:
        source, vocabulary: what went in.
        state: the parameters that came of it.
        initialised: the others.
        arguments: how the model is asked for on fairseq-train's command line.
        out: its folder.
        tokenizer: a sentence on the tokenizer's files.
    """
    encoder = source.encoder
    mapped = Counter(group(key) for key in state)
    steps = [*encoder.notes]
    steps.append(f"Token embeddings put into the order of fairseq's dictionary: {len(vocabulary.symbols)} rows.")
    if source.sizes is None:
        steps.append("The decoder's self-attention, feed-forward networks and norms are the encoder's.")
    if source.special_ids:
        ids = ", ".join(f"`{name}` {number}" for name, number in source.special_ids.items())
        steps.append(f"Special tokens by the source's ids: {ids}.")
    steps.append(f"The source's decoder starts with what is `{source.start}` here.")
    if encoder.options.get("random_attention") == "first_block":
        steps.append(
            "`--random-attention first_block`: what transformers computes outside training, block 0 again in place of "
            "each random block; `--random-attention seeded` has random ones, as the paper."
        )
    sections = {
        "Mapped": "\n".join(["| parameters | keys |", "|---|---|", *(f"| `{k}` | {n} |" for k, n in mapped.items())]),
        "Steps": _listed(steps),
        "Dropped": _listed(f"`{key}`" for key in encoder.dropped),
        "Initialised": _listed(
            [
                *(f"`{key}`: {count} keys" for key, count in Counter(map(group, initialised)).items()),
                *(f"token embedding of `{token}`" for token in vocabulary.new),
            ]
        ),
        "Tokenizer": tokenizer,
        "How to go on": f"```bash\n{_commands(out, source.start)}\n```",
    }
    head = f"# Encoder–decoder from {encoder.kind}\n\n"
    head += f"Source: `{encoder.path}`, {encoder.keys} keys. Model: `{arguments}`."
    return "\n\n".join([head, *(f"## {title}\n\n{body or 'Nothing.'}" for title, body in sections.items())]) + "\n"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _commands(out: str, start: str) -> str:
    """How to train on from what was written."""
    folder = shlex.quote(out)
    more = "" if start == "</s>" else f" --decoder-start {shlex.quote(start)}"
    return f"""littlebird-prepare summarization --train TRAIN.jsonl --valid VALID.jsonl --tokenizer {folder} \\
    --dict {folder}/dict.txt --destdir DATA
fairseq-train DATA --user-dir fairseq_littlebird --task summarization{more} \\
    --criterion label_smoothed_cross_entropy --label-smoothing 0.1 \\
    $(cat {folder}/model.args) --finetune-from-model {folder}/checkpoint.pt \\
    --optimizer adam --lr 3e-5 --batch-size 4 --max-update 10000 --save-dir CHECKPOINTS"""
