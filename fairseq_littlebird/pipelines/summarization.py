"""A trained summarizer over a split, or over documents in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from fairseq import utils
from torch import Tensor
from tqdm import tqdm

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.summarization_dataset import SummarizationDataset
from fairseq_littlebird.data.summarization_metadata import ID, TEXT
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.sentences import sentence_spans
from fairseq_littlebird.inference.summarizing import SourceSentence, Summary
from fairseq_littlebird.models.generation import BeamSearchSettings, generator_options
from fairseq_littlebird.pipelines.batches import batches
from fairseq_littlebird.tasks.summarization import SummarizationTask, check_lengths
from fairseq_littlebird.text.tokenizers import without_surrogates


class Documents:
    """Documents in memory, or those of a split, by index.

    Args:
        ids, texts: of each document; the text as the tokenizer reads it.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        self.ids, self.texts = ids, texts

    @classmethod
    def of_split(cls, folder: str | Path, split: str) -> Documents:
        """Those of a prepared folder."""
        parts = (MappedItems(Path(folder) / f"{split}.{part}") for part in (ID, TEXT))
        ids, texts = ([items[n].tobytes().decode() for n in range(len(items))] for items in parts)
        return cls(ids, texts)


def positions_of(model: Any) -> int:
    """Tokens that a model's encoder reads at most."""
    reach = model.max_positions()
    return int(reach[0] if isinstance(reach, tuple) else reach)


def summarize_texts(
    model: Any,
    task: Any,
    texts: Sequence[str],
    *,
    truncate: bool = False,
    explained: bool = False,
    quiet: bool = True,
    **settings: Any,
) -> list[Summary]:
    """The summary of each text, whose id is its index.

    Args:
        model, task: see :func:`summaries`.
        texts: not empty.
        truncate, explained, quiet: see :func:`summaries`.
        settings: of :class:`BeamSearchSettings`.
    Raises:
        UserError: the model writes no summaries, a text without a token or one that is too long, or a setting that
            makes no sense.
    """
    if not isinstance(task, SummarizationTask):
        raise UserError("this model writes no summaries", remedy="train an encoder–decoder with --task summarization")
    try:
        chosen = BeamSearchSettings(**settings)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(BeamSearchSettings))
        raise UserError(f"no such option ({error})", remedy=f"choose of {known}") from error
    read = [" ".join(without_surrogates(text).split()) for text in texts]
    symbols, unknown = task.dictionary.indices, task.dictionary.unk()
    tokens = [torch.tensor([symbols.get(s, unknown) for s in task.tokenizer.tokenize(text)]) for text in read]
    end = torch.tensor([task.dictionary.eos()])
    items = [torch.cat([ids.long(), end]) for ids in tokens]
    dataset = task.build_dataset_for_inference(items, [len(item) for item in items])
    documents = Documents([str(n) for n in range(len(read))], read)
    options: dict[str, Any] = {"truncate": truncate, "explained": explained, "quiet": quiet}
    return list(summaries(model, task, dataset, documents, chosen, **options)) if items else []


@torch.inference_mode()
def summaries(
    model: Any,
    task: SummarizationTask,
    dataset: SummarizationDataset,
    documents: Documents,
    settings: BeamSearchSettings,
    max_tokens: int = 16384,
    workers: int = 0,
    truncate: bool = False,
    explained: bool = False,
    quiet: bool = False,
) -> Iterator[Summary]:
    """The summary of every document, in their order, with a progress bar that tells tokens per second.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.loading.load_trained`.
        dataset: of the task.
        documents: the same.
        settings: how they are generated.
        max_tokens: of documents that are read together; each has ``settings.beam`` hypotheses.
        workers: processes that load data.
        truncate: cut documents that are longer than the model reads; otherwise they are an error.
        explained: with the sentences that cross-attention read most.
        quiet: show no bar.
    Raises:
        UserError: a document is too long, or the longest summary longer than the model writes.
    """
    most_in, most_out = utils.resolve_max_positions(task.max_positions(), model.max_positions())
    if (settings.max_length or 0) >= most_out:
        what = f"a maximum length of {settings.max_length} tokens, but the model writes at most {most_out - 1}"
        raise UserError(what, remedy="lower --max-length")
    dataset.truncate(most_in if truncate else None)
    check_lengths("documents", dataset.src_sizes, most_in, "--truncate", "--max-tokens")
    generator = task.build_generator([model], generator_options(settings))
    found: dict[int, Summary] = {}
    written, started = 0, time.perf_counter()
    max_batch = max(max_tokens, int(dataset.src_sizes.max(initial=1)))
    with tqdm(total=len(dataset), desc="summarizing", unit=" documents", disable=quiet) as progress:
        for batch in batches(model, dataset, max_batch, workers):
            hypotheses = task.inference_step(generator, [model], batch)
            for row, (index, best) in enumerate(zip(batch["id"].tolist(), (h[0] for h in hypotheses), strict=True)):
                tokens = best["tokens"]
                found[index] = Summary(documents.ids[index], task.text_of(tokens), float(best["score"]), len(tokens))
                if explained:
                    source = batch["net_input"]["src_tokens"][row, : int(batch["net_input"]["src_lengths"][row])]
                    text = documents.texts[index]
                    sentences = sentences_read(model, task, source, tokens, text)
                    found[index] = replace(found[index], sentences=sentences, document=text)
                written += len(tokens)
            progress.set_postfix_str(f"{written / (time.perf_counter() - started):,.1f} tokens/s", refresh=False)
            progress.update(len(hypotheses))
    yield from (found[index] for index in range(len(dataset)))


def sentences_read(
    model: Any, task: SummarizationTask, source: Tensor, summary: Tensor, text: str
) -> tuple[SourceSentence, ...]:
    """The sentences of a document by how much the last decoder layer's cross-attention reads of them.

    It is the mean over heads and over the summary's tokens, of the document's text alone: what goes to ``<s>`` and
    ``</s>`` is left out.

    Args:
        model, task: see :func:`summaries`.
        source: <int64>[L], as the encoder read it.
        summary: <int64>[T], generated, with ``</s>``.
        text: the document's.
    """
    start = summary.new_tensor([task.decoder_start])
    layer = len(model.decoder.layers) - 1
    _, extra = model(
        source[None], source.new_tensor([len(source)]), torch.cat([start, summary[:-1]])[None], alignment_layer=layer
    )
    attention = extra["attn"][0].float().mean(dim=(0, 1))[1:-1].tolist()  # [L - 2]
    _, offsets = task.tokenizer.encode(text)
    spans = sentence_spans(text)
    weights, at = [0.0] * len(spans), 0
    for (first, _), weight in zip(offsets, attention, strict=False):  # a document that was cut has fewer
        while at + 1 < len(spans) and first >= spans[at + 1][0]:
            at += 1
        weights[at] += weight
    total = sum(weights) or 1.0
    read = [SourceSentence(*span, weight / total) for span, weight in zip(spans, weights, strict=True)]
    return tuple(sorted(read, key=lambda sentence: -sentence.weight))
