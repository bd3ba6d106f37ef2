"""A model as an ONNX graph for batches and texts of any size.

Legend: B batch, L tokens.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_littlebird.errors import UserError, first_line
from fairseq_littlebird.export.folder import check_export
from fairseq_littlebird.export.trained_model import UNLIKELY, TrainedModel
from fairseq_littlebird.output import whole_folder

NAMES = ("model.onnx", "model.onnx.data", "config.json", "tokenizer.json", "tokenizer_config.json")
"""Every name in the folder."""
SPANS = ["span_starts", "span_ends", "span_scores", "null_score", "log_normaliser"]
OUTPUTS = {
    "LittleBirdModel": ["last_hidden_state"],
    "LittleBirdForMaskedLM": ["logits"],
    "LittleBirdForSequenceClassification": ["logits"],
    "LittleBirdForQuestionAnswering": ["start_logits", "end_logits", *SPANS],
}
TRACED = 2, 150  # B and L; the graph does not depend on them
CHECKED = (1, 37), (3, 300)  # B and L that the graph is checked at
TOLERANCE = 1e-4


class _Graph(nn.Module):
    """Inputs by place, and a tuple of outputs: the model's, and of one with a span head its best spans."""

    def __init__(self, model: Any, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Any:
        named = dict(zip(self.names, inputs, strict=True))
        if not hasattr(self.model, "span_head"):
            return self.model(**named, return_dict=False)
        output = self.model(**named, output_hidden_states=True)
        spans = self.model.decode(output.hidden_states[-1], *inputs[:2])
        return output.start_logits, output.end_logits, *spans


def write_onnx(trained: TrainedModel, folder: str | Path, overwrite: bool = False) -> float:
    """Writes ``model.onnx``, ``config.json`` and the tokenizer; returns the largest difference from PyTorch.

    Args:
        trained: the model.
        folder: where to; may exist if it is empty.
        overwrite: replace what an earlier call wrote.
    Raises:
        UserError: the folder holds something, a package or a newer PyTorch is missing, learned positions, or the graph
            computes something else.
    """
    model = trained.model
    if model.config.positions == "learned":
        raise UserError("learned positions end where their table does", remedy="export it with littlebird-export hf")
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if model.config.token_types else [])
    outputs = OUTPUTS[type(model).__name__]
    check_export(folder, NAMES, overwrite)
    with whole_folder(folder, NAMES, overwrite) as new:
        graph = _Graph(model, names)
        program = _traced(graph, names, outputs, _inputs(model, *TRACED))
        program.save(str(new / "model.onnx"))
        model.config.save_pretrained(new)
        special_in_text = type(model).__name__ != "LittleBirdForQuestionAnswering"
        trained.tokenizer.save(new, model.config.token_types, special_in_text)
        return _check(graph, new / "model.onnx")


def _inputs(model: Any, B: int, L: int) -> tuple[Tensor, ...]:
    """Random tokens as the tokenizer packs a question and a context, of different lengths."""
    config, generator = model.config, torch.Generator().manual_seed(L)
    tokens = torch.randint(config.vocab_size, (B, L), generator=generator)
    tokens[tokens == config.sep_token_id] = config.mask_token_id
    mask = torch.arange(L) < L - (torch.arange(B) * L // (2 * B))[:, None]
    tokens[:, :2] = torch.tensor([config.bos_token_id, config.question_token_id])
    tokens[:, min(8, L - 2)] = config.sep_token_id
    tokens[torch.arange(B), mask.sum(1) - 1] = config.sep_token_id
    tokens[~mask] = config.pad_token_id
    types = (torch.arange(L) > min(8, L - 2)).long().expand(B, L)
    inputs = tokens, mask.long(), types
    return inputs[: 3 if config.token_types else 2]


def _traced(graph: nn.Module, names: list[str], outputs: list[str], inputs: tuple[Tensor, ...]) -> Any:
    if not hasattr(torch.compiler, "is_exporting"):
        raise UserError(f"PyTorch {torch.__version__} is too old for this", remedy="install 2.7 or later")
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the exporter's own notes, on every node
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                graph,
                inputs,
                dynamo=True,
                dynamic_shapes=((sizes,) * len(names),),
                input_names=names,
                output_names=outputs,
                verbose=False,
            )
    except ImportError as error:
        raise UserError(
            f"ONNX needs onnx and onnxscript ({first_line(error)})", remedy="pip install fairseq_littlebird[export]"
        ) from error
    finally:
        logging.disable(level)


@torch.no_grad()
def _check(graph: _Graph, path: Path) -> float:
    try:
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise UserError(
            "checking the graph needs onnxruntime", remedy="pip install fairseq_littlebird[export]"
        ) from error
    session, differences = InferenceSession(str(path)), [0.0]
    for B, L in CHECKED:
        inputs = _inputs(graph.model, B, L)
        found = session.run(None, {name: t.numpy() for name, t in zip(graph.names, inputs, strict=True)})
        for ours, theirs in zip(graph(*inputs), map(torch.from_numpy, found), strict=True):
            if not ours.is_floating_point():  # where spans lie: of two with nearly the same score either may come first
                continue
            real = inputs[1].bool() if ours.shape[:2] == (B, L) else ours.isfinite()
            ours, theirs = ours[real], theirs[real]
            known = ours > UNLIKELY / 2  # logits of tokens that the dictionary lacks are rounded to a thousandth
            if known.any():  # a model that always answers has no score of none
                differences.append(float((ours - theirs)[known].abs().max()))
    worst = float(torch.tensor(differences).max())  # NaN where one is
    if not worst <= TOLERANCE:
        raise UserError(f"the graph differs from the model by {worst:.1e}", str(path), "install another onnxruntime")
    return worst
