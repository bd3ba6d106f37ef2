"""The README of an exported model, with its figures where the Hub reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

TASKS = {
    "LittleBirdModel": ("feature-extraction", "Feature extraction"),
    "LittleBirdForMaskedLM": ("fill-mask", "Masked language modelling"),
    "LittleBirdForQuestionAnswering": ("question-answering", "Question answering"),
    "LittleBirdForSequenceClassification": ("text-classification", "Text classification"),
}
USE = {
    "LittleBirdModel": """model = AutoModel.from_pretrained("{name}", trust_remote_code=True)
inputs = tokenizer("A text of any length.", return_tensors="pt")
hidden = model(**inputs).last_hidden_state""",
    "LittleBirdForMaskedLM": """model = AutoModelForMaskedLM.from_pretrained("{name}", trust_remote_code=True)
inputs = tokenizer(f"A text of any {{tokenizer.mask_token}}.", return_tensors="pt")
logits = model(**inputs).logits""",
    "LittleBirdForQuestionAnswering": """model = AutoModelForQuestionAnswering.from_pretrained(
    "{name}", trust_remote_code=True
)
found = model.answer("Who painted the bridge?", document)""",
    "LittleBirdForSequenceClassification": """model = AutoModelForSequenceClassification.from_pretrained(
    "{name}", trust_remote_code=True
)
inputs = tokenizer(" ".join("A text of any length.".split()), return_tensors="pt")
logits = model(**inputs).logits
labels = model.config.id2label""",
}


def model_card(
    name: str,
    kind: str,
    trained_on: str,
    left_out: Sequence[str],
    scores: Mapping[str, float],
    dataset: str,
) -> str:
    """Markdown with a YAML head, whose ``model-index`` holds the scores.

    Args:
        name: the model's.
        kind: its class.
        trained_on: the format of the data that it was fine-tuned on, or nothing.
        left_out: heads of the checkpoint that are not here.
        scores: measured on ``dataset``.
        dataset: their format, a name of ``littlebird-evaluate``.
    """
    from huggingface_hub import EvalResult, ModelCardData

    tag, task = TASKS[kind]
    results = [
        EvalResult(tag, f"{dataset}-format", in_format(dataset), metric, value, task_name=task, metric_name=metric)
        for metric, value in scores.items()
    ]
    head = ModelCardData(
        library_name="transformers",
        pipeline_tag=tag,
        tags=["littlebird", "long-context", "custom_code"],
        model_name=name,
        eval_results=results or None,
    ).to_yaml()
    if not results:
        head += f"\nmodel-index:\n- name: {json.dumps(name, ensure_ascii=False)}\n  results: []"
    auto = {"LittleBirdModel": "AutoModel"}.get(kind, f"AutoModel{kind.removeprefix('LittleBird')}")
    parts = [
        f"---\n{head}\n---\n\n# {name}",
        "LittleBird (Lee et al., 2022) reads long texts in time and memory linear in their length.",
        *([f"Fine-tuned on {in_format(trained_on)}."] if trained_on else []),
        *([f"Not in here, though the checkpoint had it: {', '.join(left_out)}."] if left_out else []),
        f"```python\nfrom transformers import {auto}, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)\n'
        f"{USE[kind].format(name=name)}\n```",
    ]
    if kind == "LittleBirdForQuestionAnswering":
        parts.append(
            "The tokenizer packs a pair as the model was trained: `<s> [QUESTION] question </s> context </s>`. Give "
            "the whole document as the context. `end_logits` are those given the best start alone, not enough to "
            "find the best span; `model.answer` and `model.spans` try several starts."
        )
    return "\n\n".join(parts) + "\n"


def in_format(dataset: str) -> str:
    """What to call data of which no more is known than ``--dataset``, which a user's own data has, too."""
    return f"data in the format of {dataset} (`--dataset {dataset}`)"
