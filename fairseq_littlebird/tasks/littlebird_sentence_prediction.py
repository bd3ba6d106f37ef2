"""Classification of whole documents, with padding insertion."""

# no postponed annotations: fairseq reads the types of the fields
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from fairseq.data import Dictionary
from fairseq.tasks import FairseqTask, register_task
from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask

from fairseq_littlebird.data.binarized_text import check_text
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertionDataset
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.tasks.padding_insertion import PaddingInsertionConfig, padding_insertion


@dataclass
class LittleBirdSentencePredictionConfig(PaddingInsertionConfig, SentencePredictionConfig):
    init_token: Optional[int] = field(  # noqa: UP045
        default=0, metadata={"help": "id of the token before each item, which the head reads; 0: <s>"}
    )
    separator_token: Optional[int] = field(  # noqa: UP045
        default=2, metadata={"help": "id of the token before the second of two inputs; 2: </s>"}
    )
    max_positions: int = field(default=2**20, metadata={"help": "tokens of an item at most, with --init-token"})


@register_task("littlebird_sentence_prediction", dataclass=LittleBirdSentencePredictionConfig)
class LittleBirdSentencePredictionTask(SentencePredictionTask):
    """fairseq's sentence_prediction, whose training batches carry position ids with gaps."""

    cfg: LittleBirdSentencePredictionConfig

    @classmethod
    def setup_task(cls, cfg: LittleBirdSentencePredictionConfig, **kwargs: Any) -> "LittleBirdSentencePredictionTask":
        if cfg.num_classes < 1:
            raise UserError("the number of classes is not set", remedy="give it with --num-classes")
        return super().setup_task(cfg, **kwargs)

    @classmethod
    def load_dictionary(cls, filename: str) -> Dictionary:
        return load_dictionary(Path(filename).parent)

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> Any:
        for part in ("input0",) if self.cfg.regression_target else ("input0", "label"):
            check_text(str(Path(self.cfg.data) / part), split)
        folder = Path(self.cfg.data) / "input0"
        self.padding_insertion = padding_insertion(self.cfg, self.dictionary, folder, split, self.cfg.seed)
        dataset = super().load_dataset(split, combine, **kwargs)
        if self.padding_insertion is not None:
            items = dataset if self.cfg.no_shuffle else dataset.dataset
            tokens = items.defn["net_input.src_tokens"]
            items.defn["net_input.positions"] = PaddingInsertionDataset(tokens, self.padding_insertion)
        return dataset

    def get_batch_iterator(self, *arguments: Any, **options: Any) -> Any:
        # fairseq loses the last items where the multiple is larger than --batch-size
        return super().get_batch_iterator(*arguments, **options | {"required_batch_size_multiple": 1})

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        # past fairseq's own hook, which would make learned positions as long as the task's longest item
        model = FairseqTask.build_model(self, cfg, from_checkpoint)
        model.register_classification_head(self.cfg.classification_head_name, num_classes=self.cfg.num_classes)
        return model
