"""The equations need torch and nothing else."""

from __future__ import annotations

import subprocess
import sys

BLOCKER = """
import importlib.machinery, sys
find = importlib.machinery.PathFinder.find_spec.__func__
missing = {"fairseq", "omegaconf", "hydra", "sentencepiece", "tokenizers"}

@classmethod
def find_spec(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in missing else find(cls, name, path, target)

importlib.machinery.PathFinder.find_spec = find_spec
"""


PACKAGES = (
    "attention",
    "modules.littlebird_encoder",
    "heads.span_selection",
    "heads.language_model",
    "objectives.span_selection",
)


def test_works_where_fairseq_is_not_installed():
    imports = "\n".join(f"import fairseq_littlebird.{package}" for package in PACKAGES)
    code = f"{BLOCKER}{imports}\nassert 'fairseq' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_blocker_blocks():
    done = subprocess.run([sys.executable, "-c", f"{BLOCKER}import fairseq"], capture_output=True, text=True)
    assert "ModuleNotFoundError" in done.stderr
