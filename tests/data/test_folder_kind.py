"""A folder that was prepared for another task is refused with that task's name."""

import json

import pytest

from fairseq_littlebird.data.folder_kind import CHARACTERS, LINES, QUESTIONS, SUMMARIES, TEXTS, check_kind
from fairseq_littlebird.errors import UserError

KINDS = {"squad": QUESTIONS, "characters": CHARACTERS, "classification": TEXTS, "summarization": SUMMARIES}


@pytest.mark.parametrize("dataset", KINDS)
def test_only_the_task_of_a_folder_takes_it(tmp_path, dataset):
    (tmp_path / "prepared.json").write_text(json.dumps({"dataset": dataset}))
    for wanted in (QUESTIONS, CHARACTERS, TEXTS, SUMMARIES, LINES):
        if wanted == KINDS[dataset]:
            check_kind(str(tmp_path), "task", wanted)
            continue
        with pytest.raises(UserError) as error:
            check_kind(str(tmp_path), "task", wanted)
        assert KINDS[dataset].title in str(error.value)
        assert wanted.command in str(error.value)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"version": 1}'])
def test_a_folder_that_does_not_say_is_taken(tmp_path, content):
    if content is not None:
        (tmp_path / "prepared.json").write_text(content)
    check_kind(str(tmp_path), "task", LINES)
