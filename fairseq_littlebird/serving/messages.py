"""What goes over HTTP, as the OpenAPI description has it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from fairseq_littlebird.formats.documents.document import Document, of_lines

LONGEST_NAME = 200
LONGEST_QUESTION = 2_000
MOST_DOCUMENTS = 100
MOST_ANSWERS = 20
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def _text(text: str) -> str:
    if found := _NO_TEXT.search(text):
        what = f"no text: character {found.start():,} is U+{ord(found[0]):04X}"
        raise PydanticCustomError("no_text", "{what}", {"what": what})
    return text


def _file(value: Any) -> Any:
    if isinstance(value, str):
        raise PydanticCustomError("no_file", "not a file; send one, as curl -F NAME=@FILE does")
    return value


# pydantic's own words for a lone surrogate are of another language
Text = Annotated[str, BeforeValidator(lambda text: _text(text) if isinstance(text, str) else text)]
"""Without NUL and halves of characters, which JSON may have and no file of text has."""
File = Annotated[UploadFile, BeforeValidator(_file)]


class Message(BaseModel):
    """Numbers and texts as they are named, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class DocumentText(Message):
    """A document. Only `text` is needed; `unit` and `starts` are what `POST /read` says of a file."""

    name: Text = Field("document", max_length=LONGEST_NAME, description="a label, which the answers repeat")
    text: Text = Field(description="all of it")
    unit: Literal["line", "page", "paragraph"] = Field("line", description="what places in it are counted in, from 1")
    starts: list[int] | None = Field(
        None, description="the first character of each of these, ascending; left out: of each line"
    )

    def document(self) -> Document:
        """As the package has it."""
        if self.starts is None:
            return of_lines(self.name, self.text)
        return Document(self.name, self.text, self.unit, tuple(self.starts))


class Asking(Message):
    """A question, and how to answer it."""

    question: Text = Field(min_length=1, max_length=LONGEST_QUESTION)
    top_k: int = Field(3, ge=1, le=MOST_ANSWERS, description="answers at most")
    null_threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        description='no answer if the log odds of "no answer" are above it; left out: always an answer',
    )
    attention: bool = Field(False, description="say where the attention of the best answer goes, in more time")


class Question(Asking):
    """A question about documents, which are ranked together."""

    documents: list[DocumentText] = Field(min_length=1, max_length=MOST_DOCUMENTS)


class FileQuestion(Asking):
    """A question about files, which are ranked together."""

    files: list[File] = Field(min_length=1, max_length=MOST_DOCUMENTS, description="text, Markdown, HTML, PDF or DOCX")


class OneFile(Message):
    """A file to read."""

    file: File = Field(description="text, Markdown, HTML, PDF or DOCX")


class Answer(Message):
    """An answer; offsets count Unicode characters."""

    text: str
    probability: float = Field(description="of this span among all spans of all documents")
    document: str = Field(description="its name")
    index: int = Field(description="of its document, from 0")
    line: int | None = None
    page: int | None = None
    paragraph: int | None = None
    start: int = Field(description="first character in the document")
    end: int = Field(description="the character after the last")
    sentence: str = Field(description="the sentence around it")


class AttendedPassage(Message):
    """A passage of the document that much of the attention goes to."""

    start: int
    end: int
    weight: float = Field(description="its share of the attention, 0 to 1")
    through_pack: float = Field(description="what of it goes through the pack vectors")


class Attention(Message):
    """Where the attention of the best answer goes, as a mean over heads and layers."""

    window: tuple[int, int] = Field(description="first character of the part of the document that was read together,"
                                                " and the one after its last")  # fmt: skip
    bars: list[float] = Field(description="shares by place, in equal parts of the document")
    through_pack: list[float] = Field(description="what of them goes through the pack vectors")
    passages: list[AttendedPassage] = Field(description="the largest share first")
    destinations: dict[str, float] = Field(description="shares by kind of destination")


class Answers(Message):
    """Answers to a question, the most probable first."""

    question: str
    answers: list[Answer]
    null_odds: float = Field(
        description='log odds of "no answer", -1e9 to 1e9: the natural logarithm of how many times as likely it is as '
        "the best answer"
    )
    attention: Attention | None = None


class Health(Message):
    """Whether questions are answered, and by what."""

    status: Literal["ok", "stopping"]
    model: str
    version: str
    explains: bool = Field(description="whether `attention` can be asked for")
    waiting: int = Field(description="questions that wait")
    max_bytes: int = Field(description="of a request")
    max_characters: int = Field(description="of the documents of a question")
    suffixes: list[str] = Field(description="of the files that are read")


class Fault(Message):
    """Why there is no answer."""

    detail: str = Field(description="one line: what is wrong, and what to do")
