"""What every language model of the plugin shares: its options, and fairseq's hooks.

Legend: B batch, L tokens, V vocabulary.
"""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import FairseqLanguageModel
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.architectures import plain
from fairseq_littlebird.models.language_model_decoder import LanguageModelDecoder
from fairseq_littlebird.models.seq2seq_model import ENCODER_TASKS
from fairseq_littlebird.models.start import Start
from fairseq_littlebird.models.worker_check import check_workers
from fairseq_littlebird.modules.causal_decoder import CausalDecoder
from fairseq_littlebird.modules.config import ACTIVATIONS
from fairseq_littlebird.modules.size_names import FAIRSEQ

OTHER_TASKS = (*ENCODER_TASKS, "summarization", "translation")
"""Tasks whose model has an encoder."""
TABLE = "decoder.transformer.embeddings.tokens.weight"


@dataclass
class LanguageModelConfig(FairseqDataclass):
    """The names are those of fairseq's own language models."""

    decoder_layers: int = field(default=12, metadata={"help": "number of layers"})
    decoder_embed_dim: int = field(default=512, metadata={"help": "hidden size"})
    decoder_ffn_embed_dim: int = field(default=2048, metadata={"help": "size of the feed-forward layer"})
    decoder_attention_heads: int = field(default=8, metadata={"help": "number of attention heads"})
    layer_norm_eps: float = field(default=1e-5, metadata={"help": "epsilon of layer normalisation"})
    activation: ChoiceEnum(ACTIVATIONS) = field(  # type: ignore[valid-type]
        default="gelu", metadata={"help": "activation of the feed-forward layers"}
    )
    dropout: float = field(default=0.2, metadata={"help": "dropout of each sub-layer's output"})
    attention_dropout: float = field(default=0.0, metadata={"help": "dropout of attention probabilities"})
    activation_dropout: float = field(default=0.0, metadata={"help": "dropout inside the feed-forward layer"})
    decoder_layerdrop: float = field(default=0.0, metadata={"help": "probability of skipping a layer"})
    checkpoint_activations: bool = field(
        default=False, metadata={"help": "recompute each layer in the backward pass: less memory, more time"}
    )
    max_positions: int = field(default=2048, metadata={"help": "number of learned positions, if any"})

    def sizes(self) -> dict[str, Any]:
        """The arguments of ``EncoderConfig`` that stand here."""
        options = {name: option.replace("encoder_", "decoder_") for name, option in FAIRSEQ.items()}
        return {name: plain(getattr(self, option)) for name, option in options.items() if hasattr(self, option)}


class LanguageModel(FairseqLanguageModel):
    """A decoder-only model, built from any task with one dictionary for what it reads and what it predicts."""

    takes_counts = True  # see data.batch.with_counts

    title: str  # for messages
    config_class: type[LanguageModelConfig]
    start: Start | None = None

    def __init__(self, cfg: Any, decoder: LanguageModelDecoder) -> None:
        super().__init__(decoder)
        self.cfg = cfg

    @classmethod
    def build_transformer(cls, cfg: Any, vocab_size: int, padding_idx: int) -> CausalDecoder[Any]:
        """The decoder that ``cfg`` asks for. Raises ValueError where sizes do not fit together."""
        raise NotImplementedError

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "LanguageModel":
        """fairseq's hook: sizes from ``cfg``, tokens from the task's dictionary.

        Raises:
            UserError: a task for models with an encoder, an output dictionary of its own, sizes that do not fit
                together, or one of several workers that know nothing of each other.
        """
        check_workers()
        name = str(getattr(getattr(task, "cfg", getattr(task, "args", None)), "_name", ""))
        if name in OTHER_TASKS:
            raise UserError(
                f"--task {name} does not apply to a language model",
                cls.title,
                "train it with --task littlebird_language_modeling or language_modeling",
            )
        dictionary = task.source_dictionary
        if len(task.target_dictionary) != len(dictionary):
            raise UserError(
                f"an output dictionary of {len(task.target_dictionary)} tokens, but the output layer has the "
                f"embeddings of all {len(dictionary)} for its weights",
                cls.title,
                "leave out --output-dictionary-size",
            )
        config = cls.config_class(**{k: v for k, v in dict(cfg).items() if k != "_name"})
        try:
            transformer = cls.build_transformer(config, len(dictionary), dictionary.pad())
        except ValueError as error:
            raise UserError(str(error), "model options", "choose sizes that fit together") from error
        model = cls(config, LanguageModelDecoder(transformer, dictionary))
        model.start = Start.of(cfg, task)
        return model

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """fairseq's hook. Raises UserError where the checkpoint's dictionary is not that of the data."""
        super().upgrade_state_dict_named(state_dict, name)
        table, here = state_dict.get(TABLE), self.decoder.transformer.embeddings.tokens.weight
        if table is None:
            return
        if len(table) != len(here):
            raise UserError(
                f"the checkpoint has {len(table)} tokens, the dictionary {len(here)}",
                "checkpoint and dict.txt",
                "use the dict.txt the checkpoint was trained with",
            )
        if self.start is not None:
            self.start.check(TABLE, table)
