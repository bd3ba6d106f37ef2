"""What every encoder–decoder of the plugin shares: one vocabulary, one table of embeddings, and fairseq's hooks.

Legend: B batch, L source tokens, T target tokens, V vocabulary.
"""

# no postponed annotations: fairseq reads the types of the fields
from collections.abc import Sequence
from typing import Any

from fairseq.data import Dictionary
from fairseq.models import FairseqEncoderDecoderModel
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.encoder_model import no_gaps
from fairseq_littlebird.models.seq2seq_config import Seq2SeqModelConfig, transformer_config
from fairseq_littlebird.models.seq2seq_decoder import DecoderPositions, Seq2SeqDecoder
from fairseq_littlebird.models.seq2seq_encoder import Seq2SeqEncoder
from fairseq_littlebird.models.worker_check import check_workers

ENCODER_TASKS = (
    *("masked_lm", "littlebird_masked_lm", "recurring_span_selection", "question_answering"),
    *("sentence_prediction", "littlebird_sentence_prediction"),
)
"""Tasks without a target text."""


class Seq2SeqModel(FairseqEncoderDecoderModel):
    """Built from any task with ``source_dictionary`` and ``target_dictionary``, which are the same."""

    title: str  # for messages
    config_class: type[Seq2SeqModelConfig]
    supports_padding_insertion = False
    takes_counts = True  # see data.batch.with_counts

    def __init__(self, cfg: Any, encoder: Seq2SeqEncoder, decoder: Seq2SeqDecoder) -> None:
        super().__init__(encoder, decoder)
        self.cfg = cfg

    @classmethod
    def build_encoder(cls, cfg: Any, dictionary: Dictionary) -> Seq2SeqEncoder:
        """The encoder that ``cfg`` asks for. Raises ValueError where sizes do not fit together."""
        raise NotImplementedError

    @classmethod
    def build_decoder(cls, cfg: Any, dictionary: Dictionary, encoder: Any) -> Seq2SeqDecoder:
        """The decoder that ``cfg`` asks for, over the encoder's embeddings. Raises as :meth:`build_encoder`."""
        return Seq2SeqDecoder(
            transformer_config(cfg, layernorm_embedding=True),
            dictionary,
            encoder.embeddings.tokens,
            DecoderPositions(cfg.decoder_max_positions, cfg.encoder_embed_dim),
            layer_norm_eps=cfg.layer_norm_eps,
            checkpoint_activations=cfg.checkpoint_activations,
        )

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "Seq2SeqModel":
        """fairseq's hook: sizes from ``cfg``, tokens from the task's dictionary.

        Raises:
            UserError: two dictionaries, sizes that do not fit together, padding insertion where it has no meaning, a
                task without targets, or one of several workers that know nothing of each other.
        """
        check_workers()
        if not cls.supports_padding_insertion and getattr(getattr(task, "cfg", None), "padding_insertion", False):
            raise no_gaps(cls.title)
        name = str(getattr(getattr(task, "cfg", None), "_name", ""))
        if name in ENCODER_TASKS:
            raise UserError(
                f"--task {name} does not apply to an encoder–decoder",
                cls.title,
                "train an encoder with it, then littlebird-warm-start; here --task summarization or translation",
            )
        dictionary = task.source_dictionary
        if task.target_dictionary is None or task.target_dictionary != dictionary:
            raise UserError(
                "source and target have dictionaries of their own, but the model has one table of embeddings",
                cls.title,
                "prepare the data with one: fairseq-preprocess --joined-dictionary",
            )
        config = cls.config_class(**{k: v for k, v in dict(cfg).items() if k != "_name"})
        try:
            encoder = cls.build_encoder(config, dictionary)
            return cls(config, encoder, cls.build_decoder(config, dictionary, encoder))
        except ValueError as error:
            raise UserError(str(error), "model options", "choose sizes that fit together") from error

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor | None = None,
        prev_output_tokens: Tensor | None = None,
        positions: Tensor | None = None,
        global_tokens: Tensor | None = None,
        features_only: bool = False,
        alignment_layer: int | None = None,
        return_all_hiddens: bool = False,
        unpadded: Tensor | None = None,
        lengths: Sequence[int] | None = None,
        **unused: Any,
    ) -> tuple[Tensor, dict[str, Any]]:
        """
        Args:
            src_tokens, src_lengths, positions, global_tokens, return_all_hiddens, unpadded, lengths: see
                :meth:`Seq2SeqEncoder.forward`.
            prev_output_tokens: <int64>[B, T], the target moved to the right by one.
            features_only: return hidden states instead of logits.
            alignment_layer: put the probabilities of its cross-attention into ``extra["attn"]``.
        Returns:
            logits <float>[B, T, V], or hidden states; and ``extra``.
        """
        encoder_out = self.encoder(
            src_tokens, src_lengths, positions, global_tokens, return_all_hiddens, unpadded, lengths
        )
        decoded: tuple[Tensor, dict[str, Any]] = self.decoder(
            prev_output_tokens, encoder_out, features_only=features_only, alignment_layer=alignment_layer
        )
        return decoded

    def set_beam_size(self, beam: int) -> None:
        """fairseq's hook, of no use here: the number of beams is read off each batch."""
