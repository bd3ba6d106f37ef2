"""Several architectures trained alike on the same data: the rows of table 2, at whatever scale a file asks for."""

from __future__ import annotations

import io
import json
import os
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from fairseq.models import ARCH_MODEL_REGISTRY
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fairseq_littlebird.benchmarks.steps import Step, end_steps
from fairseq_littlebird.datasets import PLAIN
from fairseq_littlebird.errors import UserError, first_line
from fairseq_littlebird.output import whole_file

PACKAGE = Path(__file__).resolve().parents[1]
EXACT = ("exact", "exact_match", "em")  # the data sets' names for it
EVIDENCE = "sp_f1"  # HotpotQA's name for the F1 of supporting facts
COLUMNS = {"accuracy": "RSS accuracy", "exact": "EM", "f1": "F1", "evidence": "evidence F1", "minutes": "minutes"}


@dataclass
class Quality:
    """A file of configs/quality. Options are the commands' own, with _ for -; true stands for a switch."""

    out: str = MISSING  # folder for runs, logs and results.json
    text: str = ""  # folder of fairseq-preprocess, for recurring span selection; empty for questions from nothing
    questions: str = MISSING  # folder of littlebird-prepare qa
    gold: str = MISSING  # file with the answers to its test questions
    dataset: str = PLAIN  # whose metric
    subset: str = "test"  # the split of the questions that is answered
    seeds: list[int] = field(default_factory=lambda: [1, 2])
    architectures: dict[str, dict[str, Any]] = MISSING  # by title; options of the model, and instead of those below
    training: dict[str, Any] = field(default_factory=dict)  # fairseq-train, both trainings
    span_selection: dict[str, Any] = field(default_factory=dict)  # the first
    question_answering: dict[str, Any] = field(default_factory=dict)  # the second, which goes on from the first
    validation: dict[str, Any] = field(default_factory=dict)  # fairseq-validate: accuracy on held-out text


class Run(NamedTuple):
    """One architecture with one seed."""

    architecture: str
    seed: int

    @property
    def key(self) -> str:
        return f"{self.architecture}/{self.seed}"


def read(path: Path, changes: Sequence[str] = ()) -> Quality:
    """A comparison's settings.

    Args:
        path: YAML.
        changes: ``key=value``, dots between the parts of a key.
    Raises:
        UserError: not such a file, or data or an architecture that is not there.
    """
    try:
        text = path.read_text("utf-8")
        # aliases of aliases take few lines and no end of memory
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError("an alias (*): write out what it stands for")
        content = OmegaConf.merge(
            OmegaConf.structured(Quality), OmegaConf.load(io.StringIO(text)), OmegaConf.from_dotlist([*changes])
        )
        missing = OmegaConf.missing_keys(content)
        quality: Quality = OmegaConf.to_object(content) if not missing else Quality()  # type: ignore[assignment]
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        if isinstance(error, OSError) and error.filename:  # OmegaConf's own, for a file of one word, has none
            raise
        where = ", ".join(filter(None, (str(path), getattr(error, "full_key", None))))
        raise UserError(first_line(error), where, "see configs/quality") from error
    if missing:
        raise UserError(f"{min(missing)} is not given", str(path), "see configs/quality")
    for folder in (quality.text, quality.questions, quality.gold):
        if folder and not os.path.exists(folder):  # False also for what no file can be called
            raise UserError("not there", folder, f"make it first, as {path} says")
    for title, options in quality.architectures.items():
        if options.get("arch") not in ARCH_MODEL_REGISTRY:
            raise UserError(f"{title} has no such arch: {options.get('arch')}", str(path), "name one of fairseq-train")
    return quality


def runs(quality: Quality) -> list[Run]:
    """Every architecture with the first seed, then with the next."""
    return [Run(title, seed) for seed in quality.seeds for title in quality.architectures]


