"""The page in a browser: with keyboard and pointer, in every direction of writing, at every width."""

from __future__ import annotations

import contextlib
import os
import re
import shutil

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH")

HEBREW = "ירושלים היא עיר הבירה. האוכלוסייה מונה 936,425 תושבים.\n"
KOREAN = "서울은 대한민국의 수도이다. 한강이 흐른다. 😀👩‍🔬\n"
ENGLISH = "Greta Holm founded the school of Oslo. Pavel Dorn painted the old harbour in Porto.\n"
MIXED = "😀 " + HEBREW + KOREAN + ENGLISH
HOSTILE = "<script>document.owned = 1</script><img src=x onerror='document.owned = 1'> </textarea>\n"
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
QUESTION = "Who founded the school of Oslo?"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page_of(browser, server):
    """``page_of(viewport, scheme)``: the page; nothing may be written to its console as an error."""
    contexts, complaints = [], []

    def page_of(viewport=DESKTOP, scheme="light"):
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, base_url=f"http://127.0.0.1:{server.port()}"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        playwright.expect(page.locator("#model")).to_have_text("school-model")
        return page

    yield page_of
    for context in contexts:
        context.close()
    assert [text for text in complaints if "status of 4" not in text] == []


def choose(page, content, name="a.txt"):
    page.set_input_files("#file", {"name": name, "mimeType": "text/plain", "buffer": content.encode()})
    playwright.expect(page.locator("#about")).to_contain_text("character")


def ask(page, question=QUESTION):
    page.fill("#question", question)
    page.press("#question", "Enter")
    playwright.expect(page.locator("#status")).to_contain_text(re.compile(r"answers? in [\d.]+ s"), timeout=30_000)


def shot(page, name, **options):
    """A picture to look at, where the variable names a folder."""
    if folder := os.environ.get("LITTLEBIRD_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", **options)


def answer(page, text):
    """What the server says of the same document."""
    question = {"question": QUESTION, "documents": [{"text": text}], "top_k": 5}
    return page.request.post("/answer", data=question).json()["answers"]


def test_answers_are_marked_where_the_server_says(page_of):
    page = page_of()
    choose(page, MIXED * 3)
    ask(page)
    expected = answer(page, MIXED * 3)
    shown = page.locator("#list li > button").all_inner_texts()
    assert shown == [found["text"].strip() or "(no visible characters)" for found in expected]
    for n, found in enumerate(expected):
        pieces = page.locator(f"mark#answer-{n}").all_text_contents()
        assert pieces and found["text"].startswith(pieces[0]), (pieces, found)
    marks = "".join(page.locator("mark.best").all_text_contents())
    assert marks == expected[0]["text"]
    assert page.locator("#text").text_content() == MIXED * 3
    assert page.locator("#passages li").count() > 0 and page.locator("#strip path").count() == 2
    shot(page, "desktop-light")


