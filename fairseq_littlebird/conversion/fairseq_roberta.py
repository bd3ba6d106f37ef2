"""RoBERTa and XLM-R of fairseq, of every age."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from fairseq_littlebird.conversion.adapter import Adapter
from fairseq_littlebird.conversion.key_map import KeyMap, State, linear
from fairseq_littlebird.conversion.parameters import POSITIONS, TOKENS
from fairseq_littlebird.errors import UserError

ENCODER: KeyMap = {
    "encoder.sentence_encoder.embed_tokens.weight": TOKENS,
    "encoder.sentence_encoder.embed_positions.weight": POSITIONS,
    "encoder.sentence_encoder.embed_positions._float_tensor": None,
    "encoder.sentence_encoder.version": None,
    **linear("encoder.sentence_encoder.layernorm_embedding", "encoder.embeddings.norm"),
    **linear("encoder.sentence_encoder.layers.{n}.self_attn.q_proj", "encoder.layers.{n}.attention.q"),
    **linear("encoder.sentence_encoder.layers.{n}.self_attn.k_proj", "encoder.layers.{n}.attention.k"),
    **linear("encoder.sentence_encoder.layers.{n}.self_attn.v_proj", "encoder.layers.{n}.attention.v"),
    **linear("encoder.sentence_encoder.layers.{n}.self_attn.out_proj", "encoder.layers.{n}.attention.out"),
    **linear("encoder.sentence_encoder.layers.{n}.self_attn_layer_norm", "encoder.layers.{n}.attention_norm"),
    **linear("encoder.sentence_encoder.layers.{n}.fc1", "encoder.layers.{n}.ffn.fc1"),
    **linear("encoder.sentence_encoder.layers.{n}.fc2", "encoder.layers.{n}.ffn.fc2"),
    **linear("encoder.sentence_encoder.layers.{n}.final_layer_norm", "encoder.layers.{n}.ffn_norm"),
}
LM_HEAD_MAP: KeyMap = {
    **linear("encoder.lm_head.dense", "lm_head.dense"),
    **linear("encoder.lm_head.layer_norm", "lm_head.norm"),
    "encoder.lm_head.bias": "lm_head.bias",
    "encoder.lm_head.weight": TOKENS,
}


class FairseqRobertaAdapter(Adapter):
    """Its checkpoints of 2019 have other names, and q, k and v in one matrix."""

    def table_key(self, key: str) -> str:
        key = re.sub(r"^((encoder|decoder)\.)?(?=(sentence_encoder|lm_head)\.)", "encoder.", key)
        return key.replace(".emb_layer_norm.", ".layernorm_embedding.")

    def to_ours(self, state: Mapping[str, Tensor], where: str) -> tuple[State, list[str]]:
        return super().to_ours(split_in_proj(state, where), where)


def split_in_proj(state: Mapping[str, Tensor], where: str) -> State:
    """q, k and v apart.

    Raises:
        UserError: a matrix that is not three.
    """
    split: State = {}
    for key, value in state.items():
        if match := re.fullmatch(r"(.*\.self_attn\.)in_proj_(weight|bias)", key):
            parts = value.chunk(3) if value.dim() else ()
            if len(parts) != 3:
                raise UserError(f"{key} does not hold three projections", where, "save the model again")
            for name, part in zip("qkv", parts, strict=True):
                split[f"{match[1]}{name}_proj.{match[2]}"] = part.clone()
        else:
            split[key] = value
    return split


FAIRSEQ_ROBERTA = FairseqRobertaAdapter("fairseq RoBERTa", encoder=ENCODER, lm_head=LM_HEAD_MAP)