def steps(quality: Quality, run: Run) -> list[Step]:
    """The commands of a run: training and accuracy of span selection, training, answers and scores of questions.

    The first two are left out where there is no text.
    """
    folder = Path(quality.out) / "runs" / re.sub(r"\W+", "-", run.key)
    own = quality.architectures[run.architecture]
    user, seed = ["--user-dir", str(PACKAGE)], ["--seed", str(run.seed)]
    first, second, predictions = folder / "span_selection", folder / "question_answering", folder / "predictions"
    span_task = ["--task", "recurring_span_selection", "--criterion", "recurring_span_selection"]
    question_task = ["--task", "question_answering", "--criterion", "question_answering"]
    start = ["--finetune-from-model", str(first / "checkpoint_last.pt")] if quality.text else []
    span_options = as_options({**quality.training, **quality.span_selection, **own})
    question_options = as_options({**quality.training, **quality.question_answering, **own})
    checkpoint = str(second / "checkpoint_last.pt")
    train, json_log = "fairseq-train", ["--log-format", "json"]
    pretraining = [
        Step(
            "span_selection",
            [train, quality.text, *user, *span_task, *seed, *json_log, "--save-dir", str(first), *span_options],
            folder,
            first,
        ),
        Step(
            "accuracy",
            ["fairseq-validate", quality.text, *user, "--task", span_task[1], *json_log]
            + ["--path", str(first / "checkpoint_last.pt"), *as_options(quality.validation)],
            folder,
        ),
    ]
    return [
        *(pretraining if quality.text else []),
        Step(
            "question_answering",
            [train, quality.questions, *user, *question_task, *seed, *json_log, *start]
            + ["--save-dir", str(second), *question_options],
            folder,
            second,
        ),
        Step(
            "answers",
            ["littlebird-predict", quality.questions, "--path", checkpoint, "--gen-subset", quality.subset]
            + ["--output", str(predictions)],
            folder,
            predictions,
        ),
        Step(
            "scores",
            ["littlebird-evaluate", "--dataset", quality.dataset, "--gold", quality.gold, "--json"]
            + ["--predictions", str(predictions / "predictions.json")],
            folder,
        ),
    ]


def as_options(options: Mapping[str, Any]) -> list[str]:
    """Options as they stand on a command line; false and null leave one out."""
    found: list[str] = []
    for name, value in options.items():
        if value is not None and value is not False:
            found += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return found


def figures(done: Sequence[Step]) -> dict[str, float]:
    """What the steps of a run found, in percent and minutes."""
    *pretraining, question_answering, _, scores = done
    trainings = [*pretraining[:1], question_answering]
    parameters = re.findall(r"num\. shared model params: ([\d,]+)", trainings[0].log.read_text("utf-8"))
    found = json.loads(scores.log.read_text("utf-8").strip().splitlines()[-1])
    percent = 100 if EVIDENCE in found else 1  # HotpotQA's are shares
    valid = [re.findall(r'"valid_accuracy": "([\d.]+)"', step.log.read_text("utf-8")) for step in pretraining[1:]]
    accuracy = {"accuracy": float(valid[0][-1])} if valid else {}
    return {
        "parameters": int(parameters[-1].replace(",", "")),
        **accuracy,
        "exact": percent * next(float(found[name]) for name in EXACT if name in found),
        "f1": percent * float(found["f1"]),
        **({"evidence": percent * float(found[EVIDENCE])} if EVIDENCE in found else {}),
        "minutes": sum(step.seconds() for step in trainings) / 60,
    }


def perform(
    quality: Quality, jobs: int, threads: int, done: Callable[[Run, Step], object] = lambda run, step: None
) -> dict[str, dict[str, float]]:
    """Runs what is not done yet; figures by run, in ``results.json`` too, which grows as they come.

    Args:
        quality: what to compare.
        jobs: runs at a time.
        threads: of each.
        done: called after each step.
    Raises:
        UserError: a run failed; the others are done.
    """

    def one(run: Run) -> dict[str, float]:
        all_steps = steps(quality, run)
        for step in all_steps:
            step.run(threads)
            done(run, step)
        return figures(all_steps)

    path = Path(quality.out) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, float]] = {}
    failures: list[UserError] = []
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = {pool.submit(one, run): run for run in runs(quality)}
        for future in as_completed(waiting):
            try:
                results[waiting[future].key] = future.result()
            except UserError as error:
                failures.append(error)
                continue
            with whole_file(path, overwrite=True) as new:
                new.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    except KeyboardInterrupt:
        end_steps()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    if failures:
        raise UserError(f"{len(failures)} of {len(waiting)} runs failed, the first: {failures[0]}")
    return results


def markdown(quality: Quality, results: Mapping[str, Mapping[str, float]]) -> str:
    """A row an architecture: means over the seeds, and in brackets the lowest and the highest."""
    return "\n".join(_rows(quality, results))


def _rows(quality: Quality, results: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    columns = [name for name in COLUMNS if all(name in result for result in results.values())]
    yield "| architecture | parameters | " + " | ".join(COLUMNS[name] for name in columns) + " |"
    yield "|---" * (2 + len(columns)) + "|"
    for title in quality.architectures:
        of_seeds = [results[run.key] for run in runs(quality) if run.architecture == title]
        texts = [_spread([one[name] for one in of_seeds]) for name in columns]
        yield f"| {title} | {of_seeds[0]['parameters']:,} | " + " | ".join(texts) + " |"


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f} – {max(values):.1f})"
