"""Pages of answers: what a browser makes of them, whatever the text."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.inference.final_answer import best_span, yes_no_or_span
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.pages.edges import Edges, edges
from fairseq_littlebird.inference.pages.index_page import Pages
from fairseq_littlebird.inference.pages.marks import AROUND, WHOLE, Mark, around, marked
from fairseq_littlebird.inference.pages.question_page import page
from fairseq_littlebird.inference.prediction_files import write_predictions

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=document.title='owned'> \"' onload=x &lt;b&gt; --> "
)
HEBREW = "ירושלים היא עיר הבירה. האוכלוסייה מונה 936,425 תושבים. NATO מכירים בה!\n"
VOID = {"meta", "link", "img", "br"}
IMPLIED = {"tr", "td", "th"}  # the next one ends them


class Tree(HTMLParser):
    """Tags with their attributes, and the text inside each element with an id or a class."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags, self.open, self.texts = [], [], {}
        self.feed(source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID | IMPLIED:
            self.open.append((tag, dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert tag in IMPLIED or self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, attributes in self.open:
            for name in {attributes.get("id"), attributes.get("class")} - {None}:
                self.texts[name] = self.texts.get(name, "") + data


def written(tmp_path, *predictions, null_threshold=None):
    with Pages(tmp_path / "html") as pages:
        for prediction in predictions:
            pages.add(prediction, yes_no_or_span(prediction, null_threshold))
    return {path.name: path.read_text("utf-8") for path in (tmp_path / "html").iterdir()}


def test_a_page_shows_the_text_and_nothing_else(explained):
    document = (HOSTILE + HEBREW) * 4 + "the answer <b> here."
    prediction = explained(document, "answer <b> here", question=HOSTILE, title=HOSTILE)
    tree = Tree(page(prediction, best_span(prediction)))
    assert {tag for tag, _ in tree.tags} <= set(
        "html head meta title style body nav p a h1 h2 b bdi table tr th td div span mark svg rect path".split()
    )
    for tag, attributes in tree.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "xlink:href") for name in attributes)
        assert attributes.get("href", "#") == "index.html" or attributes.get("href", "#").startswith("#"), tag
    policy = [a["content"] for tag, a in tree.tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert tree.texts["document"] == document
    assert tree.texts["answer"] == "answer <b> here" * 2  # the headline's, and the mark's
    directions = [a.get("dir") for tag, a in tree.tags if tag == "h1" or a.get("class") in ("answer", "document")]
    assert directions == ["auto"] * 3
    for n, passage in enumerate(prediction.explanation.passages):
        assert tree.texts[f"p{n}"] == passage.text or "answer" in passage.text


def test_characters_that_no_page_may_have(explained):
    prediction = explained("a\x00b\x07\x1f c. The answer\r\n\x7f\x9f", "The answer")
    text = page(prediction, best_span(prediction))
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]", text)
    assert Tree(text).texts["document"] == "a�b�� c. The answer\r\n��"


@settings(max_examples=60)
@given(data=st.data())
def test_marks_overlap_as_they_like(data):
    document = data.draw(st.text("ab<&é\n", min_size=1, max_size=30))
    n = len(document)
    places = data.draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted), max_size=4))
    marks = [Mark(a, b, f'<i id="m{i}" class="c{i}">', "</i>") for i, (a, b) in enumerate(places)]
    first, stop = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    tree = Tree(f'<div class="all">{marked(document, first, stop, marks, set())}</div>')
    assert tree.texts.get("all", "") == document[first:stop]
    for i, (a, b) in enumerate(places):
        assert tree.texts.get(f"c{i}", "") == document[max(a, first) : max(first, min(b, stop))]
        assert sum(attributes.get("id") == f"m{i}" for _, attributes in tree.tags) <= 1


@given(st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 3_000)), max_size=5))
def test_what_stands_around_marks(places):
    length = 93_000
    ends = [end for start, size in places for end in (start, start + size)]
    parts = around(ends, length)
    assert all(0 <= start < end <= length for start, end in parts)
    assert all(end < start for (_, end), (start, _) in pairwise(parts))
    wanted = {n for end in ends or [0] for n in range(max(0, end - AROUND), min(length, end + AROUND))}
    assert sum(end - start for start, end in parts) == len(wanted)
    assert all(start in wanted and end - 1 in wanted for start, end in parts)


def test_a_very_long_document(explained):
    """100,000 words, of which the model read some: the page stays small, and says what it leaves out."""
    document = "word and other. " * 20_000 + "THE ANSWER. " + "word and other. " * 14_000
    prediction = explained(document, "THE ANSWER", words=(59_000, 62_000))
    text = page(prediction, best_span(prediction))
    assert len(document) > WHOLE and len(text) < 80_000
    tree = Tree(text)
    assert sum(tag in ("span", "mark", "rect", "path") for tag, _ in tree.tags) < 100
    left_out = [int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) characters left out …", text)]
    shown = re.sub(r"… [\d,]+ characters left out …", "", tree.texts["document"])
    assert len(left_out) >= 2 and len(shown) + sum(left_out) == len(document)
    assert "THE ANSWER" in shown


