"""Special symbols have the same ids in windows, in texts and in the model; a byte-order mark is no part of a file."""

from __future__ import annotations

import codecs
import json
import shutil

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from omegaconf import OmegaConf

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.export.fast_tokenizer import fast_tokenizer
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringConfig, QuestionAnsweringTask
from fairseq_littlebird.tasks.recurring_span_selection import (
    RecurringSpanSelectionConfig,
    RecurringSpanSelectionTask,
)
from fairseq_littlebird.text.tokenizers import dictionary_text, load_tokenizer

OVERWRITTEN = "".join(f"{symbol} 0 #fairseq:overwrite\n" for symbol in ("<s>", "</s>", "<pad>", "<unk>"))
SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}


def questions(tiny, dictionary, out, *more):
    prepare(
        ["qa", "--dataset", "squad", "--valid", f"{tiny}/valid.json", "--tokenizer", f"{tiny}/tokenizer",
         "--dict", f"{dictionary}", "--max-tokens", "64", "--stride", "24", "--destdir", f"{out}", *more]
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def overwritten(tiny, tmp_path_factory):
    """A dictionary as in facebookresearch/fairseq#3064, and questions prepared with it."""
    folder = tmp_path_factory.mktemp("overwritten")
    (folder / "dict.txt").write_text(OVERWRITTEN + (tiny / "tokenizer" / "dict.txt").read_text("utf-8"), "utf-8")
    return questions(tiny, folder / "dict.txt", folder / "questions")


def test_fairseq_itself_has_two_ids_for_an_overwritten_symbol(overwritten):
    dictionary = Dictionary.load(str(overwritten / "dict.txt"))
    assert dictionary.index("<s>") == 4 and dictionary.bos() == 0
    ours = load_dictionary(overwritten)
    assert {symbol: ours.index(symbol) for symbol in SPECIAL} == SPECIAL
    assert (ours.bos(), ours.pad(), ours.eos(), ours.unk()) == tuple(SPECIAL.values())
    assert vocabulary(ours, overwritten).special[:8].all()


def test_windows_texts_and_model_agree_on_overwritten_symbols(overwritten, tiny, tmp_path):
    task = QuestionAnsweringTask.setup_task(
        OmegaConf.structured(QuestionAnsweringConfig(data=str(overwritten), seed=1))
    )
    task.load_dataset("valid")
    window = PreparedQuestions(overwritten, "valid").window(0)
    assert window.tokens[0] == task.dictionary.bos() == 0
    assert window.tokens[-1] == window.tokens[window.context_start - 1] == task.dictionary.eos() == 2
    plain = PreparedQuestions(questions(tiny, tiny / "tokenizer" / "dict.txt", tmp_path / "plain"), "valid").window(0)
    moved = np.where(plain.tokens < 4, plain.tokens, plain.tokens + 4)
    assert np.array_equal(window.tokens, moved)
    # as text for pretraining has them, which fairseq's own data sets begin and end
    shutil.copytree(tiny / "text", tmp_path / "text")
    shutil.copyfile(overwritten / "dict.txt", tmp_path / "text" / "dict.txt")
    cfg = RecurringSpanSelectionConfig(data=str(tmp_path / "text"), tokens_per_sample=128, seed=1)
    texts = RecurringSpanSelectionTask.setup_task(OmegaConf.structured(cfg))
    assert texts._load_dataset_split("valid", 1, False)[0][0] == window.tokens[0]


def test_exported_rows_of_overwritten_symbols(overwritten):
    tokenizer, symbols = load_tokenizer(overwritten), load_dictionary(overwritten).symbols
    fast = fast_tokenizer(tokenizer, symbols)
    assert {name: fast.dictionary_ids[fast.ids[name]] for name in SPECIAL} == SPECIAL


def test_windows_of_other_special_symbols_are_refused(overwritten, tmp_path):
    """As an earlier version made them, in a folder and in the checkpoint of a training on it."""
    shutil.copytree(overwritten, tmp_path / "questions")
    path = tmp_path / "questions" / "prepared.json"
    settings = json.loads(path.read_text())
    settings["symbols"] |= {"<s>": 4, "</s>": 5}
    path.write_text(json.dumps(settings))
    cfg = OmegaConf.structured(QuestionAnsweringConfig(data=str(tmp_path / "questions"), seed=1))
    task = QuestionAnsweringTask.setup_task(cfg)
    with pytest.raises(UserError, match=f"{path}: .* id 4 for <s>, dict.txt has 0"):
        task.load_dataset("valid")
    state = QuestionAnsweringTask.setup_task(cfg).state_dict()
    with pytest.raises(UserError, match="^the checkpoint: its windows have id 4 for <s>"):
        task.load_state_dict(state)
    task.dictionary.add_symbol("another")
    with pytest.raises(UserError, match="^the checkpoint's dictionary "):
        task.load_state_dict(state)


def test_a_mask_symbol_keeps_its_id_from_pretraining_on(tiny, tmp_path):
    """A dictionary that has neither <mask> nor [QUESTION]: the tasks on text append both, and so does preparation."""
    lines = [line for line in (tiny / "tokenizer" / "dict.txt").read_text("utf-8").splitlines() if "[Q" not in line]
    (tmp_path / "dict.txt").write_text("\n".join(lines) + "\n", "utf-8")
    folder = questions(tiny, tmp_path / "dict.txt", tmp_path / "questions")
    assert load_dictionary(folder).symbols == load_dictionary(tmp_path).symbols
    assert PreparedQuestions(folder, "valid").window(0).tokens[1] == load_dictionary(tmp_path).index("[QUESTION]")


def marked(path, folder):
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    return folder / path.name


def test_a_byte_order_mark_changes_no_prepared_folder(tiny, tmp_path):
    dictionary = tiny / "tokenizer" / "dict.txt"
    found = {}
    for name, path in (("plain", dictionary), ("marked", marked(dictionary, tmp_path / "m"))):
        folder = questions(tiny, path, tmp_path / f"questions {name}")
        lines = (json.dumps({"text": text, "label": text[0]}) + "\n" for text in ("a stone", "by the river"))
        (tmp_path / "texts.jsonl").write_text("".join(lines))
        labels = tmp_path / f"labels {name}"
        labels.write_bytes((codecs.BOM_UTF8 if name == "marked" else b"") + b"a\nb\n")
        prepare(
            ["classification", "--train", f"{tmp_path}/texts.jsonl", "--tokenizer", f"{tiny}/tokenizer",
             "--dict", f"{path}", "--labels", f"{labels}", "--destdir", f"{tmp_path}/classes {name}"]
        )  # fmt: skip
        files = [*folder.iterdir(), *(tmp_path / f"classes {name}").rglob("*")]
        found[name] = {file.name: file.read_bytes() for file in files if file.is_file()}
    assert found["plain"] == found["marked"]
    assert not any(content.startswith(codecs.BOM_UTF8) for content in found["marked"].values())


def test_text_that_was_binarized_with_a_mark_is_refused(tiny, tmp_path):
    """fairseq-preprocess has read the first symbol with the mark, so that it is unknown wherever the text has it."""
    shutil.copytree(tiny / "text", tmp_path / "text")
    path = marked(tiny / "text" / "dict.txt", tmp_path / "text")
    cfg = RecurringSpanSelectionConfig(data=str(tmp_path / "text"), seed=1)
    task = RecurringSpanSelectionTask.setup_task(OmegaConf.structured(cfg))
    with pytest.raises(UserError, match=f"{path}: begins with a byte-order mark"):
        task.load_dataset("valid")


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "stone", "##s", "river"]


