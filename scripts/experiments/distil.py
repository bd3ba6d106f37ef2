"""LittleBird's attention distilled from a short-input model's, for experiments that start from one."""

from __future__ import annotations

from pathlib import Path

from bench import Bench

TOKENS, BATCH = 512, 8
"""Of a text, and texts of an update."""


def distilled(
    bench: Bench,
    data: Path,
    teacher: Path,
    student: Path,
    *,
    updates: int,
    lr: float,
    hidden_weight: float = 0.0,
    seed: int = 1,
) -> Path:
    """The checkpoint of a student that imitates where its teacher's attention goes.

    Args:
        data: a folder with text_en/litbank, which is read.
        teacher, student: folders of littlebird-warm-start.
        lr: learning rate.
        hidden_weight: of the teacher's hidden states, beside its attention.
        seed: draws the order of the texts.
    """
    own = (
        f"{objective(teacher, bf16=bench.bf16)} --task littlebird_masked_lm --tokens-per-sample {TOKENS} "
        f"--hidden-weight {hidden_weight} --optimizer littlebird_adam --lr {lr} --batch-size {BATCH} "
        f"--required-batch-size-multiple 1 --dropout 0 --seed {seed} --disable-validation "
        f"--save-interval-updates {max(1, updates // 4)}"
    )
    text, start = novels(bench, data, student), student / "checkpoint.pt"
    return bench.training("distilled", text, student, start, updates, own) / "checkpoint_last.pt"


def objective(teacher: Path, *, bf16: bool) -> str:
    """The options of a distillation of attention.

    Args:
        teacher: a folder of littlebird-warm-start.
        bf16: whether the teacher computes in bfloat16.
    """
    return (
        f"--criterion littlebird_distillation --teacher-path {teacher}/checkpoint.pt --soft-weight 0 "
        f"--attention-queries 128 --teacher-precision {'bfloat16' if bf16 else 'float32'}"
    )


def novels(bench: Bench, data: Path, tokenizer: Path) -> Path:
    """The novels as numbers."""
    corpus, tokens = bench.out / "text.txt", bench.out / "text.tok"
    if not corpus.exists():
        files = sorted((data / "text_en" / "litbank").glob("*.txt"))
        corpus.write_text("\n\n".join(file.read_text("utf-8") for file in files), "utf-8")
    if not (bench.out / "text-bin").exists():
        bench.run(f"littlebird-prepare text --tokenizer {tokenizer} --input {corpus} --output {tokens}", "text.tok")
    return bench.folder(
        "text-bin",
        f"fairseq-preprocess --only-source --srcdict {tokenizer}/dict.txt --trainpref {tokens} --destdir {{}} "
        "--workers 1",
    )