def test_marks_and_texts_of_any_length(explained):
    """A word of 400,000 letters, as an answer and as evidence, and a question as long."""
    word = "x" * 400_000
    document = f"the stone {word} bridge " + "and other. " * 9
    prediction = explained(document, f"stone {word}", question=word, title=word, name=word)
    text = page(prediction, replace(best_span(prediction), passage=word))
    assert len(text) < 60_000
    tree = Tree(text)
    assert "the stone xxx" in tree.texts["document"] and "xxx bridge" in tree.texts["document"]
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert "answer" in ids and len(ids) == len(set(ids))


@pytest.mark.parametrize("dataset", ["squad", "hotpotqa", "wikihop", "natural_questions"])
@pytest.mark.parametrize("kind", ["", "yes"])
@pytest.mark.parametrize("null_threshold", [None, -2.0])
def test_pages_and_index_say_what_the_predictions_say(explained, tmp_path, dataset, kind, null_threshold):
    names = ("[0, 2]", "[4, 7]") if dataset == "natural_questions" else ('["so", 0]', '["of stone", 1]')
    predicted = {"segments": (0.25, 0.625), "segment_names": names, "answer_type": kind, "type_probability": 0.875}
    document = "It is so. And the other one is of stone."
    prediction = explained(document, "so", **predicted)
    spec = DATASETS[dataset]
    files = {"final_answer": spec.final_answer, "prediction_format": spec.prediction_format, "pages": True}
    write_predictions(tmp_path / "out", [prediction], null_threshold, **files)
    said = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    if dataset == "natural_questions":
        [said] = said["predictions"]
        starts = [span["start_token"] for span in said["short_answers"]]
        text = {"NONE": "", "YES": "yes"}[said["yes_no_answer"]] or ("so" if starts == [2] else "")
    else:
        text = said["answer"]["q1"] if dataset == "hotpotqa" else said["q1"]
    best = text == "so"
    probability = {"so": "0.750", "yes": "0.875", '["of stone", 1]': "0.625", "": None}[text]
    shown = (tmp_path / "out" / "html" / "q1.html").read_text("utf-8")
    tree = Tree(shown)
    head = tree.texts["answer"].removesuffix("so" if best else "")  # without the document's mark
    assert head == (text or "no answer")
    assert re.findall(r"· probability ([\d.]+)", shown) == ([probability] if text else [])
    assert ("Attention of the answer along" in shown) == ("the answer itself" in shown) == best
    assert ("Attention of the best candidate along" in shown) == ("the best candidate itself" in shown) == (not best)
    assert [a for tag, a in tree.tags if tag == "mark"] == [
        {"id": "answer"} if best else {"id": "candidate", "title": "best candidate"}
    ]
    assert ("Long answer (0.625): <bdi>the other one</bdi>" in shown) == (dataset == "natural_questions")
    row = (tmp_path / "out" / "html" / "index.html").read_text("utf-8").split("Who?</a>")[1].splitlines()[0]
    shown = f'<a href="q1.html#answer">{text}</a>' if best else text
    assert html.unescape(row) == f'<td class="quiet">{document}<td>{shown}<td class="n">{probability or ""}'


def test_names_that_every_file_system_takes(explained, tmp_path):
    prediction = explained("The answer is here.", "answer")
    names = [
        "../../etc/passwd",
        "/",
        "..",
        "",
        ".hidden",
        "index",
        "INDEX",
        "same",
        "same",
        "same",
        "Same",
        "a" * 9_000,
    ]
    names += [
        "a" * 9_001,
        "다음",
        "다른",
        'x"><script>',
        "con\x00trol",
        "two words",
        "two_words",
        "56be4db0acb8001400a502ec",
    ]
    texts = written(tmp_path, *(explained("The answer is here.", "answer", name=name) for name in names))
    assert len(texts) == len(names) + 1 == len({name.lower() for name in texts})
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,90}\.html", name) for name in texts)
    assert "56be4db0acb8001400a502ec.html" in texts and "same.html" in texts
    links = re.findall(r'href="([^"#]*)"', texts["index.html"])
    assert [f"{link}#answer" for link in links] == re.findall(r'href="([^"]*#answer)"', texts["index.html"])
    assert len(links) == len(names) and set(links) | {"index.html"} == set(texts)
    for name, link in zip(names, links, strict=True):
        assert html.escape(name[:20].replace("\x00", "�")) in texts[link]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["html"]
    assert prediction.id == "q1"


