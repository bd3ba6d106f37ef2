"""``torch.hub.load(REPOSITORY, "littlebird", FOLDER)``."""

from typing import Any

dependencies = ["fairseq", "numpy", "safetensors", "sentencepiece", "torch", "tqdm"]


def littlebird(path: str, **options: Any) -> Any:
    """A trained model; see :meth:`fairseq_littlebird.LittleBird.from_pretrained`."""
    from fairseq_littlebird import LittleBird

    return LittleBird.from_pretrained(path, **options)
