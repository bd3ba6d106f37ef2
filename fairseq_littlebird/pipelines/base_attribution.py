"""Which bases an output of a classifier of DNA depends on, as a bedGraph track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from fairseq import utils
from tqdm import tqdm

from fairseq_littlebird.data.split_places import SplitPlaces
from fairseq_littlebird.inference.genome_tracks import BedGraph
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.text_attribution import gradients
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.text.dna.vocabulary import base_counts


def base_attributions(
    model: EncoderModel, task: LittleBirdSentencePredictionTask, split: str, places: SplitPlaces, number: int
) -> Iterator[str]:
    """Lines of bedGraph: gradient × input of each token, spread evenly over its bases.

    Their sum over the bases of a sequence is that of its tokens; where sequences overlap, their mean is taken.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.loading.load_trained`.
        split: the split's name.
        places: of the split.
        number: of the label whose log odds are explained.
    Raises:
        UserError: the model is quantized, or a sequence has more bases than its place.
    """
    dataset, track = task.load_dataset(split), BedGraph()
    bases_of, device = base_counts(task.source_dictionary.symbols), next(model.parameters()).device

    def bases(index: int) -> int:
        tokens = dataset.collater([dataset[index]])["net_input"]["src_tokens"][0]
        return int(bases_of[tokens.numpy()].sum())

    with tqdm(total=len(places), desc="attributing", unit=" sequences", disable=not len(places)) as progress:
        for index, place in places.by_sequence(bases):
            batch: Any = dataset.collater([dataset[index]])
            if device.type == "cuda":
                batch = utils.move_to_cuda(batch, device)
            values = base_values(model, task, batch["net_input"], bases_of, number)
            start, _ = places.sequence(place, len(values))
            values = values[::-1] if place.strand < 0 else values
            yield from track.add(place.chromosome, start, values, places.size(place.chromosome))
            progress.update()
    yield from track.end()


def base_values(
    model: EncoderModel,
    task: LittleBirdSentencePredictionTask,
    net_input: dict[str, Any],
    bases_of: np.ndarray,
    number: int,
) -> np.ndarray:
    """<float64>[n]: the attribution of each base of one sequence.

    Args:
        model, task: as there.
        net_input: of a batch of one sequence.
        bases_of: int64[V], bases of each symbol.
        number: of the label.
    """
    _, embeddings, gradient = gradients(model, task, net_input, number)
    tokens = net_input["src_tokens"][0].cpu().numpy()
    weights = (gradient.double() * embeddings.double()).reshape(len(tokens), -1).sum(-1).cpu().numpy()
    counts = bases_of[tokens]
    return np.repeat(weights / np.maximum(counts, 1), counts)
