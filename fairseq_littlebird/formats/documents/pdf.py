"""PDF, by pypdf: the text of each page. Scans have none, as nothing here reads pictures."""

from __future__ import annotations

import io
import logging

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.document import PAGE, Document, of_parts


def read(content: bytes, name: str) -> Document:
    """The text of a PDF; its places are its pages.

    Raises:
        UserError: a file that is damaged, encrypted, or has no text, or pypdf is missing.
    """
    try:
        import pypdf
        from pypdf.errors import DependencyError
    except ImportError as error:
        raise UserError("PDF needs pypdf", name, "pip install 'fairseq_littlebird[documents]'") from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it comments on every page that bends the standard
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UserError("encrypted with a password", name, "save it without one")
        pages = [page.extract_text() for page in reader.pages]
    except UserError:
        raise
    except (ImportError, DependencyError) as error:  # of what some kinds of encryption need
        raise UserError(f"encrypted: {error}", name, "install it, or save the file without encryption") from error
    except Exception as error:  # pypdf meets a damaged file, or one of a kind that it does not know, with any
        raise UserError(f"a damaged PDF: {error}", name, "open it in a viewer and save it anew") from error
    if not any(page.strip() for page in pages):
        what = f"{len(pages):,} pages without text: a scan, probably"
        raise UserError(what, name, "recognise its characters first, e.g. with ocrmypdf")
    return of_parts(name, (page.replace("\x00", "") for page in pages), PAGE)