def tokenizer_files(folder):
    """Kind -> its files."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = {piece: n for n, piece in enumerate([*alphabet, "th", "the", "<|endoftext|>"])}
    for name in ("encoder.json", "vocab.json"):
        (folder / name).write_text(json.dumps(pieces))
    for name in ("vocab.bpe", "merges.txt"):
        (folder / name).write_text("#version: 0.2\nt h\nth e\n")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    model = models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    library = Tokenizer(model)
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.save(str(folder / "tokenizer.json"))
    (folder / "dict.txt").write_text("".join(f"{n} 1\n" for n in range(9)))
    return {
        "gpt2": ["encoder.json", "vocab.bpe", "dict.txt"],
        "bpe": ["vocab.json", "merges.txt"],
        "wordpiece": ["vocab.txt", "tokenizer_config.json"],
        "json": ["tokenizer.json"],
    }


@pytest.mark.parametrize("kind", ["gpt2", "bpe", "wordpiece", "json"])
def test_a_byte_order_mark_changes_no_tokenizer(kind, tmp_path):
    found = []
    (tmp_path / "made").mkdir()
    for mark in (b"", codecs.BOM_UTF8):
        folder = tmp_path / f"folder{len(mark)}"
        folder.mkdir()
        for name in tokenizer_files(tmp_path / "made")[kind]:
            (folder / name).write_bytes(mark + (tmp_path / "made" / name).read_bytes())
        tokenizer = load_tokenizer(folder)
        found.append((tokenizer.symbols(), tokenizer.numbers(), tokenizer.encode("the Stones [PAD] river")))
        if kind == "gpt2":
            found[-1] += (dictionary_text(tokenizer, folder / "dict.txt"),)
    assert found[0] == found[1] and len(found[0][2][0]) > 2


def test_a_numbered_dictionary_with_marks(tmp_path):
    (tmp_path / "dict.txt").write_bytes(codecs.BOM_UTF8 + "".join(f"{n} 1\n" for n in range(9)).encode())
    (tmp_path / "encoder.json").write_bytes(codecs.BOM_UTF8 + json.dumps({f"Ġw{n}": n for n in range(9)}).encode())
    dictionary = load_dictionary(tmp_path)
    assert dictionary.symbols[4] == "0" and vocabulary(dictionary, tmp_path).surfaces[4] == "w0"
    assert torch.equal(dictionary.encode_line("0", append_eos=False), torch.tensor([4], dtype=torch.int32))
