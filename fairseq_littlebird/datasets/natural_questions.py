"""Natural Questions JSON lines, original or simplified: whole Wikipedia pages as tokens, each a word or an HTML tag.

The document is the tokens with one space between, so a token's number is the number of spaces before it. Every end
is exclusive.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, NamedTuple

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.inference.final_answer import FinalAnswer, yes_no_or_span
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.prediction_format import Section
from fairseq_littlebird.metrics import natural_questions as official
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.text.answer_spec import LONG_ANSWERS
from fairseq_littlebird.text.example import NULL_TYPE, Answer, Piece, QAExample, Segment
from fairseq_littlebird.text.global_tokens import PARAGRAPH, QUESTION, GlobalInput
from fairseq_littlebird.text.html import TOKENS
from fairseq_littlebird.text.tokenizers import without_surrogates

LONGEST_ANSWER = 38
"""Tokens; longer short answers have no place (appendix E.2 of the BigBird paper)."""

ANNOTATORS_THAT_AGREE = 2
"""So many of several must have seen an answer, or there is none, as in the official script."""

REMEDY = "give a Natural Questions .jsonl or .jsonl.gz file, original or simplified"
_TAG = re.compile(r"<(/?[a-z][a-z0-9]*)(?:[\s_/][^>]*)?>", re.IGNORECASE)


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a Natural Questions file, in its order.

    The model reads the words, and of the tags those that open one of ``html.TOKENS``. Segments are the candidates for
    the long answer, all of them, also those within another, named by their tokens. The answers are the short ones of
    at most ``LONGEST_ANSWER`` tokens; if all are longer, one without a place.

    One annotator decides. Of several, as in the dev split: the answer is null unless ``ANNOTATORS_THAT_AGREE`` gave
    one of any kind; if they did, its type is what most of these gave, the earlier of types as frequent. Long and
    short answers are those of the first annotator who gave that type.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
    Raises:
        UserError: the file is not UTF-8, not JSON lines, or not of this format (names line and example).
    """
    for number, record in records:
        with log.record():
            yield _example(record, records.where(number))


def token_starts(document: str) -> list[int]:
    """The first character of each token, and of one more that would follow the last."""
    return list(accumulate((len(token) + 1 for token in document.split(" ")), initial=0))


def character_range(starts: Sequence[int], first: int, end: int) -> tuple[int, int]:
    """[start, stop) characters of the tokens [first, end).

    Args:
        starts: of the document, see `token_starts`.
        first: a token.
        end: the token after the last.
    """
    return starts[first], starts[end] - 1


def token_range(starts: Sequence[int], start: int, stop: int) -> tuple[int, int]:
    """[first, end) of the tokens that the characters [start, stop) touch; a space alone touches the token after it.

    Args:
        starts: of the document, see `token_starts`.
        start: a character.
        stop: the character after the last.
    """
    first = bisect_right(starts, start + 1) - 1  # a span that starts with a space starts after it
    return first, max(bisect_left(starts, stop), first + 1)


def predicted_tokens(first: int, end: int) -> dict[str, int]:
    """What a predictions file calls the tokens [first, end); their bytes are not known."""
    return {"start_token": first, "end_token": end, "start_byte": -1, "end_byte": -1}


def predicted_span(document: str, start: int, stop: int) -> dict[str, int]:
    """What a predictions file calls the tokens that ``document[start:stop]`` touches."""
    return predicted_tokens(*token_range(token_starts(document), start, stop))


class _Annotation(NamedTuple):
    """What one annotator said: a type of answer, an index or -1, and token ranges."""

    type: str
    candidate: int
    short: list[tuple[int, int]]


