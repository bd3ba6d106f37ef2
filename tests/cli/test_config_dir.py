"""The YAML configurations travel in the wheel, and a command finds them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fairseq_littlebird.cli.config_dir import main

ROOT = Path(__file__).resolve().parents[2]


def test_in_a_checkout(capsys):
    main([])
    assert capsys.readouterr().out.strip() == str(ROOT / "configs")


@pytest.mark.slow
@pytest.mark.subprocess
def test_a_wheel_has_every_configuration(wheel, tmp_path):
    own = {path.relative_to(ROOT / "configs").as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        content.extractall(installed)
    inside = "/data/share/fairseq_littlebird/configs/"
    assert {name.split(inside)[1] for name in names if inside in name} == own
    assert "fairseq_littlebird/py.typed" in names and not any(name.startswith(("tests", "scripts")) for name in names)
    # as pip lays it out: the package here, its data under the prefix
    (data,) = installed.glob("*.data/data")
    prefix = tmp_path / "prefix"
    data.rename(prefix)
    code = (
        "import sysconfig, fairseq_littlebird.cli.config_dir as c\n"
        f"c.metadata.files = lambda name: None\nsysconfig.get_path = lambda name: {str(prefix)!r}\nc.main([])"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == str(prefix / "share/fairseq_littlebird/configs"), done.stderr
