"""GLUE's TSV files: the first lines as the authors publish them, files without header lines, and bad lines."""

from __future__ import annotations

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GLUE_TASKS, glue_files, read_glue
from fairseq_littlebird.formats.reading_log import ReadingLog

MNLI = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
    "sentence2_parse\tsentence1\tsentence2"
)
TREES = "slate\t( a )\t( b )\t(ROOT a)\t(ROOT b)"
STS = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
# task, file -> what is read of it: id, text, second, label or score
FILES = {
    ("CoLA", 'gj04\t0\t*\tThey said "no.\n'): ("0", 'They said "no.', None, "0"),
    ("CoLA", "index\tsentence\n7\tBill whistled.\n"): ("7", "Bill whistled.", None, None),
    ("SST-2", "sentence\tlabel\nit 's \"good \t1\n"): ("0", "it 's \"good ", None, "1"),
    ("SST-2", "index\tsentence\n0\tuneasy mishmash\n"): ("0", "uneasy mishmash", None, None),
    (
        "MRPC",
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t702876\t702977\tAmrozi accused .\tReferring to him .\n",
    ): ("0", "Amrozi accused .", "Referring to him .", "1"),
    ("MRPC", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n3\t8\t9\tOne .\tTwo .\n"): ("3", "One .", "Two .", None),
    ("STS-B", f"{STS}\tscore\n5\tmain\tMSRvid\t2012\t1\tnone\tnone\tA.\tB.\t3.800\n"): ("5", "A.", "B.", 3.8),
    ("STS-B", f"{STS}\n5\tmain\tMSRvid\t2012\t1\tnone\tnone\tA.\tB.\n"): ("5", "A.", "B.", None),
    ("QQP", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n4\t1\t2\tHow?\tWhy?\t0\n"): ("4", "How?", "Why?", "0"),
    ("QQP", "id\tquestion1\tquestion2\n0\tHow?\tWhy?\n"): ("0", "How?", "Why?", None),
    ("MNLI", f"{MNLI}\tlabel1\tgold_label\n0\t1\t1n\t{TREES}\ta\tb\tneutral\tneutral\n"): ("0", "a", "b", "neutral"),
    (
        "MNLI",
        f"{MNLI}\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n0\t1\t1n\t{TREES}\ta\tb"
        + "\tneutral" * 5
        + "\tentailment\n",
    ): ("0", "a", "b", "entailment"),
    ("MNLI", f"{MNLI}\n9\t1\t1n\t{TREES}\ta\tb\n"): ("9", "a", "b", None),
    ("QNLI", "index\tquestion\tsentence\tlabel\n0\tWhen?\tThen.\tnot_entailment\n"): (
        "0",
        "When?",
        "Then.",
        "not_entailment",
    ),
    ("RTE", "index\tsentence1\tsentence2\tlabel\n2\ta\tb\tentailment\n"): ("2", "a", "b", "entailment"),
    ("RTE", "index\tsentence1\tsentence2\n2\ta\tb\r\n"): ("2", "a", "b", None),
}


def read(path, name, log=None):
    return [*read_glue(path, GLUE_TASKS[name], log or ReadingLog())]


@pytest.mark.parametrize(("name", "content"), FILES)
def test_official_layouts(tmp_path, name, content):
    path = tmp_path / "x.tsv"
    path.write_text(content, "utf-8", newline="")
    (text,) = read(path, name)
    value = text.score if name == "STS-B" else text.labels and text.labels[0]
    assert (text.id, text.text, text.second, value) == FILES[name, content]
    assert text.where == f"{path}, line {content.count(chr(10))}"
    lines = content.removeprefix("\ufeff").splitlines(keepends=True)
    if lines[1:] and name not in ("MRPC", "SST-2", "CoLA"):  # whose two layouts have as many cells
        path.write_text(lines[1], "utf-8", newline="")
        assert read(path, name) == [text._replace(where=f"{path}, line 1")]


BAD = {
    "an empty file": ("RTE", ""),
    "line 1: not a layout of RTE: 5 cells": ("RTE", "a\tb\tc\td\te\n"),
    "line 1: not a layout of QNLI: 4 cells, index, sentence": ("QNLI", "index\tsentence\tquestion\tlabel\n"),
    "line 2: 3 cells instead of 4": ("RTE", "0\ta\tb\tentailment\n1\ta b\tentailment\n"),
    "line 2: the label 'yes' is none of RTE's": ("RTE", "0\ta\tb\tentailment\n1\ta\tb\tyes\n"),
    "line 2: an empty text2": ("RTE", "0\ta\tb\tentailment\n1\ta\t \tentailment\n"),
    "line 1: the label 'label' is none of CoLA's": ("CoLA", "source\tlabel\tmark\tsentence\n"),
    'line 1: the score is "high"': ("STS-B", "5\tmain\tMSRvid\t2012\t1\tnone\tnone\tA.\tB.\thigh\n"),
    'line 1: the score is "nan"': ("STS-B", "5\tmain\tMSRvid\t2012\t1\tnone\tnone\tA.\tB.\tnan\n"),
}  # fmt: skip


@pytest.mark.parametrize("says", BAD)
def test_bad_lines_are_named(tmp_path, says):
    name, content = BAD[says]
    path = tmp_path / "x.tsv"
    path.write_text(content, "utf-8")
    with pytest.raises(UserError) as error:
        read(path, name)
    assert says in str(error.value) and "x.tsv" in str(error.value)


def test_bad_lines_are_counted(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(
        "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\ta b\n2\ta\tb\tmaybe\n3\tc\td\tentailment\n"
    )
    log = ReadingLog(skip_bad=True)
    assert [text.id for text in read(path, "RTE", log)] == ["0", "3"]
    assert [error.split(": ")[0].rsplit(", ")[-1] for error in log.skipped] == ["line 3", "line 4"]
    path.write_text("index\tsentence1\tsentence2\n0\ta\t\n")
    log = ReadingLog()
    assert read(path, "RTE", log)[0].second == "" and sum(note.count for note in log.notes.values()) == 1


def test_folders(tmp_path):
    names = [*GLUE_TASKS["MNLI"].files.values()]
    with pytest.raises(UserError, match="none of train.tsv"):
        glue_files(GLUE_TASKS["MNLI"], tmp_path)
    for name in names:
        (tmp_path / name).touch()
    assert [*glue_files(GLUE_TASKS["MNLI"], tmp_path)] == ["train", "valid", "valid1", "test", "test1"]


@pytest.mark.parametrize(
    ("name", "file", "count"), [("STS-B", "train", 4249), ("STS-B", "dev", 1500), ("RTE", "train", 1244)]
)
def test_real_files(data_dir, name, file, count):
    """Re-split by third parties, STS-B without a header line."""
    log = ReadingLog(skip_bad=True)
    texts = read(data_dir / "glue" / name / f"{file}.tsv", name, log)
    assert len(texts) + len(log.skipped) == count and len(log.skipped) <= 0.01 * count
    assert all(text.text and text.second and text.problem_type for text in texts)
