"""The steps of claims.py, in their order: what comes first is needed by, or tells more than, what follows.

Every training sees its tokens in one order (``--seed`` draws it), in batches of so many tokens. ``@3M`` is the part of
a training up to so many million tokens; where it may be made longer later, the learning rate falls with the square root
of the updates.

``minilm`` starts from MiniLM and needs some thirty hours of a core; ``evening`` is its claim 1 with fewer tokens, in
two hours, and again as long for a second seed. ``small`` has no source model, and so neither warm start nor
distillation: its models, of the quickstart's size, learn recurring span selection from nothing: tables 1 and 8, and
padding insertion, in some three hours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

DOCUMENTATION = (
    "/usr/share/doc /usr/share/man/man1 /usr/share/man/man2 /usr/share/man/man3 /usr/share/man/man4 "
    "/usr/share/man/man5 /usr/share/man/man6 /usr/share/man/man7 /usr/share/man/man8 /usr/share/perl /usr/share/vim "
    "/usr/share/gimp /usr/lib/libreoffice /usr/lib/python3 /usr/share/common-licenses"
)
EVERYWHERE = "/usr/share/doc /usr/share/perl /usr/share/common-licenses"
"""What a Debian machine has without further packages."""
TEACHER = "{out}/head/checkpoint_last.pt"
DISTILLATION = f"--criterion littlebird_distillation --attention-queries 128 --teacher-path {TEACHER}"
MASKED_LM = "--task littlebird_masked_lm"
SPANS = (
    "--task recurring_span_selection --criterion recurring_span_selection --sample-break-mode complete "
    "--shorten-method truncate"
)


class Scale(NamedTuple):
    """How large everything is.

    Args:
        batch: tokens of an update.
        layers: of the source model, or of all models where there is none.
        size: what the names of architectures end in.
        sizes: options of every model but their number of layers.
        source: whether models start from a source model, and have its vocabulary.
        lr: learning rates of masked language modelling, and of recurring spans.
        head: million tokens that the source model, or its LM head, is trained on.
        stages: of claim 1, million tokens.
        spans: of recurring spans after each stage.
        lengths: of each row of table 1.
        ablations: of each row of table 8.
        hours: of one thread per million tokens, by kind of training, beside other work.
        warmup: million tokens, of a training whose end is open.
        validation: million tokens from one validation to the next.
    """

    batch: int
    layers: int
    size: str
    sizes: str
    source: bool
    lr: tuple[str, str]
    head: float
    stages: tuple[float, ...]
    spans: float
    lengths: float
    ablations: float
    hours: dict[str, float]
    warmup: float = 1
    validation: float = 1

    def model(self, arch: str, layers: int | None = None, more: str = "") -> str:
        """The options of one of the models."""
        return f"--arch {arch}_{self.size} --encoder-layers {layers or self.layers} {self.sizes} {more}".strip()


MINILM = Scale(
    batch=4096,
    layers=6,
    size="base",
    sizes=(
        "--encoder-embed-dim 384 --encoder-ffn-embed-dim 1536 --encoder-attention-heads 12 --layer-norm-eps 1e-12 "
        "--activation gelu"
    ),
    source=True,
    lr=("5e-4", "3e-4"),
    head=6,
    stages=(1, 3),
    spans=1,
    lengths=5,
    ablations=2,
    # measured on an AMD EPYC of 2.6 GHz
    hours={"full": 0.45, "student": 0.45, "distilled": 0.8, "ablation": 0.25},
)
EVENING = MINILM._replace(
    batch=2048,
    head=1.5,
    stages=(0.75,),
    spans=0.5,
    hours={"full": 0.35, "student": 0.35, "distilled": 0.5},
    warmup=0.1,
    validation=0.25,
)
SMALL = Scale(
    batch=8192,
    layers=3,
    size="tiny",
    sizes="",
    source=False,
    lr=("", "4e-3"),
    head=0,
    stages=(),
    spans=0,
    lengths=3,
    ablations=3,
    # measured on an Intel Xeon with AVX-512, beside other work
    hours={"student": 0.035, "ablation": 0.035},
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
    scale: Scale,
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
        scale: its batches.
        options: task, criterion, model and learning rate.
        kind: of ``Scale.hours``.
        start: the checkpoint whose parameters it begins with; empty for none.
        decay: the learning rate ends at 0 after these tokens, instead of falling with the square root of the updates.
    """
    updates, warmup, validation = (
        round(tokens * 1e6 / scale.batch) for tokens in (millions, scale.warmup, scale.validation)
    )
    schedule = (
        f"--lr-scheduler polynomial_decay --warmup-updates {updates // 10} --total-num-update {updates}"
        if decay
        else f"--lr-scheduler inverse_sqrt --warmup-updates {warmup} --warmup-init-lr 1e-7"
    )
    start = f"--finetune-from-model {start} " if start else ""
    return Step(
        f"{name}@{millions:g}M",
        f"littlebird-launch {{out}}/text-bin {options} {start}--tokens-per-sample {length} "
        f"--batch-size {scale.batch // length} --required-batch-size-multiple 1 --max-update {updates} {schedule} "
        f"--adam-betas '(0.9, 0.98)' --clip-norm 1.0 --dropout 0 --attention-dropout 0 --num-workers 1 --seed {seed} "
        f"--validate-interval 1000000 --validate-interval-updates {validation} --max-valid-steps 24 "
        "--no-epoch-checkpoints --save-interval-updates 122 --keep-interval-updates 1 --log-format json "
        f"--log-interval 10 --save-dir {{out}}/{name}",
        scale.hours[kind] * millions,
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


def text(scale: Scale) -> Iterator[Step]:
    """The corpus as numbers, and the source model's vocabulary."""
    folders = DOCUMENTATION if scale is MINILM else EVERYWHERE
    yield Step("documents", f"scripts/experiments/english_text.py --out {{out}}/documents --input {folders}")
    yield Step(
        "corpus",
        "scripts/text_corpus.py --input {out}/documents {data}/text_en --out {out}/corpus --valid-share 0.01",
    )
    if scale.source:
        yield Step("bare", "littlebird-warm-start --from {out}/source --to full --out {out}/bare")
    else:
        yield Step(
            "bare", "littlebird-prepare tokenizer --input {out}/corpus/train.txt --vocab-size 8000 --destdir {out}/bare"
        )
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


def head(scale: Scale) -> Iterator[Step]:
    """The source model with an LM head, and the students that start from it."""
    model = scale.model("bert_full", more="--max-positions 512")
    options = f"{MASKED_LM} --criterion masked_lm {model} --optimizer adam --lr {scale.lr[0]}"
    yield training(scale, "head", scale.head, options, "full", "{out}/bare/checkpoint.pt", decay=True)
    yield measured("head", TEACHER, f"{options} --tokens-per-sample 512")
    yield Step("folders", "mkdir -p {out}/kept {out}/students")
    yield Step("tokenizer", "cp {out}/bare/tokenizer.json {out}/bare/dict.txt {out}/head")
    yield Step("student", "littlebird-warm-start --from {out}/head --out {out}/students/littlebird")
    yield Step("bigbird", "littlebird-warm-start --from {out}/head --to bigbird_itc --out {out}/students/bigbird_itc")


def claim_1(scale: Scale, seed: int) -> Iterator[Step]:
    """Warm start alone and with distillation at equal tokens, then recurring spans from each."""
    start, student = "{out}/students/littlebird/checkpoint.pt", scale.model("littlebird")
    fast = f"--optimizer littlebird_adam --lr {scale.lr[0]}"
    for millions in scale.stages:
        for arm, criterion, kind in (
            ("warm", "--criterion masked_lm", "student"),
            ("distilled", DISTILLATION, "distilled"),
        ):
            name = f"1-{arm}-{seed}"
            stage = f"{name}@{millions:g}M"
            options = f"{MASKED_LM} {criterion} {student} {fast}"
            yield training(scale, name, millions, options, kind, start, seed=seed)
            yield kept(name, millions)
            compared = f"{MASKED_LM} {DISTILLATION} {student} --tokens-per-sample 512".replace(
                "--attention-queries 128 ", ""
            )
            yield measured(stage, f"{{out}}/kept/{stage}.pt", compared)
            for length in (512, 2048, 4096):  # what positions beyond the training length cost, without another task
                longer = f"{MASKED_LM} --criterion masked_lm {student} --tokens-per-sample {length}"
                chunks = f"--chunks {120_000 // length}"
                yield measured(f"{stage}-{length}", f"{{out}}/kept/{stage}.pt", f"{longer} {chunks}")
            spans = f"{name}-{millions:g}M-spans"
            options = f"{SPANS} {student} --optimizer littlebird_adam --slopes-lr-scale 20 --lr {scale.lr[1]}"
            begun = f"{{out}}/kept/{stage}.pt"
            yield training(scale, spans, scale.spans, options, "student", begun, seed=seed, decay=True)
            yield from by_length(spans, student)


def by_length(name: str, model: str, lengths: tuple[int, ...] = (512, 2048, 4096)) -> Iterator[Step]:
    """Accuracy of recurring spans on held-out text in chunks of each length; as many tokens at each."""
    for length in lengths:
        options = f"{SPANS} {model} --tokens-per-sample {length} --chunks {120_000 // length}"
        yield measured(f"{name}-{length}", f"{{out}}/{name}/checkpoint_last.pt", options)


def claim_2(scale: Scale, seed: int) -> Iterator[Step]:
    """Table 1: A at 512 tokens, B at 2,048 and C at 4,096 from A, and BigBird-ITC, D, at 4,096."""
    student = scale.model("littlebird")
    bigbird = scale.model("bigbird_itc", more="--max-positions 4096")
    slow = f"--optimizer littlebird_adam --slopes-lr-scale 20 --lr {scale.lr[1]}"
    distilled = f"{{out}}/kept/1-distilled-{seed}@{scale.stages[-1]:g}M.pt"
    bigbirds = "{out}/students/bigbird_itc/checkpoint.pt"
    a = f"{{out}}/2-A-{seed}/checkpoint_last.pt"
    for row, model, optimizer, start, length in (
        ("A", student, slow, distilled, 512),
        ("B", student, slow, a, 2048),
        ("C", student, slow, a, 4096),
        ("D", bigbird, f"--optimizer adam --lr {scale.lr[1]}", bigbirds, 4096),
    ):
        name = f"2-{row}-{seed}"
        options = f"{SPANS} {model} {optimizer}"
        yield training(scale, name, scale.lengths, options, "student", start, length=length, seed=seed, decay=True)
        yield from by_length(name, model)


def claim_2_from_nothing(scale: Scale, seed: int) -> Iterator[Step]:
    """Table 1: each row as many tokens at 512, then as many more at 512 (A), 2,048 (B) or 4,096 (C, and BigBird, D)."""
    littlebird = scale.model("littlebird"), "--optimizer littlebird_adam --slopes-lr-scale 20"
    bigbird = scale.model("bigbird_itc", more="--max-positions 4096"), "--optimizer adam"
    for row, (model, optimizer), first, length in (
        ("A-first", littlebird, "", 512),
        ("A", littlebird, "A-first", 512),
        ("B", littlebird, "A-first", 2048),
        ("C", littlebird, "A-first", 4096),
        ("D-first", bigbird, "", 512),
        ("D", bigbird, "D-first", 4096),
    ):
        name, start = f"2-{row}-{seed}", f"{{out}}/2-{first}-{seed}/checkpoint_last.pt" if first else ""
        options = f"{SPANS} {model} {optimizer} --lr {scale.lr[1]}"
        yield training(scale, name, scale.lengths, options, "student", start, length=length, seed=seed, decay=True)
        yield from by_length(name, model)


ABLATIONS = {
    "LittleBird": ("", ""),
    "no-pack": ("--pack-size 0", ""),
    "no-bialibi": ("--positions learned --max-positions 4096", "--positions learned --max-positions 4096"),
    "no-window": ("--no-window", "--no-window"),
}
"""Table 8's rows: what the warm start and what the training are told."""


def claim_4(scale: Scale) -> Iterator[Step]:
    """Table 8 without distillation: MiniLM's every second layer, so that it needs no trained head; or from nothing."""
    layers = scale.layers // 2 if scale.source else scale.layers
    for row, (warm_start, model) in ABLATIONS.items():
        student, name = f"{{out}}/students/4-{row}", f"4-{row}"
        options = f"{model} --pack-size 0" if row == "no-pack" else model
        optimizer = (
            "--optimizer adam"
            if row in ("no-bialibi", "no-window")
            else "--optimizer littlebird_adam --slopes-lr-scale 20"
        )
        if scale.source:
            start = f"littlebird-warm-start --from {{out}}/bare --layers {layers} --out {student} {warm_start}"
            yield Step(f"student-{name}", start)
        own = scale.model("littlebird", layers, options)
        start = f"{student}/checkpoint.pt" if scale.source else ""
        told = f"{SPANS} {own} {optimizer} --lr {scale.lr[1]}"
        yield training(scale, name, scale.ablations, told, "ablation", start, decay=True)
        yield from by_length(name, own, (512, 2048))


FAR = "-0.01"
"""β and γ of heads that look far: after 512 tokens the first block has e⁵ times its weight, after 4,096 e⁴¹ times."""


def claim_3_from_nothing(scale: Scale, seed: int) -> Iterator[Step]:
    """Padding insertion, for a model with ALiBi's slopes and for one of whose heads half look far.

    Plain Adam lets slopes stay where they begin; the start is a model after one update.
    """
    model = scale.model("littlebird")
    options = f"{SPANS} {model} --optimizer adam --lr {scale.lr[1]}"
    yield training(scale, f"3-start-{seed}", scale.batch / 1e6, options, "ablation", "", seed=seed)
    yield Step(f"folder-3-{seed}", "mkdir -p {out}/kept")
    begun, far = f"{{out}}/3-start-{seed}/checkpoint_last.pt", f"{{out}}/kept/3-far-{seed}.pt"
    yield Step(f"far-3-{seed}", f"scripts/experiments/far_heads.py --checkpoint {begun} --slope={FAR} --to {far}")
    for row, start in (("far", far), ("alibi", begun)):
        for insertion, told in (("without", ""), ("with", "--padding-insertion ")):
            name = f"3-{row}-{insertion}-{seed}"
            yield training(scale, name, scale.ablations, told + options, "ablation", start, seed=seed, decay=True)
            yield from by_length(name, model)


SCALES = {"minilm": MINILM, "evening": EVENING, "small": SMALL}
# MiniLM's claim 4 comes first: it needs neither the trained head nor a distilled student, and ends within hours
PLANS: dict[str, tuple[tuple[int, tuple[Step, ...]], ...]] = {
    "minilm": (
        (0, (*text(MINILM),)), (1, (*claim_4(MINILM),)), (0, (*head(MINILM),)),
        (1, (*claim_1(MINILM, 1), *claim_2(MINILM, 1))), (2, (*claim_1(MINILM, 2),)),
    ),
    "evening": (
        (0, (*text(EVENING), *head(EVENING))), (1, (*claim_1(EVENING, 1),)), (2, (*claim_1(EVENING, 2),)),
    ),
    "small": (
        (0, (*text(SMALL),)),
        (1, (*claim_2_from_nothing(SMALL, 1), *claim_4(SMALL), *claim_3_from_nothing(SMALL, 1))),
        (2, (*claim_2_from_nothing(SMALL, 2), *claim_3_from_nothing(SMALL, 2))),
    ),
}  # fmt: skip
"""The steps of each seed, in their order; 0 is what all seeds need."""


def steps(scale: str, seeds: Collection[int] = (1, 2)) -> tuple[Step, ...]:
    """The plan of these seeds."""
    return tuple(step for seed, part in PLANS[scale] if seed in (0, *seeds) for step in part)
