"""What fairseq's generation and its encoder–decoder models ask of an encoder.

Legend: B batch, L tokens, C hidden width, k beams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqEncoder
from torch import Tensor

from fairseq_littlebird.models.beams import documents_of
from fairseq_littlebird.modules.left_padding import first_tokens, shifted
from fairseq_littlebird.modules.token_annotations import TokenAnnotations

EncoderOut = dict[str, Any]


def counts_at_once(device: torch.device) -> bool:
    """Whether a number of a tensor there is known without waiting for what was asked of the device before."""
    return device.type == "cpu"


class Seq2SeqEncoder(FairseqEncoder):
    """fairseq's side of an encoder; goes before one of :mod:`fairseq_littlebird.modules` among a class's bases.

    The parameters keep the names that they have in a model of the encoder alone, so that its checkpoints fit.

    Args:
        config: the encoder's sizes.
        dictionary: of its tokens.
    """

    config: Any  # of the encoder

    def __init__(self, config: Any, dictionary: Dictionary) -> None:
        super(FairseqEncoder, self).__init__(config)  # type: ignore[call-arg]  # the encoder's
        self.dictionary = dictionary

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor | None = None,
        positions: Tensor | None = None,
        global_tokens: Tensor | None = None,
        return_all_hiddens: bool = False,
        unpadded: Tensor | None = None,
        lengths: Sequence[int] | None = None,
        **unused: Any,
    ) -> EncoderOut:
        """
        Args:
            src_tokens: <int64>[B, L], padded; what is padded on the left, as ``translation`` does unless told
                otherwise, is moved there.
            src_lengths: <int64>[B], handed on; lengths are read off the padding.
            positions: <int64>[B, L] position ids with the gaps of padding insertion, or None for 0 … L-1.
            global_tokens: <bool>[B, L], for encoders that have such, moved with their tokens; None takes the first
                token.
            return_all_hiddens: return the embeddings and every layer's output, too.
            unpadded: <int64>[N], which of the [B · L] tokens are not padding, of a batch that is padded on the right;
                given, no device is asked for it.
            lengths: B tokens up to the last unpadded one, as numbers of the host; likewise.
        Returns:
            fairseq's dictionary of lists: ``encoder_out`` <float>[L, B, C], ``encoder_padding_mask`` <bool>[B, L] or
            nothing where it is known that nothing is padded, ``encoder_embedding`` <float>[B, L, C] and
            ``encoder_states`` if asked for, ``src_tokens``, ``src_lengths``; and ``positions``, and ``beams`` of
            :meth:`reorder_encoder_out`.
        """
        mask = src_tokens.eq(self.config.padding_idx)
        is_counted = unpadded is not None or not self.training or counts_at_once(src_tokens.device)
        if unpadded is not None:
            padded = len(unpadded) < mask.numel()
        elif is_counted:
            padded = bool(mask.any())
        else:
            padded = True  # for all that is known without waiting
        if unpadded is None and padded and positions is None:
            starts = first_tokens(mask)
            if not is_counted or starts.any():
                src_tokens = shifted(src_tokens, starts)
                global_tokens = None if global_tokens is None else shifted(global_tokens, starts)
                mask = src_tokens.eq(self.config.padding_idx)
        states: list[Tensor] | None = [] if return_all_hiddens else None
        annotations = self.annotations(src_tokens, global_tokens)
        annotations = annotations._replace(unpadded=unpadded, lengths=lengths, is_counted=is_counted)
        encode = super(FairseqEncoder, self).forward
        hidden = encode(src_tokens, positions, mask, states, None, annotations)  # type: ignore[misc]
        return {
            "encoder_out": [hidden.transpose(0, 1)],
            "encoder_padding_mask": [mask] if padded else [],
            "encoder_embedding": states[:1] if states else [],
            "encoder_states": [state.transpose(0, 1) for state in states[1:]] if states else [],
            "src_tokens": [],
            "src_lengths": [] if src_lengths is None else [src_lengths],
            "positions": [] if positions is None else [positions],
            "beams": [],
        }

    def annotations(self, tokens: Tensor, global_tokens: Tensor | None) -> TokenAnnotations:
        """What the encoder needs to know of its tokens <int64>[B, L]; the first is global unless others are named."""
        if global_tokens is not None:
            return TokenAnnotations(global_tokens=global_tokens)
        first = (torch.arange(tokens.shape[1], device=tokens.device) == 0).expand_as(tokens)
        return TokenAnnotations(global_tokens=first, most_global=1)

    def reorder_encoder_out(self, encoder_out: EncoderOut, new_order: Tensor) -> EncoderOut:
        """The documents of the beams to go on with: a document stays one, however many beams read it.

        fairseq's generator repeats each document for its beams, then names the beams that go on, of which there are
        as many for each document that is not finished. The decoder reads both off the numbers of rows.

        Args:
            encoder_out: see :meth:`forward`; left as it is.
            new_order: <int64>[B · k].
        Returns:
            the same tensors, or those of the documents that are not finished.
        """
        B = encoder_out["encoder_out"][0].shape[1]
        beams = encoder_out["beams"][0] if encoder_out["beams"] else 0
        documents, beams = documents_of(new_order, B, beams)
        reordered = dict(encoder_out) | {"beams": [beams] if beams else []}
        if documents is None:
            return reordered
        for key, dim in (
            ("encoder_out", 1),
            ("encoder_padding_mask", 0),
            ("encoder_embedding", 0),
            ("encoder_states", 1),
            ("src_tokens", 0),
            ("src_lengths", 0),
            ("positions", 0),
        ):
            reordered[key] = [tensor.index_select(dim, documents) for tensor in encoder_out[key]]
        return reordered

    def max_positions(self) -> int:
        """The learned positions, where there are any; otherwise no limit of its own: the task's holds."""
        return self.config.max_positions if self.config.has_positions else 2**31
