"""Builds a wheel of fairseq from its source, with those of its extensions alone that text tasks call.

    python scripts/build_fairseq.py 'fairseq-fixed==0.12.3.1' FOLDER

The others, of its BASE layers, its non-autoregressive translation and its alignment training, include all of PyTorch's
headers and take most of the time of a build. The wheel does not require torchaudio, which only speech tasks use.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SETUP = """
import runpy

import setuptools

KEPT = {"fairseq.libbleu", "fairseq.data.data_utils_fast", "fairseq.data.token_block_utils_fast"}
whole = setuptools.setup


def setup(**given):
    given["ext_modules"] = [module for module in given["ext_modules"] if module.name in KEPT]
    given["install_requires"] = [name for name in given["install_requires"] if not name.startswith("torchaudio")]
    assert len(given["ext_modules"]) == len(KEPT), "not the extensions that this build knows"
    whole(**given)


setuptools.setup = setup
runpy.run_path("whole_setup.py", run_name="__main__")
"""
"""The setup.py of the build; fairseq's own is ``whole_setup.py`` there."""


ALONE = ("--no-deps", "--no-build-isolation")  # fairseq's setup.py imports the torch that is there


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("requirement", metavar="REQUIREMENT", help="fairseq-fixed with a version")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the wheel is written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        pip("download", *ALONE, "--no-binary", ":all:", "--dest", work, options.requirement)
        (archive,) = Path(work).glob("*.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(work, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # from 3.10.12 on
        source = Path(work) / archive.name.removesuffix(".tar.gz")
        limit_build(source)
        pip("wheel", *ALONE, "--wheel-dir", str(options.folder), str(source))


def limit_build(source: Path) -> None:
    """Puts a setup.py before fairseq's own that builds what is needed."""
    (source / "setup.py").rename(source / "whole_setup.py")
    (source / "setup.py").write_text(SETUP.lstrip(), "utf-8")


def pip(*arguments: str) -> None:
    """pip of this interpreter; debugging symbols would make the compiler's work several times as long."""
    variables = {name: value for name, value in os.environ.items() if name != "CUDA_HOME"}  # set, it orders CUDA
    variables["CFLAGS"] = f"{variables.get('CFLAGS', '')} -g0 -O1"
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(words, env=variables, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