def test_with_the_keyboard_alone(page_of):
    page = page_of(PHONE)
    page.focus("summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pasted"
    page.keyboard.insert_text(ENGLISH * 40)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#status")).to_contain_text("Best answer", timeout=30_000)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "submit"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the first answer: to its mark
    assert page.evaluate("document.activeElement.id") == "answer-0"
    playwright.expect(page.locator("#answer-0").first).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_legible(page_of, viewport, scheme):
    page = page_of(viewport, scheme)
    choose(page, "word" * 200 + "\n" + MIXED * 3, "a-name-that-is-longer-than-a-phone-is-wide-and-has-no-space.txt")
    ask(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    faint = [found for found in page.evaluate(CONTRASTS) if found[1] < 4.5]
    assert faint == []
    small = page.evaluate(
        "[...document.querySelectorAll('button, input, summary, a')].filter(e => e.checkVisibility())"
        ".filter(e => e.getBoundingClientRect().height < 24 && e.tagName !== 'A').map(e => e.id || e.textContent)"
    )
    assert small == []
    name = f"{'phone' if viewport is PHONE else 'desktop'}-{scheme}"
    shot(page, name, full_page=True)
    page.locator("#text").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('document').scrollIntoView()")
    shot(page, f"{name}-document")


# the contrast of each text with what is behind it, as WCAG 2 computes it
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((low, [r, g, b, a]) => [r, g, b].map((c, n) => c * a + low[n] * (1 - a)), [1, 1, 1]);
  };
  const light = (colour) => colour.slice(0, 3).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [one, two] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    found.push([element.outerHTML.slice(0, 80), (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05)]);
  }
  return found;
}"""


def test_every_control_has_a_name_and_changes_are_told(page_of):
    page = page_of()
    choose(page, ENGLISH * 3)
    ask(page)
    page.locator("summary").click()
    names = page.evaluate(
        "[...document.querySelectorAll('input, textarea')].map(e => [...e.labels].map(l => l.textContent).join())"
    )
    assert len(names) == 3 and all(names)
    tree = page.locator("body").aria_snapshot()
    for line in (
        'textbox "Question"',
        'button "Ask"',
        'region "a.txt"',
        'heading "Answers" [level=2]',
        'img "Attention along the document',
        "status: ",
        'textbox "Text of the document"',
    ):
        assert line in tree, tree
    assert page.evaluate("document.documentElement.lang") == "en"


def test_right_to_left_and_korean(page_of):
    page = page_of()
    choose(page, HEBREW * 4 + KOREAN * 4)
    ask(page, "מי?")
    assert page.evaluate("getComputedStyle(document.querySelector('#question')).direction") == "rtl"
    first = "document.querySelector('#text div').firstChild"
    left = page.evaluate(
        f"(() => {{ const r = document.createRange(); const n = {first}.nodeType === 3 ? {first} : {first}.firstChild;"
        "r.setStart(n, 0); r.setEnd(n, 1);"
        "return r.getBoundingClientRect().right / document.querySelector('#text').getBoundingClientRect().right; })()"
    )
    assert left > 0.9  # the first letter stands on the right
    shot(page, "right-to-left")


def test_a_line_without_an_end(page_of):
    """Laid out in parts, each in the direction of the line."""
    page, text = page_of(), "\u05d0\u05d1 " + "Oslo 😀" * 4000 + "\nnext " + "word " * 4000
    choose(page, text)
    parts = page.locator("#text > div")
    assert parts.count() > 5 and "".join(parts.all_text_contents()) == text
    directions = parts.evaluate_all("elements => elements.map(e => e.dir)")
    assert directions[:3] == ["", "rtl", "rtl"] and directions[-1] == "ltr"


def test_markup_is_text(page_of):
    page = page_of()
    choose(page, (HOSTILE + ENGLISH) * 3, "<img src=x onerror='document.owned = 1'>.txt")
    ask(page, "<b>Who?</b>")
    assert page.locator("#text").text_content() == (HOSTILE + ENGLISH) * 3
    assert page.evaluate("document.owned") is None
    assert page.locator("main img, main script, main b").count() == 0
    assert "<img src=x" in page.locator("#name").text_content()


def test_a_file_that_is_not_read(page_of):
    page = page_of()
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": bytes(range(256))})
    playwright.expect(page.get_by_role("alert")).to_contain_text("a.txt: not text in UTF-8")
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    playwright.expect(page.get_by_role("alert")).to_have_text("Choose or paste a document first.")


def test_a_dropped_file(page_of):
    page = page_of()
    page.evaluate(
        """(text) => { const data = new DataTransfer(); data.items.add(new File([text], "dropped.md"));
        dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true })); }""",
        ENGLISH,
    )
    playwright.expect(page.locator("#about")).to_have_text(re.compile(r"dropped\.md: 2 lines, \d+ characters"))


def test_an_answer_that_comes_after_the_next_document(page_of):
    """It is not shown: its places are in the document that was asked."""
    page, held = page_of(), []
    page.route("**/answer", held.append)
    choose(page, ENGLISH)
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    playwright.expect(page.locator("#status")).to_have_text("Answering …")
    page.locator("summary").click()
    page.fill("#pasted", KOREAN)
    page.click("#use")
    playwright.expect(page.locator("#name")).to_have_text("pasted text")
    for route in held:
        with contextlib.suppress(playwright.Error):  # the page has given it up
            route.continue_()
    playwright.expect(page.locator("#submit")).not_to_have_attribute("aria-busy", "true")
    assert page.locator("#answers").is_hidden() and page.locator("#text mark").count() == 0


def test_a_file_that_is_read_after_the_next_document(page_of):
    page, held = page_of(), []
    page.route("**/read", held.append)
    page.set_input_files("#file", {"name": "late.txt", "mimeType": "text/plain", "buffer": ENGLISH.encode()})
    playwright.expect(page.locator("#about")).to_contain_text("Reading late.txt")
    page.locator("summary").click()
    page.fill("#pasted", KOREAN)
    page.click("#use")
    with page.expect_response("**/read"):
        for route in held:
            route.continue_()
    playwright.expect(page.locator("#name")).to_have_text("pasted text")


@pytest.mark.slow
def test_a_document_of_100_000_tokens(page_of, model):
    line = MIXED.replace("\n", " ") + "\n"
    text = line * (100_000 // len(model.tokenizer.tokenize(line)) + 1)
    page = page_of(PHONE)
    choose(page, text)
    ask(page)
    assert "".join(page.locator("mark.best").all_text_contents()) == answer(page, text)[0]["text"]
    page.locator("#list button").first.click()
    playwright.expect(page.locator("#answer-0").first).to_be_in_viewport()
    shot(page, "100000-tokens")
