"""The build of fairseq: the extensions and requirements that its setup.py is left with."""

from __future__ import annotations

import runpy

import pytest
import setuptools

WHOLE = """
from setuptools import Extension, setup

names = {names!r}
requirements = ["torch>=1.13", "torchaudio>=0.8.0", "tqdm"]
setup(name="x", ext_modules=[Extension(name, [name]) for name in names], install_requires=requirements)
"""
KEPT = ["fairseq.libbleu", "fairseq.data.data_utils_fast", "fairseq.data.token_block_utils_fast"]


@pytest.fixture
def setup(script, tmp_path, monkeypatch):
    """``setup(names)``: what a setup.py with these extensions gives to setuptools after the limit."""
    given = []
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.append(arguments))

    def run(names):
        (tmp_path / "setup.py").write_text(WHOLE.format(names=names))
        script("scripts/build_fairseq.py").limit_build(tmp_path)
        monkeypatch.chdir(tmp_path)
        runpy.run_path("setup.py", run_name="__main__")
        return given[-1]

    return run


def test_what_is_left(setup):
    arguments = setup(["fairseq.libbase", *KEPT, "fairseq.libnat", "alignment_train_cpu_binding"])
    assert [module.name for module in arguments["ext_modules"]] == KEPT
    assert arguments["install_requires"] == ["torch>=1.13", "tqdm"] and arguments["name"] == "x"


def test_a_source_without_them_fails(setup):
    with pytest.raises(AssertionError, match="not the extensions"):
        setup(KEPT[:2])
