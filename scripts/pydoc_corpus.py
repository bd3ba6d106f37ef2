"""Makes the quickstart's corpus from the documentation inside the running Python. No download.

    python pydoc_corpus.py --out DIR [--seed N] [--overlap SHARE] [--keywords] [--editions N] [--overwrite]

Written to DIR:

* ``text.txt``: text for pretraining, a paragraph a line, an empty line between documents: the docstrings of
  the standard library (public and private) and the language reference of ``pydoc_data.topics``.
* ``train.json``, ``dev.json``, ``test.json``: questions in SQuAD 1.1 format.

The search problem. A *page* is one top-level module or package with everything below it (``asyncio``). It
has an entry, one line, for each public class, function, method and property with a docstring. The name
comes first::

    * get_nowait : Remove and return an from the queue. Return an if one is immediately available, else

    question: Remove and return an item from the Return an item if one is available, else raise QueueEmpty
    answer: get_nowait

The answer is that name (with its class or module where several entries of the page share it). The question
comes from the summary, the first sentence of the docstring, with the next one where it has fewer than four
content words. Content words are all but function words and the name itself. Each is dealt, by a seeded
draw, to one of three hands: the share ``--overlap`` of them stands in question and entry, the others
alternately in the question only and in the entry only. A word of the question only is taken out of the
whole entry, so the summary never stands beside its name, and a reader has to match a partial paraphrase
against every entry of the page. A word that is the name is taken out of both. Function words stay
(``--keywords`` leaves them out of questions). All entries are thinned like this, asked or not.

A question is asked only if its own entry holds more of its content words than any other entry of the whole
page (so there is one right answer), and at least two. A summary that is not clear is dealt anew a few
times.

The split is by page. The pages of dev and test are named below, all others are for training, small ones
joined. What shares its summary or eight words in a row with a dev or test page is left out of training and
text. Training pages come in ``--editions``, each dealt anew. Dev and test pages are cut at entry boundaries
into runs of each length class (to 512, 1K, 2K, 4K, 8K tokens); the places of a run's questions are drawn
evenly over its depth.

Modules written in Python are parsed and never imported; extension modules, which have no source, are
imported.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import hashlib
import importlib
import inspect
import io
import json
import os
import random
import re
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.output import check_folder, whole_folder

# Written in Python and part of every installation, so that everybody gets the same questions.
TEST_PAGES = ("asyncio", "email", "unittest")
DEV_PAGES = ("logging", "xml")

# One page for what is documented under one name.
SAME_PAGE = {
    "posix": "os", "nt": "os", "posixpath": "os", "ntpath": "os", "genericpath": "os",
    "sre_compile": "re", "sre_constants": "re", "sre_parse": "re", "sre": "re",
    "elementtree": "xml", "pyexpat": "xml", "winapi": "multiprocessing", "posixsubprocess": "subprocess",
    "markupbase": "html", "aix_support": "sysconfig", "osx_support": "sysconfig", "abc": "collections",
}  # fmt: skip
# Tests, demonstrations, and parts that distributions leave out or that talk on import.
SKIPPED = {
    "antigravity", "this", "test", "tests", "idle_test", "idlelib", "turtledemo", "ensurepip", "distutils",
    "lib2to3", "site-packages", "dist-packages", "__pycache__", "__phello__", "pydoc_data", "__main__",
    "sitecustomize", "usercustomize",
}  # fmt: skip

FUNCTION_WORDS = frozenset(
    """a all also an and any are as at be been but by can do does each for from given has have if in into is
    it its may more must new no nor not object of on one only or other otherwise out over return returned
    returning returns same self should so some such than that the their them then there these they this
    those to up use used using value was were when where whether which will with without would you
    your""".split()
)

# Approximate tokens of a page in each length class, with room for a question and for a smaller vocabulary.
LENGTHS = {"512": (300, 400), "1k": (600, 800), "2k": (1200, 1600), "4k": (2400, 3200), "8k": (4300, 6400)}
BULLET = "* "
MAX_ENTRY_WORDS = 30
MAX_QUESTION_CONTENT = 10
SHORT_SUMMARY = 4  # a summary with fewer content words takes in the next sentence
MIN_SHARED = 2
DRAWS = 8
MAX_QUESTION_TOKENS = 40
SMALL_PAGE = 20  # entries; smaller training pages are joined
COPIED_WORDS = 8


@dataclass(frozen=True)
class Docstring:
    """A docstring where it stands: module ``asyncio.queues``, owner ``Queue`` or empty, name ``get``."""

    module: str
    owner: str
    name: str
    text: str
    public: bool


@dataclass(frozen=True)
class Entry:
    """One entry of one edition of a page; ``question`` is empty where there is nothing to ask."""

    heading: str
    description: str
    question: str
    asked: frozenset[str]  # stems of the content words of the question
    held: frozenset[str]  # stems of all words of the entry

    @property
    def text(self) -> str:
        return f"{BULLET}{self.heading} : {self.description}"


# ------------------------------------------------------------------------------------------- reading Python


def page_of(module: str) -> str:
    """The page of a module: its top-level name; an implementation belongs to what it implements."""
    top = module.partition(".")[0].strip("_")
    if module.startswith("_py") and top[2:] in sys.stdlib_module_names:
        top = top[2:]
    return SAME_PAGE.get(top, top)


def python_sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Module names and files of the standard library below ``root``, in a fixed order."""
    for path in sorted(root.rglob("*.py")):
        parts = list(path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts and parts[0] in sys.stdlib_module_names and not SKIPPED.intersection(parts):
            yield ".".join(parts), path


def docstrings_of_source(module: str, source: str) -> Iterator[Docstring]:
    """Every docstring of a Python file, top to bottom; the module's own has no name.

    What a private submodule (``email._parse``) holds is not public.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return

    def walk(body: Iterable[ast.stmt], owner: str, public: bool) -> Iterator[Docstring]:
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                visible = public and not node.name.startswith("_")
                if text := ast.get_docstring(node):
                    yield Docstring(module, owner, node.name, text, visible)
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, node.name, visible)
            elif isinstance(node, (ast.If, ast.Try)):
                yield from walk(node.body, owner, public)
                yield from walk(node.orelse, owner, public)
                for handler in getattr(node, "handlers", ()):
                    yield from walk(handler.body, owner, public)

    if text := ast.get_docstring(tree):
        yield Docstring(module, "", "", text, False)
    yield from walk(tree.body, "", "._" not in module)


def docstrings_of_extension(module: str) -> Iterator[Docstring]:
    """The public docstrings of a module written in C, by name."""
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            loaded = importlib.import_module(module)
    except Exception:  # a module that this machine cannot load has no page
        return

    def described(owner: str, name: str, value: object) -> Iterator[Docstring]:
        text = getattr(value, "__doc__", None)
        if isinstance(text, str) and text.strip():
            yield Docstring(module, owner, name, inspect.cleandoc(text), True)

    for name, value in sorted(vars(loaded).items()):
        home = getattr(value, "__module__", None) or module
        if name.startswith("_") or home not in (module, module.strip("_")):
            continue
        if inspect.isclass(value):
            yield from described("", name, value)
            for method, member in sorted(vars(value).items()):
                documented = inspect.isroutine(member) or inspect.isdatadescriptor(member)
                if documented and not method.startswith("_"):
                    yield from described(name, method, member)
        elif inspect.isroutine(value):
            yield from described("", name, value)


def extension_modules(root: Path) -> list[str]:
    """Names of the standard library's modules without source: built in, or a shared library."""
    names = set(sys.builtin_module_names)
    dynamic = sysconfig.get_config_var("DESTSHARED")
    if dynamic and os.path.isdir(dynamic):
        names.update(name.partition(".")[0] for name in os.listdir(dynamic))
    sources = {module for module, _ in python_sources(root)}
    names &= sys.stdlib_module_names - SKIPPED - sources
    return sorted(name for name in names if "test" not in name)


def read_standard_library() -> dict[str, list[Docstring]]:
    """Docstrings by page, in the order of the modules and of their sources."""
    root = Path(sysconfig.get_path("stdlib"))
    pages: dict[str, list[Docstring]] = {}
    for module, path in python_sources(root):
        source = path.read_text(encoding="utf-8", errors="replace")
        pages.setdefault(page_of(module), []).extend(docstrings_of_source(module, source))
    for module in extension_modules(root):
        page = pages.setdefault(page_of(module), [])
        written = {(doc.owner, doc.name) for doc in page}  # a module in C often repeats one in Python
        page.extend(doc for doc in docstrings_of_extension(module) if (doc.owner, doc.name) not in written)
    return dict(sorted(pages.items()))


# ------------------------------------------------------------------------------------------ words of a text


def paragraphs(docstring: str) -> list[str]:
    """The paragraphs of a docstring as single lines, markup removed."""
    text = re.sub(r":\w+(?::\w+)?:`~?([^`]*)`", r"\1", docstring)
    text = re.sub(r"``?|\*+(?=\w)|(?<=\w)\*+", "", text)
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    joined = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    return [paragraph for paragraph in joined if paragraph]


@functools.cache
def prose(docstring: str) -> tuple[str, ...]:
    """The sentences at the head of a docstring, without signatures, examples, fields and lists."""
    head = re.split(r"\n\s*(?:>>>|\.\. |:\w|@\w|[-=*]{3,}|[-*o] |\w+\s*:\s*\n)", docstring)[0]
    blocks = paragraphs(head)
    while blocks and re.match(r"[\w.]+\(.*?\)(\s*->.*)?(?![\w ]* \w+ \w+)", blocks[0]):
        signature = re.match(r"[\w.]+\([^()]*\)(?:\s*->\s*[\w.\[\], ()]+?)?(?:\s+--?\s+|\s*$)", blocks[0])
        if signature is None or signature.end() == len(blocks[0]):
            blocks.pop(0)
        else:
            blocks[0] = blocks[0][signature.end() :]
            break
    sentences: list[str] = []
    for block in blocks:
        sentences += re.split(r"(?<=[.!?])\s+(?=[A-Z])", block)
    return tuple(sentences)


@functools.cache
def stem(word: str) -> str:
    """The form in which two words are compared: letters and digits, lower case, without a plural s."""
    plain = re.sub(r"^\W+|\W+$", "", word).lower()
    return plain[:-1] if len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss") else plain


@functools.cache
def is_content(word: str) -> bool:
    plain = re.sub(r"^\W+|\W+$", "", word).lower()
    return len(plain) > 1 and plain not in FUNCTION_WORDS and any(c.isalpha() for c in plain)


@functools.cache
def names(word: str, name: str) -> bool:
    """Whether a word of a text is the name: ``get_nowait``, ``Queue.get_nowait()``, ``GetNowait``."""
    plain = name.replace("_", "").lower()
    parts = {stem(part) for part in re.split(r"[^\w]+", word)} | {stem(word)}
    return any(part.replace("_", "") in (plain, stem(plain)) for part in parts)


def approximate_tokens(text: str) -> int:
    """About as many tokens as a SentencePiece vocabulary of some thousand pieces makes of such a page."""
    pieces = re.findall(r"[A-Za-z]+|\d|[^\w\s]|_", text)
    return sum(1 + (len(piece) - 1) // 7 for piece in pieces)


# ------------------------------------------------------------------------------------------- pages, entries


def headed(docstrings: Iterable[Docstring]) -> list[tuple[str, str, Sequence[str]]]:
    """Heading, name and sentences of each entry of a page; headings are unique on the page."""
    entries: dict[tuple[str, str], tuple[Docstring, Sequence[str]]] = {}
    for doc in docstrings:
        sentences = prose(doc.text) if doc.public else []
        if sentences and not sentences[0].startswith(("Alias for field", "Dummy ")):
            entries.setdefault((doc.name, sentences[0]), (doc, sentences))
    kept = list(entries.values())

    def forms(doc: Docstring) -> list[str]:
        owned = f"{doc.owner}.{doc.name}" if doc.owner else doc.name
        return [doc.name, owned, f"{doc.module.rpartition('.')[2]}.{owned}"]

    counts = Counter(form for doc, _ in kept for form in dict.fromkeys(forms(doc)))
    result = []
    for doc, sentences in kept:
        free = [form for form in forms(doc) if counts[form] == 1]
        if free:
            result.append((free[0], doc.name, sentences))
    return result


def make_entry(
    heading: str, name: str, sentences: Sequence[str], overlap: float, keywords: bool, rng: random.Random
) -> Entry:
    """Deals the summary's words between question and entry."""
    own = {name, heading}
    summary: list[str] = []
    content: list[str] = []
    taken = 0
    while taken < len(sentences) and len(content) < SHORT_SUMMARY:
        words = [word for word in sentences[taken].split() if not any(names(word, form) for form in own)]
        summary += words
        content += [stem(word) for word in words if is_content(word)]
        content = list(dict.fromkeys(content))
        taken += 1
    rest = " ".join(sentences[taken:]).split()
    if len(content) > MAX_QUESTION_CONTENT:  # what is left of a long sentence is description
        late = content[MAX_QUESTION_CONTENT]
        place = next(i for i, word in enumerate(summary) if stem(word) == late and is_content(word))
        summary, rest = summary[:place], summary[place:] + rest
        del content[MAX_QUESTION_CONTENT:]

    shared_count = max(MIN_SHARED, round(overlap * len(content)))
    dealt = rng.sample(content, len(content))
    only_asked, only_held = set(dealt[shared_count::2]), set(dealt[shared_count + 1 :: 2])
    question = [word for word in summary if stem(word) not in only_held]
    held = [word for word in summary + rest if stem(word) not in only_asked]
    held = [word for word in held if not any(names(word, form) for form in own)][:MAX_ENTRY_WORDS]
    asked = frozenset(content) - only_held
    stems = frozenset(stem(word) for word in held)
    ask = len(asked & stems) >= MIN_SHARED and (overlap >= 1 or bool(only_asked))
    parts = frozenset(stem(part) for part in re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", heading) if part)
    if keywords:
        question = [re.sub(r"^\W+|\W+$", "", word) for word in question if is_content(word)]
    text = " ".join(question).rstrip(" .,;:")
    ask = ask and approximate_tokens(text) <= MAX_QUESTION_TOKENS
    return Entry(heading, " ".join(held), text if ask else "", asked, stems | parts)


def clear(entries: Sequence[Entry]) -> list[bool]:
    """Whether each entry is the one best match of its question on the page."""
    where: dict[str, list[int]] = {}
    for index, entry in enumerate(entries):
        for word in entry.held:
            where.setdefault(word, []).append(index)
    result = []
    for index, entry in enumerate(entries):
        hits = Counter(other for word in entry.asked for other in where.get(word, ()))
        best = max((count for other, count in hits.items() if other != index), default=0)
        result.append(bool(entry.question) and hits[index] > best)
    return result


def edition(page: str, docstrings: Iterable[Docstring], overlap: float, keywords: bool, seed: str) -> list[Entry]:
    """The entries of a page, dealt anew a few times where the question is not clear, then left unasked."""
    rng = random.Random(f"{seed}/{page}")
    parts = headed(docstrings)
    entries = [make_entry(*part, overlap, keywords, rng) for part in parts]
    for _ in range(DRAWS - 1):
        good = clear(entries)
        entries = [
            entry if ok else make_entry(*part, overlap, keywords, rng)
            for entry, ok, part in zip(entries, good, parts, strict=True)
        ]
    return [e if ok else replace(e, question="") for e, ok in zip(entries, clear(entries), strict=True)]


# ------------------------------------------------------------------------------------------------ questions


def record(title: str, entries: Sequence[Entry], asked: Iterable[int]) -> dict:
    """One SQuAD article: a page as a single paragraph and the questions of the entries ``asked``."""
    starts, context = [], ""
    for entry in entries:
        starts.append(len(context) + len(BULLET))
        context += entry.text + "\n"
    questions = [
        {
            "id": hashlib.sha1(f"{title}/{entries[index].heading}".encode()).hexdigest()[:16],
            "question": entries[index].question,
            "answers": [{"text": entries[index].heading, "answer_start": starts[index]}],
        }
        for index in asked
    ]
    return {"title": title, "paragraphs": [{"context": context.rstrip("\n"), "qas": questions}]}


def runs(entries: Sequence[Entry], shortest: int, longest: int, rng: random.Random) -> Iterator[Sequence[Entry]]:
    """Cuts a page at entry boundaries into pieces of ``shortest`` to ``longest`` tokens, for ever."""
    sizes = [approximate_tokens(entry.text) for entry in entries]
    while True:
        first = rng.randrange(len(entries))
        target, total, last = rng.uniform(shortest, longest), 0, first
        while last < len(entries) and total + sizes[last] <= target:
            total += sizes[last]
            last += 1
        while first > 0 and total + sizes[first - 1] <= target:  # the page ended: take from before
            first -= 1
            total += sizes[first]
        yield entries[first:last] if total >= shortest else []


def cut_pages(pages: dict[str, list[Entry]], per_length: int, rng: random.Random) -> list[dict]:
    """Articles of every length class, each class with ``per_length`` questions drawn from all pages alike."""
    articles: list[dict] = []
    for length, (shortest, longest) in LENGTHS.items():
        sources = {page: runs(entries, shortest, longest, rng) for page, entries in pages.items() if entries}
        per_run = max(3, round(per_length / 40 * {"512": 1, "1k": 2, "2k": 3, "4k": 4, "8k": 5}[length]))
        asked, tries = 0, 0
        seen: set[tuple[str, str]] = set()
        while asked < per_length and tries < 50 * per_length:
            for page, source in sources.items():
                tries += 1
                run = next(source)
                free = [i for i, e in enumerate(run) if e.question and (page, e.heading) not in seen]
                chosen: list[int] = []
                while free and len(chosen) < min(per_run, per_length - asked):
                    depth = rng.uniform(0, len(run) - 1)
                    chosen.append(min(free, key=lambda index: abs(index - depth)))
                    free.remove(chosen[-1])
                if chosen:
                    articles.append(record(f"{page} {length} {len(articles)}", run, sorted(chosen)))
                    seen.update((page, run[i].heading) for i in chosen)
                    asked += len(chosen)
    return articles


def training_pages(pages: dict[str, list[Entry]], number: int) -> list[dict]:
    articles = []
    for page, entries in pages.items():
        asked = [index for index, entry in enumerate(entries) if entry.question]
        if asked:
            articles.append(record(f"{page} {number}", entries, asked))
    return articles


# ----------------------------------------------------------------------------------------------- the corpus


@functools.cache
def fingerprints(text: str) -> frozenset[tuple[str, ...]]:
    """The summary of a docstring and every eight words in a row, to recognize a copy by."""
    summary = re.findall(r"\w+", (prose(text) or ("",))[0].lower())
    words = re.findall(r"\w+", text.lower())
    rows = zip(*(words[start:] for start in range(COPIED_WORDS)), strict=False)
    return frozenset([tuple(summary), *rows])


def held_out_fingerprints(pages: dict[str, list[Docstring]]) -> set[tuple[str, ...]]:
    held_out = (doc for page in (*TEST_PAGES, *DEV_PAGES) for doc in pages[page])
    return {row for doc in held_out for row in fingerprints(doc.text)} - {()}


def training_part(pages: dict[str, list[Docstring]], held_out: set[tuple[str, ...]]) -> dict[str, list[Docstring]]:
    """The pages of training without what is copied in dev or test; small ones joined in alphabetic order."""
    result: dict[str, list[Docstring]] = {}
    small: list[str] = []
    joined: list[Docstring] = []
    for page, docstrings in pages.items():
        if page in TEST_PAGES + DEV_PAGES:
            continue
        kept = [doc for doc in docstrings if held_out.isdisjoint(fingerprints(doc.text))]
        if len(headed(kept)) >= SMALL_PAGE:
            result[page] = kept
            continue
        small.append(page)
        joined += kept
        if len(headed(joined)) >= SMALL_PAGE:
            result[" ".join(small)] = joined
            small, joined = [], []
    if joined:
        result[" ".join(small)] = joined
    return result


def pretraining_text(pages: dict[str, list[Docstring]], held_out: set[tuple[str, ...]]) -> Iterator[list[str]]:
    """Documents as lists of paragraphs: the pages, then the topics of the language reference."""
    from pydoc_data.topics import topics

    for docstrings in pages.values():
        seen: set[str] = set()
        document: list[str] = []
        for doc in docstrings:
            if doc.text not in seen:
                seen.add(doc.text)
                blocks = paragraphs(doc.text)
                if blocks and doc.name:
                    blocks[0] = f"{BULLET}{doc.name} : {blocks[0]}"
                document += blocks
        if document:
            yield document
    for _, text in sorted(topics.items()):
        yield [block for block in paragraphs(text) if held_out.isdisjoint(fingerprints(block))]


def build(
    seed: int, overlap: float, keywords: bool, editions: int, per_length: int
) -> tuple[str, dict[str, list[dict]]]:
    """The whole corpus: the text, and the SQuAD articles of each split."""
    pages = read_standard_library()
    missing = [page for page in (*TEST_PAGES, *DEV_PAGES) if not pages.get(page)]
    if missing:
        raise UserError(f"this Python has no source of {', '.join(missing)}", remedy="use a complete installation")
    held_out = held_out_fingerprints(pages)
    train = training_part(pages, held_out)
    articles: dict[str, list[dict]] = {"train": []}
    for number in range(editions):
        drawn = {page: edition(page, docs, overlap, keywords, f"{seed}/{number}") for page, docs in train.items()}
        articles["train"] += training_pages(drawn, number)
    for split, names_, share in (("dev", DEV_PAGES, 0.4), ("test", TEST_PAGES, 1.0)):
        drawn = {page: edition(page, pages[page], overlap, keywords, f"{seed}/{split}") for page in names_}
        rng = random.Random(f"{seed}/{split}/cuts")
        articles[split] = cut_pages(drawn, round(per_length * share), rng)
    text = "\n\n".join("\n".join(document) for document in pretraining_text(train, held_out)) + "\n"
    return text, articles


def summary_table(text: str, articles: dict[str, list[dict]]) -> str:
    """Pages, questions, words and page lengths of each split, for people."""
    edges = [512, 1024, 2048, 4096, 8192]
    lines = [f"{'':8}{'pages':>7}{'questions':>11}{'words':>10}   questions by page length in tokens (about)"]
    for split, split_articles in articles.items():
        paragraphs_ = [p for article in split_articles for p in article["paragraphs"]]
        by_length: Counter[str] = Counter()
        for paragraph in paragraphs_:
            tokens = approximate_tokens(paragraph["context"])
            label = next((f"<={edge}" for edge in edges if tokens <= edge), ">8192")
            by_length[label] += len(paragraph["qas"])
        words = sum(len(p["context"].split()) for p in paragraphs_)
        count = sum(len(p["qas"]) for p in paragraphs_)
        labels = [f"<={edge}" for edge in edges] + [">8192"]
        spread = "  ".join(f"{label} {by_length[label]}" for label in labels if by_length[label])
        lines.append(f"{split:8}{len(paragraphs_):>7,}{count:>11,}{words:>10,}   {spread}")
    documents = text.count("\n\n") + 1
    tokens = approximate_tokens(text)
    lines.append(f"{'text':8}{documents:>7,}{'':>11}{len(text.split()):>10,}   about {tokens:,} tokens")
    return "\n".join(lines)


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Makes text and questions from Python's own documentation.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--overlap", type=float, default=0.5, help="share of content words in both")
    parser.add_argument("--keywords", action="store_true", help="no function words in questions")
    parser.add_argument("--editions", type=int, default=3, help="draws of every training page")
    parser.add_argument("--per-length", type=int, default=120, help="test questions for each page length")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call wrote")
    args = parser.parse_args(arguments)
    if not 0 <= args.overlap <= 1:
        parser.error(f"--overlap {args.overlap} is not between 0 and 1")
    names = ("text.txt", *(f"{split}.json" for split in ("train", "dev", "test")))
    check_folder(args.out, names, args.overwrite)
    text, articles = build(args.seed, args.overlap, args.keywords, args.editions, args.per_length)
    files = {"text.txt": text}
    for split, split_articles in articles.items():
        data = {"version": "1.1", "data": split_articles}
        files[f"{split}.json"] = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    with whole_folder(args.out, names, args.overwrite) as folder:
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8", newline="\n")
    print(summary_table(text, articles))


if __name__ == "__main__":
    main()
