"""Settings of comparisons (YAML): what is no such file is refused in one line, also what would never end."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairseq_littlebird.benchmarks.quality import read, runs, steps
from fairseq_littlebird.errors import UserError

TEXT = """out: {folder}/out
text: {folder}
questions: {folder}
gold: {folder}/x.yaml
seeds: [1]
architectures: {{A: {{arch: littlebird_tiny}}}}
training:  # of both
  lr: 0.1
"""


def whole(folder):
    quality = read(folder / "x.yaml")
    for run in runs(quality):
        assert all(isinstance(word, str) for step in steps(quality, run) for word in step.command_line)


def test_quality(hostile, tmp_path):
    # a case takes longer than all others together
    hostile.run(
        {"x.yaml": hostile.Lines(TEXT.format(folder=tmp_path / "0"))}, read=whole, cases=max(20, hostile.cases // 10)
    )


BOMB = "a0: &a0 [x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
FAULTS = {
    "aliases of aliases": (BOMB, "alias"),
    "itself": ("training: &a {b: *a}\n", "alias"),
    "nested": ("training: " + "[" * 5000, "x.yaml"),
    "a tag": ("training: !!python/object/apply:os.system [true]\n", "x.yaml"),
    "a text": ("hello", "x.yaml"),
    "nothing": ("", "is not given"),
    "a list": ("[1, 2]", "x.yaml"),
    "another type": ("seeds: [one]\n", "x.yaml"),
    "another key": ("hello: 1\n", "x.yaml"),
    "a key twice": ("out: a\nout: b\n", "x.yaml"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_settings_that_are_refused(hostile, tmp_path, fault):
    content, message = FAULTS[fault]
    path: Path = tmp_path / "x.yaml"
    path.write_text(content)
    with hostile.bounded(), pytest.raises(UserError) as error:
        read(path)
    assert str(path) in str(error.value) and message in str(error.value)
