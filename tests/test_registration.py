"""What importing the package and registering it leave as they were, and what they bring."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fairseq_littlebird

PACKAGE = Path(fairseq_littlebird.__file__).parent


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_root_logger_stays_a_programs_own():
    """Some of fairseq's modules call logging.basicConfig, one of them at DEBUG, when they are imported."""
    run("""
import logging
handler = logging.NullHandler()
logging.basicConfig(level=logging.ERROR, handlers=[handler])
from fairseq_littlebird import register
register()
import fairseq.models.wav2vec
assert logging.root.handlers == [handler] and logging.root.level == logging.ERROR
""")
    run("""
import logging
from fairseq_littlebird import LittleBird
assert logging.root.handlers == [] and logging.root.level == logging.WARNING
""")


@pytest.mark.parametrize("module", ["data.preparation", "pipelines.littlebird", "benchmarks.architectures"])
def test_what_commands_import_leaves_it_too(module):
    run(f"""
import logging
import fairseq_littlebird.{module}
assert logging.root.handlers == [] and logging.root.level == logging.WARNING
""")


def test_the_equations_install_nothing():
    """Where fairseq is installed, too, and where the program is one of fairseq's commands."""
    run("""
import atexit, sys
import torch
sys.argv[0] = "fairseq-train"
hook, exits = sys.excepthook, []
atexit.register = lambda function, *_, **__: exits.append(function) or function
import fairseq_littlebird
import fairseq_littlebird.attention, fairseq_littlebird.modules.encoder
import fairseq_littlebird.heads.span_selection, fairseq_littlebird.objectives.span_selection
assert sys.excepthook is hook
assert not [function for function in exits if function.__module__.startswith("fairseq")]
assert not {"fairseq", "hydra", "omegaconf"} & {*sys.modules}
""")


@pytest.mark.parametrize(
    "statement",
    [
        "import fairseq_littlebird; fairseq_littlebird.register(); fairseq_littlebird.register()",
        "from fairseq_littlebird import LittleBird",
        "import fairseq_littlebird.models.littlebird",
        "import fairseq_littlebird.criterions",
        "import fairseq_littlebird.data.batch",
        "import fairseq_littlebird.optimizers.littlebird_adam",
        "from fairseq_littlebird.datasets import *; register_dataset(DATASETS.pop('squad'))",
        "from argparse import Namespace; from fairseq.utils import import_user_module as load; "
        f"load(Namespace(user_dir={str(PACKAGE)!r}))",
    ],
)
def test_every_way_in_registers_everything(statement):
    """Also where unpickling a configuration has imported one class alone, as in a worker that fairseq starts."""
    printed = run(f"""
{statement}
import sys
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.tasks import TASK_REGISTRY
import torch
ours = [name for registry in (TASK_REGISTRY, CRITERION_REGISTRY, MODEL_REGISTRY, OPTIMIZER_REGISTRY)
        for name, kind in registry.items() if kind.__module__.startswith("fairseq_littlebird")]
print(*sorted(ours), "littlebird_tiny" in ARCH_MODEL_REGISTRY, len(torch.serialization.get_safe_globals()) > 0)
""")
    expected = "bigbird_etc bigbird_itc full_attention littlebird littlebird_adam littlebird_classification "
    expected += "littlebird_distillation littlebird_masked_lm littlebird_sentence_prediction longformer "
    assert printed.split()[-2:] == ["True", "True"]
    assert {*expected.split(), "question_answering", "recurring_span_selection"} <= {*printed.split()}


@pytest.mark.parametrize("name", ["", *sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))])
def test_what_all_names_is_there(name):
    module = importlib.import_module(f"fairseq_littlebird.{name}".rstrip("."))
    for exported in getattr(module, "__all__", ()):
        assert getattr(module, exported) is not None


def test_one_version():
    root = PACKAGE.parent
    assert "version = attr: fairseq_littlebird.__version__" in (root / "setup.cfg").read_text("utf-8")
    cited = re.search(r"^version: (.*)$", (root / "CITATION.cff").read_text("utf-8"), flags=re.M)[1]
    assert cited == fairseq_littlebird.__version__
    assert (PACKAGE / "py.typed").is_file()


def test_data_workers_that_lose_their_command_say_nothing():
    run("""
import io, multiprocessing, sys
sys.argv[0] = "fairseq-train"
import fairseq_littlebird
fairseq_littlebird.register()

def said(error):
    sys.stderr = io.StringIO()
    sys.excepthook(type(error), error, None)
    text, sys.stderr = sys.stderr.getvalue(), sys.__stderr__
    return text

def worker(queue):
    queue.put([said(ConnectionResetError()), said(EOFError()), said(ValueError("odd"))])

assert "EOFError" in said(EOFError())
context = multiprocessing.get_context("fork")
queue = context.Queue()
context.Process(target=worker, args=(queue,)).start()
lost, ended, odd = queue.get(timeout=60)
assert lost == ended == "" and "ValueError: odd" in odd, (lost, ended, odd)
""")
