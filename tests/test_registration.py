"""What importing the package leaves as it was."""

from __future__ import annotations

import subprocess
import sys


def test_the_root_logger_stays_a_programs_own():
    """Some of fairseq's modules call logging.basicConfig, one of them at DEBUG, when they are imported."""
    code = """
import logging
handler = logging.NullHandler()
logging.basicConfig(level=logging.ERROR, handlers=[handler])
import fairseq_littlebird.registration, fairseq.models.wav2vec
assert logging.root.handlers == [handler] and logging.root.level == logging.ERROR
"""
    code_alone = """
import logging
import fairseq_littlebird.registration
assert logging.root.handlers == [] and logging.root.level == logging.WARNING
"""
    for text in (code, code_alone):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
