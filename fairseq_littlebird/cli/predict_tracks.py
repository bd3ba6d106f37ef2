"""The options of littlebird-predict for files that genome browsers open."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION
from fairseq_littlebird.text.row_array import StoredRows

OPTIONS = ("bed", "bedgraph", "attribution")


def add_track_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("DNA whose place in the genome is known")
    group.add_argument(
        "--reverse-complement",
        action="store_true",
        help="average the probabilities of both strands of each sequence, the other tokenized anew",
    )
    group.add_argument(
        "--bed", metavar="FILE", help="also write BED: a line for each region and predicted label, sorted"
    )
    group.add_argument(
        "--bedgraph", metavar="FILE", help="also write bedGraph: the probability of each --label over its regions"
    )
    group.add_argument(
        "--attribution",
        metavar="FILE",
        help="also write bedGraph: gradient × token embedding for the log odds of --label, spread over a token's bases",
    )
    group.add_argument(
        "--label",
        nargs="+",
        default=[],
        metavar="NAME",
        help="labels of these files (default: all for --bed; of two labels the second, else all for --bedgraph)",
    )


def wants_tracks(options: argparse.Namespace) -> bool:
    return any(getattr(options, name) for name in OPTIONS)


class Tracks:
    """What the options ask for of a split, checked before anything is predicted.

    Args:
        options: of the command line.
        model, task: the first of the ensemble.
        several: whether there is more than one.
    Raises:
        UserError: a sequence without coordinates, a label that there is not, a file that exists, or options that do
            not go together.
    """

    def __init__(self, options: argparse.Namespace, model: Any, task: Any, several: bool) -> None:
        from fairseq_littlebird.data.classification_metadata import read_metadata
        from fairseq_littlebird.data.split_places import SplitPlaces

        self._options, self._model, self._task = options, model, task
        if task.cfg.problem_type == REGRESSION:
            raise UserError("scores have no labels", self._first, "leave it out")
        if options.attribution and (several or options.reverse_complement):
            what = "an attribution of several models or of both strands"
            raise UserError(what, "--attribution", "give one checkpoint, without --reverse-complement")
        for label in options.label:
            if label not in task.labels:
                told = ", ".join(task.labels[:5]) + (", …" if len(task.labels) > 5 else "")
                raise UserError(f"no label {label!r}", "--label", f"choose of {told}")
        if options.attribution and len(self._graph_labels) != 1:
            raise UserError("an attribution is of one label", "--attribution", "name it with --label")
        for name in OPTIONS:
            path = getattr(options, name)
            if path and Path(path).exists() and not options.overwrite:
                raise UserError("the output file exists", path, "move it away or add --overwrite")
        metadata = read_metadata(task.cfg.data)
        surroundings = metadata.surroundings if metadata else None
        self._places = SplitPlaces(Path(task.cfg.data), options.gen_subset, surroundings)

    @property
    def _first(self) -> str:
        return next(f"--{name}" for name in OPTIONS if getattr(self._options, name))

    @property
    def _graph_labels(self) -> list[str]:
        """The labels of a bedGraph file, a track each."""
        labels = self._task.labels
        return list(self._options.label) or (labels[1:] if len(labels) == 2 else labels)

    def write(self, outputs: StoredRows) -> list[str]:
        """Writes the files; what to say of each.

        Args:
            outputs: [K] of each text of the split.
        """
        from fairseq_littlebird.output import whole_file
        from fairseq_littlebird.pipelines.base_attribution import base_attributions

        options, said = self._options, []
        kinds = {
            "bed": lambda: self._bed(outputs),
            "bedgraph": lambda: self._bedgraph(outputs),
            "attribution": lambda: base_attributions(
                self._model,
                self._task,
                options.gen_subset,
                self._places,
                self._task.labels.index(self._graph_labels[0]),
            ),
        }
        for name, lines in kinds.items():
            path, count = getattr(options, name), 0
            if not path:
                continue
            with ExitStack() as stack:
                temporary = stack.enter_context(whole_file(path, options.overwrite))
                file = stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
                for line in lines():
                    file.write(line)
                    count += 1
            said.append(f"{path}: {count:,} lines")
        if self._places.elsewhere:
            what = "are negatives or opposite strands, made of others, and are not in these files"
            said.append(f"{self._places.elsewhere:,} sequences {what}")
        return said

    def _bed(self, outputs: StoredRows) -> Iterator[str]:
        from fairseq_littlebird.inference.genome_tracks import bed_lines

        labels, several = self._task.labels, self._task.cfg.problem_type == MULTI_LABEL
        wanted = set(self._options.label or labels)

        def predicted(row: np.ndarray) -> list[tuple[str, float]]:
            found = np.flatnonzero(row >= self._options.threshold) if several else [int(row.argmax())]
            return [(labels[n], float(row[n])) for n in found if labels[n] in wanted]

        return bed_lines((place, predicted(outputs[number])) for number, place in self._places)

    def _bedgraph(self, outputs: StoredRows) -> Iterator[str]:
        from fairseq_littlebird.inference.genome_tracks import BedGraph, track_line

        for label in self._graph_labels:
            if len(self._graph_labels) > 1:
                yield track_line(label)
            number, track = self._task.labels.index(label), BedGraph()
            for index, place in self._places:
                values = np.full(place.end - place.start, outputs[index][number], np.float64)
                yield from track.add(place.chromosome, place.start, values, self._places.size(place.chromosome))
            yield from track.end()
