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


PACKAGES = ("attention", "attention.common", "modules", "modules.attention", "heads", "objectives")


def test_works_where_fairseq_is_not_installed():
    imports = "\n".join(f"import fairseq_littlebird.{package}" for package in PACKAGES)
    code = f"{BLOCKER}{imports}\nassert 'fairseq' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_loads_no_fairseq_and_installs_no_hooks():
    """Where fairseq is installed, too; what a package says that it has is there."""
    imports = "\n".join(f"from fairseq_littlebird.{package} import *" for package in PACKAGES)
    code = f"""
import atexit, logging, signal, sys, threading
hooks = lambda: (sys.excepthook, threading.excepthook, sys.unraisablehook, signal.getsignal(signal.SIGTERM))
before = hooks(), logging.root.level, logging.root.handlers[:]
{imports}
assert (hooks(), logging.root.level, logging.root.handlers) == before
assert not {{"fairseq", "hydra", "omegaconf", "fairseq_littlebird.registration"}} & sys.modules.keys()
from fairseq_littlebird.attention import dense_unpack_window_attention, pack_attention, unpack_window_attention
import fairseq_littlebird.models, fairseq.criterions, fairseq.tasks
assert "littlebird_distillation" in fairseq.criterions.CRITERION_REGISTRY
assert "question_answering" in fairseq.tasks.TASK_REGISTRY
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_loads_no_compiler():
    """Nobody who does not compile waits for it: it is most of what an import would take."""
    code = f"import sys\n{chr(10).join(f'import fairseq_littlebird.{package}' for package in PACKAGES)}"
    code += "\nassert 'torch._dynamo' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_blocker_blocks():
    done = subprocess.run([sys.executable, "-c", f"{BLOCKER}import fairseq"], capture_output=True, text=True)
    assert "ModuleNotFoundError" in done.stderr
