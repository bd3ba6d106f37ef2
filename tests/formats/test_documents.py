"""Documents of people as text, with their pages, lines or paragraphs."""

from __future__ import annotations

import contextlib
import io
import sys
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents import reading
from fairseq_littlebird.formats.documents.document import of_lines, of_parts
from fairseq_littlebird.formats.documents.reading import read_document, read_documents


def pdf_of(*pages: str) -> bytes:
    """A small PDF, one line a page, by the standard's section on its file structure."""
    count = len(pages)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{4 + 2 * n} 0 R' for n in range(count))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * n} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << /Size {len(objects) + 1} /Root 1 0 R >>\n"
    )
    return content + f"{end}startxref\n{len(content)}\n%%EOF\n".encode()


@given(st.lists(st.text(alphabet="ab\n", max_size=5), min_size=1, max_size=5))
def test_a_place_is_the_part_that_a_character_is_in(parts):
    lines = of_lines("a.txt", "\n".join(parts))
    assert [lines.place(n) for n in range(len(lines.text))] == [
        1 + lines.text.count("\n", 0, n) for n in range(len(lines.text))
    ]
    pages = of_parts("a.pdf", parts, "page")
    start = 0
    for number, part in enumerate(parts, 1):
        assert all(pages.place(n) == number for n in range(start, start + len(part)))
        assert pages.text[start : start + len(part)] == part
        start += len(part) + 2


def test_text_markdown_and_their_encodings(tmp_path):
    for name, content in {
        "a.txt": b"one\r\ntwo\rthree",
        "a.md": b"\xef\xbb\xbfone\ntwo\nthree",
        "a": "one\ntwo\nthree".encode("utf-16"),
    }.items():
        (tmp_path / name).write_bytes(content)
        document = read_document(tmp_path / name)
        assert document.text == "one\ntwo\nthree" and document.unit == "line" and document.place(9) == 3


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff<html><meta charset='utf-8'><p>naïve</p>".encode(),
        "\ufeff<html><meta charset='iso-8859-1'><p>naïve</p>".encode(),
        "\ufeff<html><meta charset='utf-8'><p>naïve</p>".encode("utf-16-le"),
        "<html><meta charset='utf-16'><p>naïve</p>".encode(),
        "<html><meta charset='undefined'><p>naïve</p>".encode(),
        "<html><meta charset='iso-8859-1'><p>naïve</p>".encode("latin-1"),
    ],
)
def test_a_web_page_is_decoded_as_a_browser_does(content):
    """A byte order mark comes before what the page says, and is no text; UTF-16 said in ASCII is UTF-8."""
    for suffix in (".html",) if content.startswith(b"\xff\xfe") else (".html", ""):
        assert reading.read_content(content, "page", suffix).text == "naïve"


def test_a_web_page_is_read_as_it_is_shown(tmp_path):
    page = (
        "<html><head><title>t</title><style>p {}</style></head><body><nav>menu</nav><h1>Head &amp; tail</h1>"
        "<p>One <b>bold</b>\n word<br>next<script>x = '</p>'</script></p><table><tr><td>a<td>b</table>"
        "<pre>  as\n  is</pre><ul><li>한국<li>어</ul></body></html>"
    )
    (tmp_path / "a.html").write_text(page, "utf-8")
    expected = "Head & tail\n\nOne bold word\nnext\n\na\tb\n\nas\nis\n\n한국\n어"
    assert read_document(tmp_path / "a.html").text == expected
    (tmp_path / "b.htm").write_bytes('<meta charset="euc-kr"><p>한국'.encode("euc-kr"))
    assert read_document(tmp_path / "b.htm").text == "한국"


def test_an_unclosed_head_does_not_hide_the_page(tmp_path):
    (tmp_path / "a.html").write_text("<html><head><title>t</title><body><p>shown", "utf-8")
    assert read_document(tmp_path / "a.html").text.endswith("shown")


def test_pages_of_a_pdf(tmp_path):
    (tmp_path / "a.PDF").write_bytes(pdf_of("The first page", "The second page"))
    document = read_document(tmp_path / "a.PDF")
    assert document.text.split() == "The first page The second page".split()
    assert document.unit == "page" and document.place(document.text.index("second")) == 2
    (tmp_path / "b").write_bytes(pdf_of("Without a suffix"))
    assert read_document(tmp_path / "b").text == "Without a suffix"


def test_paragraphs_and_tables_of_a_docx(tmp_path):
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_paragraph("The first.")
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    document.add_paragraph("The last.")
    document.save(str(tmp_path / "a.docx"))
    found = read_document(tmp_path / "a.docx")
    assert found.text == "The first.\n\nleft\tright\n\nThe last."
    assert found.unit == "paragraph" and found.place(found.text.index("last")) == 3


