"""The site builds without a warning, and its pages name files and options that are there."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import fairseq_littlebird

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("configs", "docs", "fairseq_littlebird", "scripts", "tests")
OURS = [path.name for path in (ROOT / "fairseq_littlebird").iterdir() if path.is_dir()]


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_without_a_warning(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert site.joinpath(page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


def test_the_reference_has_all_that_is_public(site):
    """Every name in ``__all__`` of the packages that the reference's table has."""
    table = (ROOT / "docs" / "reference" / "index.md").read_text("utf-8")
    packages = dict(re.findall(r"^\| \[`([\w.]+)`\]\((\w+)\.md\)", table, flags=re.MULTILINE))
    assert {f"{page}.md" for page in packages.values()} == {
        page.name for page in (ROOT / "docs" / "reference").glob("*.md") if page.stem != "index"
    }
    for package, page in packages.items():
        text = (site / "reference" / f"{page}.html").read_text("utf-8")
        for name in set(importlib.import_module(package).__all__) - {"__version__"}:
            assert f'id="{package}.{name}"' in text, (package, name)


def test_a_visitor_is_sent_nowhere_for_fonts_scripts_or_pictures(site):
    """What a browser fetches on its own; links that a visitor may follow are none of it."""
    for page in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img|iframe)[^>]*?(?:src|href)="([^"]+)"', page.read_text("utf-8"))
        assert fetched and not [address for address in fetched if re.match(r"(https?:)?//", address)], page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page):
    """On a code host's own pages too: links of the README and from page to page, and pictures."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for address in re.findall(r"\]\(([^)\s]+)\)", text):
        if not address.startswith(("http", "#")):
            assert (page.parent / address.partition("#")[0]).exists(), address


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_named_in_code_are_there(page):
    for path in re.findall(r"`((?:[\w.]+/)+[\w.*]*)`", page.read_text("utf-8")):
        head = path.split("/")[0]
        if head in OURS and page.name in (
            "architecture.md",
            "how_it_works.md",
        ):  # below the package
            assert any((ROOT / "fairseq_littlebird").glob(path.rstrip("/"))), path
        elif head in FOLDERS:
            assert any(ROOT.glob(path.rstrip("/"))), path


@pytest.fixture(scope="module")
def options(parsed):
    """Every option of every command."""
    from fairseq import options as fairseq_options
    from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
    from fairseq.dataclass.utils import gen_parser_from_dataclass
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.optim import OPTIMIZER_DATACLASS_REGISTRY
    from fairseq.optim.lr_scheduler import LR_SCHEDULER_DATACLASS_REGISTRY
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    from fairseq_littlebird.cli import answer, benchmark, evaluate, predict, prepare, score, serve, warm_start

    commands = answer, benchmark, evaluate, predict, prepare, score, serve, warm_start
    parsers = [module._parser() for module in commands]
    parsers += [fairseq_options.get_training_parser(), fairseq_options.get_preprocessing_parser()]
    for registry in (
        CRITERION_DATACLASS_REGISTRY,
        MODEL_DATACLASS_REGISTRY,
        OPTIMIZER_DATACLASS_REGISTRY,
        LR_SCHEDULER_DATACLASS_REGISTRY,
        TASK_DATACLASS_REGISTRY,
    ):
        for of in registry.values():
            parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
            gen_parser_from_dataclass(parser, of())
            parsers.append(parser)
    known = {"--help"}
    while parsers:
        for action in parsers.pop()._actions:
            known |= {*action.option_strings}
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    scripts = [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "scripts").glob("*.sh")]
    for script in scripts:
        known |= {*re.findall(r"--[a-z][\w-]*", script.read_text("utf-8"))}
    return known


# of other programs, and of an earlier commit
FOREIGN = {
    "--max-restarts",
    "--no-build-isolation",
    "--signal",
    "--local_rank",
    "--strict",
    "--site-dir",
    "--slopes",
    "--config-name",
}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_named_in_a_sentence_are_there(options, page):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    named = {
        option for code in re.findall(r"`([^`\n]+)`", text) for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", code)
    }
    assert named - options - FOREIGN == set()


def test_the_import_graph_is_that_of_the_code(script):
    graph = script("scripts/import_graph.py")
    rows = graph.floors()
    edges = graph.reduced(graph.imports([name for row in rows for name in row]))
    assert graph.picture(rows, edges) == (ROOT / "docs" / "import_graph.svg").read_text("utf-8"), (
        "python scripts/import_graph.py docs/import_graph.svg"
    )


def test_the_citation_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == fairseq_littlebird.__version__ and citation["license"] == "MIT"
    paper = citation["preferred-citation"]
    assert paper["title"].startswith("LittleBird: ") and paper["year"] == 2022