def test_answers_that_are_no_spans(explained, tmp_path):
    nothing = Prediction("none", (), 0.0, document="", question="What?")
    spoken = explained("It is so.", "so", name="spoken", answer_type="yes", type_probability=0.9)
    null = explained("It is so.", "so", name="null")
    texts = written(tmp_path, nothing, spoken, null, null_threshold=-2.0)
    assert "no answer" in texts["none.html"] and "no answer" in texts["null.html"]
    assert "<b>yes</b>" in texts["spoken.html"] and "answer type yes (0.90)" in texts["spoken.html"]
    assert Tree(texts["null.html"]).texts["document"] == "It is so."


def test_links_lead_to_what_is_there(explained, tmp_path):
    """From the index and from the top of a page to the answer in the document, however long that is."""
    long = "word and other. " * 20_000 + "THE ANSWER. " + "word and other. " * 14_000
    predictions = [
        explained(long, "THE ANSWER", name="long", words=(59_000, 62_000)),
        replace(explained("It is so.", "so", name="null"), null_odds=9.0),
        explained("It is so.", "so", name="plain", explanation=None),
        Prediction("none", (), 0.0, document="", question="What?"),
    ]
    trees = {name: Tree(text) for name, text in written(tmp_path, *predictions, null_threshold=0.0).items()}
    ids = {name: [a["id"] for _, a in tree.tags if "id" in a] for name, tree in trees.items()}
    for name, tree in trees.items():
        for file, _, part in ((a["href"].partition("#")) for tag, a in tree.tags if tag == "a"):
            assert (file or name) in trees and (not part or part in ids[file or name]), (name, file, part)
    first = {name: [a["href"] for tag, a in tree.tags if tag == "a"][1:2] for name, tree in trees.items()}
    assert first["long.html"] == first["plain.html"] == ["#answer"] and first["null.html"] == ["#candidate"]
    assert first["none.html"] == ["#document"]


def test_the_index_names_the_document(explained, tmp_path):
    untitled = f" {HEBREW}" * 9
    predictions = [explained("It is so.", "so", name="a", title="A <b>title"), explained(untitled, "NATO", name="b")]
    rows = written(tmp_path, *predictions)["index.html"].split("<tr>")[2:]
    cells = [html.unescape(row.split("<td")[2]) for row in rows]
    assert cells[0] == ' class="quiet">A <b>title' and "<b>" not in rows[0]
    shown = cells[1].removeprefix(' class="quiet">').removesuffix("…")
    assert 40 < len(shown) <= 60 and " ".join(untitled.split()).startswith(shown)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [(0, False, True), (1, True, False), (2, True, True), (3, False, False)],
)
def test_an_answer_at_the_edge_of_its_window(explained, tmp_path, window, start, end):
    """The document goes on there: marked on both pages, with the windows that hold more of it."""
    document = "one two three four five six seven"
    windows = ((0, 18), (14, 33), (14, 18), (8, 27))
    prediction = explained(document, "four", windows=windows)
    [candidate, *others] = prediction.candidates
    prediction = replace(prediction, candidates=(replace(candidate, window=window), *others))
    assert edges(prediction, prediction.candidates[0]) == Edges(start, end)
    texts = written(tmp_path, prediction)
    touched = start or end
    assert ("at the edge of its window" in texts["index.html"]) == touched
    notes = re.findall(r'<p class="edge">(.*)</p>', texts["q1.html"])
    assert len(notes) == touched
    if touched:
        does = " and ".join(["begins"] * start + ["ends"] * end)
        assert notes[0].startswith(f"The answer {does} at the edge of window {window},")
        assert "Windows that hold it with the text around it: 1; they" in notes[0]
        alone = replace(prediction, windows=(*windows[:3], (0, 18)))
        assert "No window holds it with the text around it" in page(alone, best_span(alone))


def test_the_ends_of_the_document_are_no_edges(explained):
    """Nor is white space more of it."""
    for document in ("one two", "  one two \n"):
        prediction = explained(document, "one two", windows=((0, len(document)), (2, len(document))))
        assert edges(prediction, prediction.candidates[0]) == Edges()
    two = explained("one two. \nthree", "two.", windows=((0, 10), (4, 15)))
    assert edges(two, two.candidates[0]) == Edges(end=True)


def browser():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(browser() is None, reason="no chromium here")
def test_in_a_browser(explained, tmp_path):
    """Its own idea of the page: the text is there, and no script has run."""
    document = HOSTILE * 3 + "\n" + HEBREW * 3
    written(tmp_path, explained(document, "936,425 תושבים", question="כמה תושבים?", title=HOSTILE))
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    url = f"file://{tmp_path}/html/q1.html#answer"
    done = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True)
    shown = Tree(done.stdout)
    assert shown.texts["document"] == document and shown.texts["answer"] == "936,425 תושבים" * 2
    assert not any(tag in ("script", "img") for tag, _ in shown.tags)
    assert "<title>כמה תושבים?</title>" in done.stdout