def test_a_docx_that_unpacks_to_more_than_anyone_reads(tmp_path, monkeypatch):
    pytest.importorskip("docx")
    monkeypatch.setattr("fairseq_littlebird.formats.documents.docx.LARGEST", 3 << 20)
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("word/document.xml", "word/media/image.png"):
            packed.writestr(name, bytes(2 << 20))
    assert (tmp_path / "a.docx").stat().st_size < 100_000
    with pytest.raises(UserError, match=r"a\.docx: unpacks to 4 MiB"):
        read_document(tmp_path / "a.docx")


def test_a_folder_is_read_by_name_and_says_what_it_leaves_out(tmp_path):
    (tmp_path / "b").mkdir()
    for name, content in {
        "b/2.txt": b"two",
        "1.md": b"one",
        "c.bin": b"\0",
        ".hidden.txt": b"no",
        "d.txt": b"\0",
    }.items():
        (tmp_path / name).write_bytes(content)
    notes: list[str] = []
    found = list(read_documents([tmp_path], notes.append))
    assert [document.text for document in found] == ["one", "two"]
    assert "1 of 4 files are of other kinds" in notes[0] and "d.txt: no text" in notes[1] and len(notes) == 2


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"<!DOCTYPE html><p>a page")))
    (document,) = read_documents(["-"], print)
    assert (document.name, document.text) == ("standard input", "a page")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "a.txt: no text"),
        ("a.txt", b"a\0b", "character 1 is U+0000"),
        ("a.txt", b"caf\xe9", "not text in UTF-8, from byte 3 on; convert it to UTF-8"),
        ("a.xyz", b"text", "documents of this kind are not read: .xyz; give .docx"),
        ("a.pdf", b"not a PDF", "a.pdf: a damaged PDF"),
        ("a.pdf", pdf_of("cut")[:120], "a.pdf: a damaged PDF"),
        ("a.pdf", pdf_of("", ""), "2 pages without text: a scan, probably"),
        ("a.docx", b"PK\3\4rubbish", "a.docx: a damaged DOCX"),
        ("a.docx", b"\xd0\xcf\x11\xe0rubbish", "a.docx: encrypted, or Word's older DOC"),
        ("a.html", b"<html><head><title>t</title></head></html>", "a.html: no text"),
    ],
)
def test_faults_are_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_document(tmp_path / name)
    assert message in str(caught.value)


def test_an_encrypted_pdf_is_named(tmp_path):
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of("secret")))
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(tmp_path / "a.pdf")
    with pytest.raises(UserError, match=r"a\.pdf: encrypted with a password; save it without one"):
        read_document(tmp_path / "a.pdf")


def test_encryption_that_needs_a_package_is_named(tmp_path, monkeypatch):
    """AES with a password for changes alone, as banks send; pypdf's own code knows RC4 alone."""
    pypdf = pytest.importorskip("pypdf")
    from pypdf import _encryption
    from pypdf.generic import DictionaryObject, NameObject, NumberObject

    def missing(*arguments, **options):
        raise pypdf.errors.DependencyError("cryptography>=3.1 is required for AES algorithm")

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of("secret")))
    writer.encrypt("", "owner", algorithm="RC4-128")
    method = DictionaryObject({NameObject("/CFM"): NameObject("/AESV2"), NameObject("/Length"): NumberObject(16)})
    name, more = NameObject("/StdCF"), DictionaryObject({NameObject("/StdCF"): method})
    entry = {"/V": NumberObject(4), "/R": NumberObject(4), "/CF": more, "/StmF": name, "/StrF": name}
    writer._encrypt_entry.update({NameObject(key): value for key, value in entry.items()})
    writer.write(tmp_path / "a.pdf")
    monkeypatch.setattr(_encryption.CryptAES, "decrypt", missing)
    with pytest.raises(
        UserError, match=r"a\.pdf: encrypted: cryptography.* AES algorithm; install it, or save the file"
    ):
        read_document(tmp_path / "a.pdf")


def test_damage_anywhere_is_one_line():
    """Or goes unnoticed."""
    pypdf, docx = pytest.importorskip("pypdf"), pytest.importorskip("docx")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_of("one", "two")))
    for page in writer.pages:
        page.compress_content_streams()
    writer.encrypt("", algorithm="RC4-128")
    document = docx.Document()
    document.add_paragraph("word " * 50)
    for made, name, step in ((writer.write, "a.pdf", 5), (document.save, "a.docx", 97)):
        stream = io.BytesIO()
        made(stream)
        for place in range(0, len(stream.getvalue()), step):
            content = bytearray(stream.getvalue())
            content[place] ^= 9
            with contextlib.suppress(UserError):
                reading.read_content(bytes(content), name, name[1:])


def test_a_large_file_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST", 1 << 20)
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(UserError, match=r"a\.txt: over 1 MiB"):
        read_document(tmp_path / "a.txt")


def test_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match="no document; give a folder with"):
        list(read_documents([tmp_path], print))


@pytest.mark.parametrize(("package", "name"), [("pypdf", "a.pdf"), ("docx", "a.docx")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"%PDF")
    with pytest.raises(UserError, match=r"pip install 'fairseq_littlebird\[documents\]'"):
        read_document(tmp_path / name)
