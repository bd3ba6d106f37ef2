"""The steps of claims.py, in their order: what comes first is needed by, or tells more than, what follows.

Every training sees its tokens in one order (``--seed`` draws it), in batches of 4,096 tokens. ``@3M`` is the part of a
training up to so many million tokens; the learning rate falls with the square root of the updates, so that a training
can be made longer later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

BATCH = 4096  # tokens
HOURS = {"full": 0.45, "student": 0.45, "distilled": 0.8, "ablation": 0.25}
"""Of one thread per million tokens, measured on an AMD EPYC of 2.6 GHz beside other work."""

DOCUMENTATION = (
    "/usr/share/doc /usr/share/man/man1 /usr/share/man/man2 /usr/share/man/man3 /usr/share/man/man4 "
    "/usr/share/man/man5 /usr/share/man/man6 /usr/share/man/man7 /usr/share/man/man8 /usr/share/perl /usr/share/vim "
    "/usr/share/gimp /usr/lib/libreoffice /usr/lib/python3 /usr/share/common-licenses"
)
TEACHER = "{out}/head/checkpoint_last.pt"
DISTILLATION = f"--criterion littlebird_distillation --attention-queries 128 --teacher-path {TEACHER}"
MASKED_LM = "--task littlebird_masked_lm"
SPANS = (
    "--task recurring_span_selection --criterion recurring_span_selection --sample-break-mode complete "
    "--shorten-method truncate"
)


class Step(NamedTuple):
    """One command.

    Args:
        name: of its marker and its log.
        command: words of a shell; ``{{out}}``, ``{{code}}`` and ``{{data}}`` are the folders.
        hours: that it is expected to take.
    """

    name: str
    command: str
    hours: float = 0.1


def training(
    name: str,
    millions: float,
    options: str,
    kind: str,
    start: str,
    length: int = 512,
    seed: int = 1,
    decay: bool = False,
) -> Step:
    """A training by littlebird-launch, up to so many million tokens.

    Args:
        options: task, criterion, model and learning rate.
        kind: of :data:`HOURS`.
        start: the checkpoint whose parameters it begins with.
        decay: the learning rate ends at 0 after these tokens, instead of falling with the square root of the updates.
    """
    updates = round(millions * 1e6 / BATCH)
    schedule = (
        f"--lr-scheduler polynomial_decay --warmup-updates {updates // 10} --total-num-update {updates}"
        if decay
        else f"--lr-scheduler inverse_sqrt --warmup-updates {round(1e6 / BATCH)} --warmup-init-lr 1e-7"
    )
    return Step(
        f"{name}@{millions:g}M",
        f"littlebird-launch {{out}}/text-bin {options} --finetune-from-model {start} --tokens-per-sample {length} "
        f"--batch-size {BATCH // length} --required-batch-size-multiple 1 --max-update {updates} {schedule} "
        f"--adam-betas (0.9,0.98) --clip-norm 1.0 --dropout 0 --attention-dropout 0 --num-workers 1 --seed {seed} "
        f"--validate-interval 1000000 --validate-interval-updates {round(1e6 / BATCH)} --max-valid-steps 24 "
        "--no-epoch-checkpoints --save-interval-updates 122 --keep-interval-updates 1 --log-format json "
        f"--log-interval 10 --save-dir {{out}}/{name}".replace("(0.9,0.98)", "'(0.9, 0.98)'"),
        HOURS[kind] * millions,
    )


def kept(name: str, millions: float) -> Step:
    """The checkpoint of now under a name that later training leaves alone."""
    stage = f"{name}@{millions:g}M"
    return Step(f"keep-{stage}", f"cp {{out}}/{name}/checkpoint_last.pt {{out}}/kept/{stage}.pt")


def measured(name: str, checkpoint: str, options: str) -> Step:
    return Step(
        f"measure-{name}",
        f"scripts/experiments/measure.py --checkpoint {checkpoint} --to {{out}}/results/{name}.json {{out}}/text-bin "
        + options,
    )


def text() -> Iterator[Step]:
    """The corpus as numbers, and the source model, whose masked-LM head is trained first."""
    yield Step("documents", f"scripts/experiments/english_text.py --out {{out}}/documents --input {DOCUMENTATION}")
    yield Step(
        "corpus",
        "scripts/text_corpus.py --input {out}/documents {data}/text_en --out {out}/corpus --valid-share 0.01",
    )
    yield Step("bare", "littlebird-warm-start --from {out}/source --to full --out {out}/bare")
    for split in ("train", "valid"):
        yield Step(
            f"{split}.tok",
            f"littlebird-prepare text --tokenizer {{out}}/bare --input {{out}}/corpus/{split}.txt "
            f"--output {{out}}/{split}.tok",
        )
    yield Step(
        "text-bin",
        "fairseq-preprocess --only-source --srcdict {out}/bare/dict.txt --trainpref {out}/train.tok "
        "--validpref {out}/valid.tok --destdir {out}/text-bin --workers 1",
    )


FULL = (
    "--arch bert_full_base --encoder-layers 6 --encoder-embed-dim 384 --encoder-ffn-embed-dim 1536 "
    "--encoder-attention-heads 12 --layer-norm-eps 1e-12 --activation gelu --max-positions 512"
)
STUDENT = (
    "--arch littlebird_base --encoder-layers 6 --encoder-embed-dim 384 --encoder-ffn-embed-dim 1536 "
    "--encoder-attention-heads 12 --layer-norm-eps 1e-12 --activation gelu"
)
BIGBIRD = STUDENT.replace("littlebird", "bigbird_itc") + " --max-positions 4096"


def head() -> Iterator[Step]:
    options = f"{MASKED_LM} --criterion masked_lm {FULL}"
    yield training("head", 6, f"{options} --optimizer adam --lr 5e-4", "full", "{out}/bare/checkpoint.pt", decay=True)
    yield measured("head", TEACHER, f"{options} --tokens-per-sample 512")
    yield Step("folders", "mkdir -p {out}/kept {out}/students")
    yield Step("tokenizer", "cp {out}/bare/tokenizer.json {out}/bare/dict.txt {out}/head")
    yield Step("student", "littlebird-warm-start --from {out}/head --out {out}/students/littlebird")
    yield Step("bigbird", "littlebird-warm-start --from {out}/head --to bigbird_itc --out {out}/students/bigbird_itc")


def claim_1(seed: int) -> Iterator[Step]:
    """Warm start alone and with distillation at equal tokens, then recurring spans from each for a million more."""
    start = "{out}/students/littlebird/checkpoint.pt"
    fast = "--optimizer littlebird_adam --lr 5e-4"
    for millions in (1, 3):
        for arm, criterion, kind in (
            ("warm", "--criterion masked_lm", "student"),
            ("distilled", DISTILLATION, "distilled"),
        ):
            name = f"1-{arm}-{seed}"
            stage = f"{name}@{millions}M"
            yield training(name, millions, f"{MASKED_LM} {criterion} {STUDENT} {fast}", kind, start, seed=seed)
            yield kept(name, millions)
            compared = f"{MASKED_LM} {DISTILLATION} {STUDENT} --tokens-per-sample 512".replace(
                "--attention-queries 128 ", ""
            )
            yield measured(stage, f"{{out}}/kept/{stage}.pt", compared)
            spans = f"{name}-{millions}M-spans"
            options = f"{SPANS} {STUDENT} --optimizer littlebird_adam --slopes-lr-scale 20 --lr 3e-4"
            yield training(spans, 1, options, "student", f"{{out}}/kept/{stage}.pt", seed=seed, decay=True)
            yield from by_length(spans, STUDENT, (512,))


def by_length(name: str, model: str, lengths: tuple[int, ...] = (512, 2048, 4096)) -> Iterator[Step]:
    """Accuracy of recurring spans on held-out text in chunks of each length; as many tokens at each."""
    for length in lengths:
        options = f"{SPANS} {model} --tokens-per-sample {length} --chunks {120_000 // length}"
        yield measured(f"{name}-{length}", f"{{out}}/{name}/checkpoint_last.pt", options)


def claim_2(seed: int) -> Iterator[Step]:
    """Table 1: A at 512 tokens, B at 2,048 and C at 4,096 from A, and BigBird-ITC, D, at 4,096."""
    slow = "--optimizer littlebird_adam --slopes-lr-scale 20 --lr 3e-4"
    distilled = f"{{out}}/kept/1-distilled-{seed}@3M.pt"
    bigbird = "{out}/students/bigbird_itc/checkpoint.pt"
    a = f"{{out}}/2-A-{seed}/checkpoint_last.pt"
    for row, model, optimizer, start, length in (
        ("A", STUDENT, slow, distilled, 512),
        ("B", STUDENT, slow, a, 2048),
        ("C", STUDENT, slow, a, 4096),
        ("D", BIGBIRD, "--optimizer adam --lr 3e-4", bigbird, 4096),
    ):
        name = f"2-{row}-{seed}"
        options = f"{SPANS} {model} {optimizer}"
        yield training(name, 5, options, "student", start, length=length, seed=seed, decay=True)
        yield from by_length(name, model)


ABLATIONS = {
    "LittleBird": ("", ""),
    "no-pack": ("--pack-size 0", ""),
    "no-bialibi": ("--positions learned --max-positions 4096", "--positions learned --max-positions 4096"),
    "no-window": ("--no-window", "--no-window"),
}
"""Table 8's rows: what the warm start and what the training are told."""


def claim_4(millions: float) -> Iterator[Step]:
    """Table 8 with every second layer of the source and without distillation, so that it needs no trained head."""
    three = STUDENT.replace("--encoder-layers 6", "--encoder-layers 3")
    for row, (warm_start, model) in ABLATIONS.items():
        student, name = f"{{out}}/students/4-{row}", f"4-{row}"
        size = f"{model} --pack-size 0" if row == "no-pack" else model
        optimizer = (
            "--optimizer adam"
            if row in ("no-bialibi", "no-window")
            else "--optimizer littlebird_adam --slopes-lr-scale 20"
        )
        yield Step(
            f"student-{name}", f"littlebird-warm-start --from {{out}}/bare --layers 3 --out {student} {warm_start}"
        )
        options = f"{SPANS} {three} {size} {optimizer} --lr 3e-4"
        start = f"{student}/checkpoint.pt"
        yield training(name, millions, options, "ablation", start, decay=True)
        yield from by_length(name, f"{three} {size}", (512, 2048))


# claim 4 comes first: it needs neither the trained head nor a distilled student, and ends within hours
PLAN: tuple[Step, ...] = (*text(), *claim_4(2), *head(), *claim_1(1), *claim_2(1), *claim_1(2))
