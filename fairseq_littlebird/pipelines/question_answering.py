"""A trained question-answering model over the questions of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
from tqdm import tqdm

from fairseq_littlebird.data.answer_lengths import reachable
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.answering import decode_windows, merge_batch
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.attribution import check_explained, explain
from fairseq_littlebird.pipelines.batches import batches
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
from fairseq_littlebird.text.window import Window

logger = logging.getLogger(__name__)

PREFETCH_FACTOR = 16
"""So many times the tokens encoded together are loaded together, for windows to meet others of their length."""


@torch.inference_mode()
def predictions(
    model: EncoderModel,
    task: QuestionAnsweringTask,
    dataset: QuestionAnsweringDataset,
    max_tokens: int = 32768,
    max_answer_length: int | None = None,
    n_best: int = 20,
    workers: int = 0,
    quiet: bool = False,
    explained: bool = False,
) -> Iterator[Prediction]:
    """Predictions for every question of a dataset, those without a window included, with a progress bar.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.loading.load_trained`.
        dataset: of the task, not for training.
        max_tokens: tokens encoded together.
        max_answer_length: in tokens; None takes that of the model's training.
        n_best: candidates a question.
        workers: processes that load data.
        quiet: show no bar.
        explained: with where the attention of each best candidate goes.
    Raises:
        UserError: that is not known of the model.
    """
    if explained:
        check_explained(model)
    limit = max_answer_length or task.max_answer_length
    if limit < 1:
        raise UserError(f"answers of {limit} tokens", remedy="give a positive number as max_answer_length")
    max_batch = max(PREFETCH_FACTOR * max_tokens, int(dataset.sizes.max(initial=1)))
    total, dropped = dataset.prepared.num_windows, 0
    with tqdm(total=total, desc="answering", unit=" windows", disable=quiet or not total) as progress:
        for batch in batches(model, dataset, max_batch, workers):
            del batch["net_input"]["starts"]  # ends are scored given the best starts alone
            dropped += batch.get("dropped_global_tokens", 0)
            decoded = []
            for part, _ in decode_windows(
                model,
                batch["net_input"],
                batch["selectable"],
                limit,
                n_best,
                max_tokens,
                task.dataset_spec.segments,
            ):
                decoded.append(part)
                progress.update(len(part.indices))
            merged = merge_batch(batch["examples"], batch["windows"], decoded, n_best, task.dataset_spec)
            asked = zip(batch["id"].tolist(), batch["examples"], merged, batch["windows"], strict=True)
            for index, example, prediction, windows in asked:
                best = prediction.candidates[0] if explained and prediction.candidates else None
                yield replace(
                    prediction,
                    explanation=None if best is None else explain(model, example.document, windows[best.window], best),
                    windows=tuple(part_read(window) for window in windows),
                    reachable=reachable(example, windows, limit, task.dataset_spec),
                    index=index,
                )
    if dropped:
        logger.warning("%d parts of windows have no global token: train with a larger --max-global-tokens", dropped)


def part_read(window: Window) -> tuple[int, int]:
    """The first character of a window's part of the document, and the one after its last."""
    return int(window.offsets[:, 0].min(initial=0)), int(window.offsets[:, 1].max(initial=0))
