"""The wheel in an environment of its own, outside the repository: training, prediction, answers, the page's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from helpers.processes import ROOT
from helpers.training import SIZES, TASKS, TRAINING

TRAIN = "from fairseq_cli.train import cli_main\n\nif __name__ == '__main__':\n    cli_main()\n"


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """With the wheel; other packages are those of the tests' environment, without what that has of this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", str(wheel)], check=True, capture_output=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    paths = [sysconfig.get_path("purelib"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    lines = [path for path in dict.fromkeys(paths) if Path(path).resolve() != ROOT]
    (own / "others.pth").write_text("".join(f"{line}\n" for line in lines))  # a folder's own .pth files are not read
    (own / "fairseq").mkdir()
    for entry in (Path(sysconfig.get_path("purelib")) / "fairseq").iterdir():  # which looks for a --user-dir beside it
        (own / "fairseq" / entry.name).symlink_to(entry)
    (folder / "bin" / "fairseq-train").write_text(f"#!{python}\n{TRAIN}")
    (folder / "bin" / "fairseq-train").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def run(environment, tmp_path_factory):
    """``run(command, *words)``: what a command of the environment prints, in an empty folder."""
    folder = tmp_path_factory.mktemp("outside")
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    variables |= {"OMP_NUM_THREADS": "1", "PATH": f"{environment}/bin:{os.environ['PATH']}"}

    def run(command, *words):
        words = [str(environment / "bin" / command), *map(str, words)]
        done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    return run


@pytest.mark.slow
@pytest.mark.subprocess
def test_from_training_to_an_answer(run, environment, tiny, tmp_path):
    code = "import fairseq_littlebird, sys; print(fairseq_littlebird.__file__, sys.prefix)"
    assert run("python", "-c", code).split()[0].startswith(f"{environment}/lib/")
    _, *task = TASKS["question_answering"].split()
    options = [*task, *SIZES, *TRAINING, "--max-update", 2, "--save-dir", tmp_path / "model", "--disable-validation"]
    run("fairseq-train", tiny / "questions", *options, "--user-dir", "fairseq_littlebird")
    checkpoint, output = tmp_path / "model" / "checkpoint_last.pt", tmp_path / "predictions"
    predict = ["--path", checkpoint, "--gen-subset", "valid", "--output", output, "--device", "cpu"]
    run("littlebird-predict", tiny / "questions", *predict)
    assert len(json.loads((output / "predictions.json").read_text("utf-8"))) == 4
    (tmp_path / "page.txt").write_text("Greta Holm founded the school of Oslo.", "utf-8")
    words = [tmp_path / "model", tmp_path / "page.txt", "Who founded the school?", "--json", "--device", "cpu"]
    (found,) = run("littlebird-answer", *words).splitlines()
    assert json.loads(found)["answers"][0]["text"] in "Greta Holm founded the school of Oslo."
    configs = Path(run("littlebird-config-dir").strip())
    assert environment in configs.parents and (configs / "model" / "littlebird_tiny.yaml").is_file()


def test_the_page_travels_along(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "fairseq_littlebird" / "serving" / "page").iterdir()}
    assert len(here) > 4 and here <= set(names)
