"""A folder that transformers loads: weights, code, tokenizer and model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fairseq_littlebird.export.folder import check_export
from fairseq_littlebird.export.model_card import model_card
from fairseq_littlebird.export.sources import flat, source_names, write_sources
from fairseq_littlebird.export.trained_model import TrainedModel
from fairseq_littlebird.output import whole_folder

MODELING, CONFIGURATION = "export.modeling_littlebird", "export.configuration_littlebird"
CLASSIFYING = "export.modeling_littlebird_classification"
CLASSIFIER = "LittleBirdForSequenceClassification"
AUTO = {
    "LittleBirdModel": "AutoModel",
    "LittleBirdForMaskedLM": "AutoModelForMaskedLM",
    "LittleBirdForQuestionAnswering": "AutoModelForQuestionAnswering",
    CLASSIFIER: "AutoModelForSequenceClassification",
}
NAMES = (
    *source_names(CLASSIFYING),
    *("config.json", "tokenizer.json", "tokenizer_config.json", "README.md", "__pycache__"),
    *("model.safetensors", "model.safetensors.index.json", "model-?????-of-?????.safetensors"),
)
"""Every name in the folder; transformers writes large weights in parts."""


def write_hugging_face(
    trained: TrainedModel,
    folder: str | Path,
    scores: Mapping[str, float],
    dataset: str = "",
    overwrite: bool = False,
) -> None:
    """Writes the folder.

    Args:
        trained: the model.
        folder: where to; may exist if it is empty.
        scores: for the model card.
        dataset: what they were measured on.
        overwrite: replace what an earlier call wrote.
    Raises:
        UserError: the folder holds something, or with ``overwrite`` something else than an export.
    """
    folder, model = Path(folder), trained.model
    kind = type(model).__name__
    modeling = CLASSIFYING if kind == CLASSIFIER else MODELING
    model.config.auto_map = {"AutoConfig": f"{flat(CONFIGURATION)}.LittleBirdConfig"} | {
        auto: f"{flat(modeling if name == kind else MODELING)}.{name}"
        for name, auto in AUTO.items()
        if name in ("LittleBirdModel", kind)
    }
    check_export(folder, NAMES, overwrite)
    with whole_folder(folder, NAMES, overwrite) as new:
        model.save_pretrained(new)
        trained.tokenizer.save(new, model.config.token_types, kind != "LittleBirdForQuestionAnswering")
        write_sources(modeling, new)
        card = model_card(folder.resolve().name, kind, trained.dataset, trained.left_out, scores, dataset)
        (new / "README.md").write_text(card, "utf-8")
