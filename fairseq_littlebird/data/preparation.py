"""Questions about documents become a prepared folder; ``prepared.py`` describes its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from fairseq.data import Dictionary
from tqdm import tqdm

from fairseq_littlebird.data.answer_lengths import AnswerLengths
from fairseq_littlebird.data.dictionary import read_dictionary
from fairseq_littlebird.data.encoded_document import DocumentEncoder
from fairseq_littlebird.data.preparation_summary import reasons
from fairseq_littlebird.data.prepared import PARTS, SPLITS, VERSION
from fairseq_littlebird.data.question_writer import QuestionWriter
from fairseq_littlebird.datasets.question_files import QuestionFile, open_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.inputs import check_given_once
from fairseq_littlebird.output import check_folder, whole_folder
from fairseq_littlebird.text.answer_spec import CANDIDATES
from fairseq_littlebird.text.candidate_markers import QUESTION_MARKERS, with_candidate_markers
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, dictionary_text
from fairseq_littlebird.text.window import NOT_CONTEXT, SYMBOLS
from fairseq_littlebird.text.workers import ordered_map

SMALLEST_WINDOW = 16


def prepare_questions(
    dataset: str,
    files: Mapping[str, Sequence[str | Path]],
    tokenizer: Tokenizer,
    dictionary: str | Path,
    destination: str | Path,
    max_tokens: int = 512,
    stride: int = 256,
    join_articles: bool = False,
    workers: int = 1,
    overwrite: bool = False,
    max_answer_length: int | None = None,
    skip_bad: bool = False,
    candidate_markers: bool = False,
) -> dict[str, dict[str, Any]]:
    """Writes a prepared folder; the same one for any number of workers.

    Args:
        dataset: a key of ``datasets.DATASETS``, or ``datasets.AUTO``.
        files: split -> its files; ``-`` is standard input.
        tokenizer: its symbols are the dictionary's.
        dictionary: dict.txt; ``[QUESTION]`` is appended to the copy where it lacks it.
        destination: the folder.
        max_tokens: the most tokens in a window.
        stride: context tokens from one window's start to the next one's. A question that leaves less room
            than this gets half its room as stride.
        join_articles: one document an article instead of one a paragraph.
        workers: processes that tokenize; 0 or 1 for none.
        overwrite: whether to replace a prepared folder.
        max_answer_length: tokens of an answer that a model of this folder predicts; None measures training answers.
        skip_bad: whether bad records are left out, and told in the summary and the report; otherwise they are errors.
        candidate_markers: whether question and candidates stand between symbols of their own.

    Returns:
        split -> its summary (see :func:`summary_lines`).

    Raises:
        UserError: bad input, named by file and record; the destination is left as it was.
    """
    paths = {split: [Path(file) for file in names] for split, names in files.items() if names}
    if not paths:
        raise UserError("no input files", remedy="give --train, --valid or --test files")
    check_given_once(chain(*paths.values()))
    if max_tokens < SMALLEST_WINDOW:
        raise UserError(f"--max-tokens {max_tokens}", remedy=f"give at least {SMALLEST_WINDOW}")
    if not 1 <= stride < max_tokens - NOT_CONTEXT:
        raise UserError(
            f"--stride {stride} would skip tokens between windows of --max-tokens {max_tokens}",
            remedy=f"choose a stride between 1 and {max_tokens - NOT_CONTEXT - 1}",
        )
    check_folder(destination, _names(), overwrite)
    symbols = read_dictionary(Path(dictionary))
    check_match(symbols, tokenizer, Path(dictionary))
    summaries: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        # the first file says what an unnamed data set is; it may be a pipe, which is opened once
        first = stack.enter_context(open_questions(dataset, next(iter(paths.values()))[0], join_articles))
        spec = first.spec
        if candidate_markers and spec.segments != CANDIDATES:
            raise UserError(f"{spec.title} has no candidates", "--candidate-markers", "leave it out")
        markers = QUESTION_MARKERS if candidate_markers else ()
        encode = DocumentEncoder(tokenizer, symbols.indices, symbols.unk(), spec.answer_types, max_tokens, markers)
        lengths = {split: AnswerLengths(spec) for split in paths}
        folder = stack.enter_context(whole_folder(destination, _names(), overwrite))
        text = dictionary_text(tokenizer, Path(dictionary))
        (folder / "dict.txt").write_text(text, encoding="utf-8")
        for name, file in tokenizer.files.items():
            shutil.copyfile(file, folder / name)
        report = stack.enter_context((folder / "report.jsonl").open("w", encoding="utf-8"))
        for split, names in paths.items():
            log = ReadingLog(skip_bad, "--skip-bad")
            examples = _read_split(_opened(spec.name, names, join_articles, first), split, join_articles, log)
            if candidate_markers:
                examples = map(with_candidate_markers, examples)
            with QuestionWriter(folder, split, symbols.unk(), max_tokens, stride, report, lengths[split]) as writer:
                progress = tqdm(desc=split, unit=" questions", mininterval=0.5)
                with progress:
                    for document in ordered_map(encode, _by_document(examples), workers):
                        writer.add(document)
                        read = _read_so_far(log.characters, seconds=progress.format_dict["elapsed"])
                        progress.set_postfix_str(read, refresh=False)
                        progress.update(len(document.questions))
                summaries[split] = writer.summary(spec.name, log)
            if not summaries[split]["kept"]:
                raise UserError(
                    f"no example of the {split} split is left: {reasons(summaries[split]['dropped'])}",
                    where=", ".join(map(str, names)),
                    remedy="check the files and --max-tokens",
                )
        if "train" in lengths:
            max_answer_length = max_answer_length or lengths["train"].limit()
        for split, summary in summaries.items():
            summary |= lengths[split].summary(max_answer_length or spec.max_answer_length)
        settings = {
            "version": VERSION,
            "dataset": spec.name,
            "tokenizer": {"kind": tokenizer.kind, "files": sorted(tokenizer.files)},
            "max_tokens": max_tokens,
            "stride": stride,
            "join_articles": join_articles,
            "max_answer_length": max_answer_length,
            "answer_types": spec.answer_types,
            "candidate_markers": candidate_markers,
            "symbols": {symbol: symbols.index(symbol) for symbol in SYMBOLS},
            "splits": summaries,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / "prepared.json").write_text(text + "\n", encoding="utf-8")
    return summaries


def _names() -> list[str]:
    parts = [f"{split}.{part}.{end}" for split in SPLITS for part in PARTS for end in ("bin", "idx")]
    return ["prepared.json", "report.jsonl", *FILES, *parts]


def check_match(dictionary: Dictionary, tokenizer: Tokenizer, path: Path) -> None:
    symbols = tokenizer.symbols()
    held = sum(symbol in dictionary for symbol in symbols)
    if held * 2 < len(symbols):
        raise UserError(
            f"this dictionary holds only {held:,} of the tokenizer's {len(symbols):,} symbols",
            where=str(path),
            remedy="give the dict.txt that belongs to the tokenizer",
        )


def _opened(dataset: str, files: Iterable[Path], join_articles: bool, first: QuestionFile) -> Iterator[QuestionFile]:
    """The files of a split, each open until the next one is asked for."""
    for file in files:
        if file == first.path and not first.used:
            yield first
            continue
        with open_questions(dataset, file, join_articles) as opened:
            yield opened


def _read_split(files: Iterable[QuestionFile], split: str, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
    """The files' examples one after the other; an id that comes twice or a file without one is an error."""
    seen: set[str] = set()
    labelled: bool | None = None
    for file in files:
        before, bad = len(seen), len(log.skipped)
        for example in file.read(join_articles, log):
            where = f"{file.path}, question {example.id}"
            if example.id in seen:
                raise UserError(
                    f"the id {example.id!r} comes twice in this split",
                    where=str(file.path),
                    remedy="make the ids of a split distinct",
                )
            with log.record(offer=bool(seen)):  # where not even the first has answers, none may have
                if not example.labelled and (split != "test" or labelled):
                    other = "" if split != "test" else ", unlike others in this split"
                    remedy = "give its answers, an empty list if there are none"
                    raise UserError(f"nothing says what its answer is{other}", where, remedy)
                if labelled is False and example.labelled:
                    has = "answers" if example.answers else "an answer, that there is none"
                    raise UserError(
                        f"it has {has}, unlike others in this split", where, "give all or none their answers"
                    )
                labelled = example.labelled
                seen.add(example.id)
                yield example
        if len(seen) == before:
            what, remedy = "no question in this file", "leave the file out"
            if len(log.skipped) > bad:
                what, remedy = f"all its {len(log.skipped) - bad:,} records are bad", f"the first: {log.skipped[bad]}"
            raise UserError(what, str(file.path), remedy)


def _read_so_far(characters: int, *, seconds: float) -> str:
    return f"{characters:,} characters, {characters / max(seconds, 1e-3):,.0f} per second"


def _by_document(examples: Iterable[QAExample]) -> Iterator[list[QAExample]]:
    group: list[QAExample] = []
    for example in examples:
        if group and example.document is not group[0].document:
            yield group
            group = []
        group.append(example)
    if group:
        yield group
