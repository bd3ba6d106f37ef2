"""Small pretrained models of every format, with random weights, as folders that their own libraries wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch

TEXT = (
    "The stone bridge of Oslo was painted by Mara Lindt.",
    "Nobody knew that the night train crossed a river port in Turin!",
)
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
BLOCKS = {"block_size": 4, "num_random_blocks": 2, "max_position_embeddings": 160}
WINDOWS = {"attention_window": [12, 4, 12], "max_position_embeddings": 162, "type_vocab_size": 1}
MODERN = {"local_attention": 8, "global_attn_every_n_layers": 2, "max_position_embeddings": 160}
# class -> (configuration, vocabulary, more sizes)
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "BertModel": ("BertConfig", "wordpiece", {}),
    "BertForMaskedLM": ("BertConfig", "wordpiece", {}),
    "BertForPreTraining": ("BertConfig", "wordpiece", {}),
    "RobertaModel": ("RobertaConfig", "bpe", {}),
    "RobertaForMaskedLM": ("RobertaConfig", "bpe", {}),
    "XLMRobertaForMaskedLM": ("XLMRobertaConfig", "sentencepiece", {}),
    "ElectraForPreTraining": ("ElectraConfig", "wordpiece", {"embedding_size": 8}),
    "ElectraForMaskedLM": ("ElectraConfig", "wordpiece", {"embedding_size": 8}),
    "ElectraModel": ("ElectraConfig", "wordpiece", {"embedding_size": 16}),
    "BertForQuestionAnswering": ("BertConfig", "wordpiece", {"hidden_act": "gelu_new"}),
    "RobertaForQuestionAnswering": ("RobertaConfig", "bpe", {"max_position_embeddings": 162}),
    "BigBirdModel": ("BigBirdConfig", "spiece", BLOCKS),
    "BigBirdForMaskedLM": ("BigBirdConfig", "spiece", BLOCKS),
    "BigBirdForPreTraining": ("BigBirdConfig", "spiece", BLOCKS),
    "BigBirdForQuestionAnswering": ("BigBirdConfig", "spiece", BLOCKS | {"intermediate_size": 64}),
    "LongformerModel": ("LongformerConfig", "bpe", WINDOWS),
    "LongformerForMaskedLM": ("LongformerConfig", "bpe", WINDOWS),
    "LongformerForQuestionAnswering": ("LongformerConfig", "bpe", WINDOWS),
    "ModernBertModel": ("ModernBertConfig", "modern", MODERN),
    "ModernBertForMaskedLM": ("ModernBertConfig", "gemma", MODERN),
}


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    """What the vocabularies were made for."""
    return TEXT


@pytest.fixture(scope="session")
def their_numbers() -> Callable[[Path], dict[str, int]]:
    """``their_numbers(folder)``: symbol of fairseq's dictionary -> the source's number, from its own files."""
    names = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[UNK]": "<unk>", "[MASK]": "<mask>"}

    def numbers(folder: Path) -> dict[str, int]:
        if (folder / "vocab.txt").exists():
            lines = (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1]
            return {names.get(piece, piece): n for n, piece in enumerate(lines)}
        if (folder / "tokenizer.json").exists():
            from tokenizers import Tokenizer

            own = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
            gemma = {"<bos>": "<s>", "<eos>": "</s>"} if "<bos>" in own else {}
            signs = {piece.replace(" ", "␠").replace("\n", "␊"): number for piece, number in own.items()}
            return own | signs | {name: own[theirs] for theirs, name in (names | gemma).items() if theirs in own}
        if (folder / "vocab.json").exists():
            return json.loads((folder / "vocab.json").read_text("utf-8"))
        if (folder / "spiece.model").exists():
            model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
            own = {model.id_to_piece(n): n for n in range(model.get_piece_size())}
            return own | {name: own[theirs] for theirs, name in names.items() if theirs in own}
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
        count = model.get_piece_size()
        pieces = {model.id_to_piece(n): n + 1 for n in range(3, count)}
        return pieces | {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": count + 1}

    return numbers


def randomise(model: torch.nn.Module) -> None:
    """No parameter at its initial value, so that none can be forgotten unnoticed."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            norm = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if norm else 0.3 * noise)


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """For each kind a folder with a tokenizer's files, and how many words it has."""
    from tokenizers.pre_tokenizers import ByteLevel

    root = tmp_path_factory.mktemp("vocabularies")
    words = sorted({word.strip(".!") for line in TEXT for word in line.lower().split()})
    pieces = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!", *words[:-3], "##s", "##ed"]
    wordpiece = root / "wordpiece"
    wordpiece.mkdir()
    (wordpiece / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    (wordpiece / "tokenizer_config.json").write_text('{"do_lower_case": true}')

    bpe, merges = root / "bpe", ["Ġ t", "h e", "Ġt he", "i n", "o n"]
    bpe.mkdir()
    units = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), *(m.replace(" ", "") for m in merges)]
    units += ["<|endoftext|>", "<mask>"]
    (bpe / "vocab.json").write_text(json.dumps({unit: n for n, unit in enumerate(units)}), "utf-8")
    (bpe / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")

    unigram = root / "sentencepiece"
    unigram.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 5),
        model_prefix=str(unigram / "sentencepiece.bpe"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (unigram / "sentencepiece.bpe.vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(unigram / "sentencepiece.bpe.model"))

    # BigBird's: what stands around a text is [CLS] and [SEP], though <s> and </s> are there too
    spiece = root / "spiece"
    spiece.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 5),
        model_prefix=str(spiece / "spiece"),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=10,
        control_symbols=["[SEP]"],
        user_defined_symbols=["[CLS]", "[MASK]"],
    )
    (spiece / "spiece.vocab").unlink()
    big_bird = sentencepiece.SentencePieceProcessor(model_file=str(spiece / "spiece.model"))
    made = {}
    for kind, write in (("modern", modern_tokenizer), ("gemma", gemma_tokenizer)):
        (root / kind).mkdir()
        made[kind] = root / kind, write(root / kind)
    return made | {
        "wordpiece": (wordpiece, len(pieces)),
        "bpe": (bpe, len(units)),
        "sentencepiece": (unigram, model.get_piece_size() + 2),
        "spiece": (spiece, big_bird.get_piece_size()),
    }