def _example(record: Any, where: str) -> QAExample:
    name = without_surrogates(identity(record, "example_id", where, REMEDY))
    where = f"{where} (id {name})"
    document, tags = _page(record, where)
    starts = token_starts(document)
    candidates = [
        _span(candidate, len(tags), where) for candidate in field(record, "long_answer_candidates", list, where, REMEDY)
    ]
    annotations = [
        _annotation(annotation, len(candidates), len(tags), where)
        for annotation in field(record, "annotations", list, where, REMEDY, default=[])
    ]
    chosen = _chosen(annotations) if annotations else _Annotation("", -1, [])
    return QAExample(
        id=name,
        question=without_surrogates(field(record, "question_text", str, where, REMEDY)),
        document=document,
        answers=_answers(document, starts, chosen) if chosen.type == "short" else (),
        title=without_surrogates(field(record, "document_title", str, where, REMEDY, default="")),
        pieces=_pieces(starts, tags),
        segments=tuple(
            Segment(*character_range(starts, first, end), gold=i == chosen.candidate, name=json.dumps([first, end]))
            for i, (first, end) in enumerate(candidates)
        ),
        answer_type=chosen.type,
        labelled=bool(annotations),
    )


def _page(record: Any, where: str) -> tuple[str, list[str | None]]:
    """The document, and what each of its tokens is: None for a word, else its tag, empty if it has no name."""
    if "document_tokens" not in record:
        document = without_surrogates(field(record, "document_text", str, where, REMEDY))
        return document, [_tag(token) if token.startswith("<") else None for token in document.split(" ")]
    tokens = field(record, "document_tokens", list, where, REMEDY)
    try:
        # a cell that spans columns has a blank in its tag, for which the simplified format has the same
        texts = [token["token"].replace(" ", "_") for token in tokens]
        tags = [(_tag(text) or "") if token["html_token"] else None for text, token in zip(texts, tokens, strict=True)]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            "another JSON format (a document token is not {token, html_token})", where=where, remedy=REMEDY
        ) from error
    return without_surrogates(" ".join(texts)), tags


def _tag(token: str) -> str | None:
    """The name of an HTML tag in lower case, ``/name`` where it closes; None for other tokens."""
    match = _TAG.fullmatch(token)
    return match[1].lower() if match else None


def _pieces(starts: Sequence[int], tags: Sequence[str | None]) -> tuple[Piece, ...]:
    """Words side by side are one piece; one space stands for tags that are not read, none beside those that are."""
    pieces: list[Piece] = []
    words = 0  # the first token since the last tag
    for token in (*(i for i, tag in enumerate(tags) if tag is not None), len(tags)):
        if words < token:
            start, stop = character_range(starts, words, token)
            if pieces and not pieces[-1].symbol:
                pieces.append(Piece(pieces[-1].stop, start, " "))
            pieces.append(Piece(start, stop))
        if token < len(tags) and tags[token] in TOKENS:
            pieces.append(Piece(*character_range(starts, token, token + 1), symbol=f"<{tags[token]}>"))
        words = token + 1
    return tuple(pieces)


def _annotation(annotation: Any, candidates: int, tokens: int, where: str) -> _Annotation:
    candidate = field(field(annotation, "long_answer", dict, where, REMEDY), "candidate_index", int, where, REMEDY)
    if not -1 <= candidate < candidates:
        raise UserError(f"its long answer is candidate {candidate} of {candidates}", where=where, remedy=REMEDY)
    listed = field(annotation, "short_answers", list, where, REMEDY)
    short = [_span(answer, tokens, where) for answer in listed if not _is_null(answer)]
    yes_no = field(annotation, "yes_no_answer", str, where, REMEDY)
    if yes_no.lower() not in ("yes", "no", "none"):
        raise UserError(f"yes_no_answer is {shown(yes_no)}", where=where, remedy="give YES, NO or NONE")
    if yes_no.lower() != "none":
        return _Annotation(yes_no.lower(), candidate, short)
    return _Annotation("short" if short else "long" if candidate >= 0 else "null", candidate, short)


def _is_null(span: Any) -> bool:
    return isinstance(span, dict) and span.get("start_token") == span.get("end_token") == -1


