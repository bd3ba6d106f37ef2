"""LittleBird's classifier for transformers. Goes with each exported classifier: imports transformers and what it needs.

Legend: B batch, L tokens, K labels.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_outputs import SequenceClassifierOutput

from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig
from fairseq_littlebird.export.modeling_littlebird import LittleBirdModel, LittleBirdPreTrainedModel
from fairseq_littlebird.heads.classification import ClassificationHead
from fairseq_littlebird.modules.left_padding import first_tokens


class LittleBirdForSequenceClassification(LittleBirdPreTrainedModel):
    """Labels of a text, any number of them, or a score, as ``config.problem_type`` says.

    A score is learned from 0 to 1: ``config.score_range`` has the ends that they stand for.
    """

    def __init__(self, config: LittleBirdConfig) -> None:
        super().__init__(config)
        self.littlebird = LittleBirdModel(config)
        self.classifier = ClassificationHead(config.hidden_size, config.hidden_size, config.num_labels or 1)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **unused: Any,
    ) -> Any:
        """Arguments as :meth:`LittleBirdModel.forward`'s; a pair is ``<s> text </s> </s> text </s>``.

        Args:
            labels: <int64>[B], of several labels a text <float>[B, K], of scores <float>[B] from 0 to 1; adds
                ``loss``.
        Returns:
            ``logits`` <float>[B, K].
        """
        output = self.littlebird(input_ids, attention_mask, token_type_ids, position_ids, output_hidden_states)
        hidden = output.last_hidden_state
        padding = input_ids == self.config.pad_token_id if attention_mask is None else attention_mask == 0
        first = first_tokens(padding)[:, None, None].expand(-1, 1, hidden.shape[-1])
        logits = self.classifier(hidden.gather(1, first))
        loss = None
        if labels is not None:
            kind = self.config.problem_type
            if kind == "regression":
                loss = F.mse_loss(logits.float().flatten(), labels.float().flatten())
            elif kind == "multi_label_classification":
                loss = F.binary_cross_entropy_with_logits(logits.float(), labels.float())
            else:
                loss = F.cross_entropy(logits.float(), labels.flatten())
        result = SequenceClassifierOutput(loss, logits, output.hidden_states)
        return result.to_tuple() if return_dict is False else result