def modern_tokenizer(folder: Path) -> int:
    """ModernBERT's kind: bytes, BERT's names behind them, a run of spaces and unused tokens; how many there are."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("o", "n")]
    pieces = ["<|padding|>", "<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges)]
    tokenizer = Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken("   ", normalized=True)])
    tokenizer.add_special_tokens(["<|padding|>", "<|endoftext|>", "[UNK]", "[CLS]", "[SEP]", "[PAD]"])
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True)])
    tokenizer.add_tokens(["[unused0]", "[unused1]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}
    settings = {f"{role}_token": name for role, name in names.items()} | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab_size()


def gemma_tokenizer(folder: Path) -> int:
    """mmBERT's kind, Gemma's: names of its own, ``<s>`` is a tag of HTML, bytes for rare characters."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("i", "n"), ("o", "n")]
    letters = sorted({*"".join(TEXT).replace(" ", "▁"), "é", "\n"})
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pieces = [*special, "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)), *letters, *map("".join, merges)]
    numbers = {piece: n for n, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(numbers, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(["<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos": "<bos>", "cls": "<bos>", "eos": "<eos>", "sep": "<eos>", "pad": "<pad>", "unk": "<unk>"}
    settings = {f"{role}_token": {"content": name, "special": True} for role, name in names.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"mask_token": "<mask>"}))
    return tokenizer.get_vocab_size()


@pytest.fixture(scope="session")
def hugging_face(
    transformers: Any, vocabularies: dict[str, tuple[Path, int]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Any, Path]]:
    """``hugging_face("BertModel")``: the model, and its folder with its tokenizer."""
    made: dict[str, tuple[Any, Path]] = {}

    def make(name: str) -> tuple[Any, Path]:
        if name not in made:
            configuration, kind, more = MODELS[name]
            files, count = vocabularies[kind]
            offset = 0 if kind in ("wordpiece", "spiece") else 2
            sizes = {"max_position_embeddings": 80 + offset, **SIZES, **more}
            if kind == "spiece":
                pieces = sentencepiece.SentencePieceProcessor(model_file=str(files / "spiece.model"))
                sizes["sep_token_id"] = pieces.piece_to_id("[SEP]")
            sizes |= {"pad_token_id": 1 if offset else 0}
            if kind in ("modern", "gemma"):
                from tokenizers import Tokenizer

                number = Tokenizer.from_file(str(files / "tokenizer.json")).token_to_id
                first, last, pad = ("[CLS]", "[SEP]", "[PAD]") if kind == "modern" else ("<bos>", "<eos>", "<pad>")
                sizes |= dict.fromkeys(("bos_token_id", "cls_token_id"), number(first))
                sizes |= dict.fromkeys(("eos_token_id", "sep_token_id"), number(last)) | {"pad_token_id": number(pad)}
            config = getattr(transformers, configuration)(vocab_size=count, **sizes)
            config._attn_implementation = "eager"  # the one that gives its probabilities
            model = getattr(transformers, name)(config).eval()
            randomise(model)
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            for file in files.iterdir():
                (folder / file.name).write_bytes(file.read_bytes())
            made[name] = model, folder
        return made[name]

    return make