def _span(span: Any, tokens: int, where: str) -> tuple[int, int]:
    first, end = (field(span, name, int, where, REMEDY) for name in ("start_token", "end_token"))
    if not 0 <= first < end <= tokens:
        raise UserError(f"no tokens {first} to {end} in a page of {tokens}", where=where, remedy=REMEDY)
    return first, end


def _chosen(annotations: Sequence[_Annotation]) -> _Annotation:
    """The first annotation of the type that the annotators together stand for."""
    types = Counter(annotation.type for annotation in annotations if annotation.type != "null")
    agreed = types.total() >= min(ANNOTATORS_THAT_AGREE, len(annotations))
    chosen = types.most_common(1)[0][0] if agreed else "null"
    return next(annotation for annotation in annotations if annotation.type == chosen)


def _answers(document: str, starts: Sequence[int], annotation: _Annotation) -> tuple[Answer, ...]:
    ranges = [character_range(starts, *span) for span in annotation.short if span[1] - span[0] <= LONGEST_ANSWER]
    if ranges:
        return tuple(Answer(document[start:stop], start) for start, stop in ranges)
    start, stop = character_range(starts, *annotation.short[0])
    return (Answer(document[start:stop], -1),)


def long_and_short(prediction: Prediction, null_threshold: float | None = None) -> FinalAnswer:
    """Always the best of both: the official script looks for the threshold on the scores."""
    probability, name = _best_passage(prediction)
    first, end = json.loads(name) if name else (0, 0)
    passage = " ".join(prediction.document.split(" ")[first:end])
    return replace(yes_no_or_span(prediction), passage=passage, passage_probability=probability)


def short_or_none(prediction: Prediction, null_threshold: float | None = None) -> FinalAnswer:
    """The short answer; none where a long one, or null, is the answer's type."""
    if prediction.answer_type in (NULL_TYPE, "long"):
        return FinalAnswer()
    return yes_no_or_span(prediction, null_threshold)


def _best_passage(prediction: Prediction) -> tuple[float, str]:
    """The probability and the name of the best segment; of equal ones the last name."""
    return max(zip(prediction.segments, prediction.segment_names, strict=True), default=(0.0, ""))


def _record(prediction: Prediction, answer: FinalAnswer) -> str:
    """An entry of a predictions file: long and short answers in tokens, and their scores."""
    _, name = _best_passage(prediction)
    yes_no = bool(answer.text) and not answer.span
    best = prediction.candidates[: 0 if yes_no else 1]
    record: dict[str, Any] = {
        "example_id": int(prediction.id) if prediction.id.lstrip("-").isdecimal() else prediction.id,
        "long_answer": predicted_tokens(*json.loads(name)) if name else predicted_tokens(-1, -1),
        "long_answer_score": answer.passage_probability,
        "short_answers": [predicted_span(prediction.document, c.start, c.end) for c in best],
        "short_answers_score": answer.probability,
        "yes_no_answer": answer.text.upper() if yes_no else "NONE",
    }
    return json.dumps(record, ensure_ascii=False)


NATURAL_QUESTIONS = add_dataset(
    DatasetSpec(
        name="natural_questions",
        title="Natural Questions",
        parse=parse,
        remedy=REMEDY,
        file_format="Natural Questions' JSON lines",
        matches=lambda record: "long_answer_candidates" in record,
        answer_types=(NULL_TYPE, "yes", "no", "short", "long"),
        segments=LONG_ANSWERS,
        global_input=GlobalInput(kinds=(QUESTION, PARAGRAPH), maximum=230),
        max_answer_words=LONGEST_ANSWER,
        max_answer_length=2 * LONGEST_ANSWER,
        final_answer=long_and_short,
        prediction_format=(Section('{"predictions": [', _record, "\n]}"),),
        validation_answer=short_or_none,
        official_metric=OfficialMetric(
            read_gold=official.read_gold,
            read_predictions=official.read_predictions,
            answers=official.answers,
            evaluate=official.evaluate,
            prediction_format='{"predictions": [...]}',
            many_gold_files=True,
        ),
    )
)
