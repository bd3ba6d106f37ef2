"""Chunks of lines that are longer than they: no more tokens than a model has positions for."""

from __future__ import annotations

import pytest
from fairseq import tasks
from fairseq.dataclass.utils import merge_with_parent
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf


@pytest.mark.parametrize("name", ["littlebird_masked_lm", "recurring_span_selection"])
@pytest.mark.parametrize("method", ["none", "truncate", "random_crop"])
def test_chunks_have_at_most_as_many_tokens_as_asked_for(tiny, name, method):
    settings = {"_name": name, "data": f"{tiny / 'text'}", "seed": 1, "sample_break_mode": "complete"}
    settings |= {"tokens_per_sample": 8, "shorten_method": method}
    config = merge_with_parent(TASK_DATACLASS_REGISTRY[name](), OmegaConf.create(settings))
    task = tasks.setup_task(config)
    task.load_dataset("valid")
    batches = list(task.get_batch_iterator(task.dataset("valid"), max_sentences=2).next_epoch_itr(shuffle=False))
    longest = max(batch["net_input"]["src_tokens"].shape[1] for batch in batches)
    assert longest > 8 if method == "none" else longest == 8
