"""BigBird-ETC as a fairseq model."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model
from torch import Tensor

from fairseq_littlebird.models.architectures import LARGE, TINY, EncoderModelConfig, architecture
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.modules.config import ETCConfig
from fairseq_littlebird.modules.etc_encoder import ETCEncoder
from fairseq_littlebird.modules.token_annotations import GlobalStructure, TokenAnnotations
from fairseq_littlebird.text.global_tokens import CANDIDATE, KINDS, NOTHING, SENTENCE

FOCUS = ("own", "all")


@dataclass
class BigBirdETCModelConfig(EncoderModelConfig):
    global_tokens: int = field(
        default=256,
        metadata={"help": "number of global tokens: one per sentence or paragraph if the data set has them"},
    )
    structured_input: bool = field(
        default=False,
        metadata={
            "help": "question answering: global tokens for each token of the question, paragraph, sentence and "
            "candidate, as the data set has them (--max-global-tokens), with labels of what belongs to them"
        },
    )
    global_attention: ChoiceEnum(FOCUS) = field(  # type: ignore[valid-type]
        default="own",
        metadata={
            "help": "with --structured-input, of the text's tokens global ones of paragraphs, sentences and candidates "
            "attend to: own, those that belong to them or mention them; all. Those of the document and the question "
            "attend to all"
        },
    )
    local_radius: int = field(
        default=84, metadata={"help": "tokens attend to those within this distance; block length b of table 8"}
    )
    max_distance: int = field(
        default=12, metadata={"help": "maximum relative distance; larger distances share one label"}
    )


@register_model("bigbird_etc", dataclass=BigBirdETCModelConfig)
class BigBirdETCModel(EncoderModel):
    """An ETC encoder under the heads; its positions are relative, by tokens, so gaps mean nothing to it.

    The sentences or paragraphs of a batch, where the task has them, have a global token each. With structured input
    global tokens are of kinds, and the heads read them (Zaheer et al., 2020, appendix E.2).
    """

    title = "BigBird-ETC"
    config_class = BigBirdETCModelConfig

    @classmethod
    def build_encoder(cls, cfg: BigBirdETCModelConfig, vocab_size: int, padding_idx: int) -> ETCEncoder:
        return ETCEncoder(
            ETCConfig(
                vocab_size,
                padding_idx,
                global_tokens=cfg.global_tokens,
                local_radius=cfg.local_radius,
                max_distance=cfg.max_distance,
                global_kinds=len(KINDS) if cfg.structured_input else 1,
                focused_kinds=len(KINDS[CANDIDATE:]) if str(cfg.global_attention) == "own" else 0,
                **cfg.sizes(),
            )
        )

    def forward(self, src_tokens: Tensor, *arguments: Any, alone: Tensor | None = None, **inputs: Any) -> Any:
        """As :meth:`EncoderModel.forward`.

        Args:
            src_tokens, arguments, inputs: see there.
            alone: <int64>[N, W], sentences by themselves, padded; adds ``extra["alone"]`` <float>[N, C], the output of
                a global token that sees its sentence and nothing else. In the same call, as wrappers for several
                workers expect one a step.
        """
        x, extra = super().forward(src_tokens, *arguments, **inputs)
        if alone is not None and len(alone):
            extra["alone"] = self.summaries(alone)
        return x, extra

    def summaries(self, sentences: Tensor) -> Tensor:
        """The output <float>[N, C] of the global token of each sentence <int64>[N, W], encoded by itself."""
        one = sentences.new_zeros(len(sentences), 1)
        nothing = torch.full_like(sentences, NOTHING)
        owners = torch.stack([torch.zeros_like(sentences), nothing], dim=2)
        structure = GlobalStructure(one + SENTENCE, one, owners, nothing)
        global_states: list[Tensor] = []
        annotations = TokenAnnotations(structure=structure)
        self.encoder(sentences, annotations=annotations, global_states=global_states)
        return global_states[0][:, 0]

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """fairseq's hook: a model without structured input may start one with it."""
        if self.takes_structured_input:
            for key, own in self.state_dict().items():
                if key in state_dict and key.endswith(("encoder.global_embedding", ".attention.relative")):
                    state_dict[key] = with_structure(state_dict[key], own)
        super().upgrade_state_dict_named(state_dict, name)


def with_structure(theirs: Tensor, ours: Tensor) -> Tensor:
    """A parameter of a model without structured input as one with it starts from it; others as they are.

    Every kind of global token starts as the one there is; a mention as belonging, and another group as a token not
    belonging.

    Args:
        theirs: the checkpoint's, embeddings <float>[1, C] or vectors of labels <float>[H, 2, 2k + 3, D].
        ours: <float>[kinds, C] or <float>[H, 2, 2k + 5, D].
    """
    if theirs.dim() == ours.dim() == 2 and len(theirs) == 1:
        return theirs.repeat(len(ours), 1)
    if theirs.dim() == ours.dim() == 4 and theirs.shape[2] + 2 == ours.shape[2]:
        return torch.cat([theirs, theirs[:, :, [-1, -2]]], dim=2)
    return theirs


architecture("bigbird_etc", "bigbird_etc_base")
architecture("bigbird_etc", "bigbird_etc_large", **LARGE, local_radius=169)
architecture("bigbird_etc", "bigbird_etc_tiny", **TINY, global_tokens=8, local_radius=16)
