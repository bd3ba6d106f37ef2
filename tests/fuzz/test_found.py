"""What changed files brought to light: each case ended in a traceback, without end, or with a file taken as good."""

from __future__ import annotations

import json
import struct

import pytest
import torch

from fairseq_littlebird.benchmarks.quality import read as read_quality
from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.data.classification_metadata import read_metadata
from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.prepared import PreparedQuestions, read_settings
from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.html import html_pieces
from fairseq_littlebird.text.tokenizers import load_tokenizer
from fairseq_littlebird.text.training import train_sentencepiece

DEEP = "[" * 970 + "]" * 970
"""Python's recursion ends while it reads this, or where it writes it down for an error."""
BERT = '"model_type": "bert", "hidden_size": 4, "vocab_size": 7, "num_attention_heads": 2, "intermediate_size": 8'
BERT += ', "max_position_embeddings": 6'


def squad(folder):
    return list(read_questions("squad", folder / "x.json"))


def mrqa(folder):
    return list(read_questions("mrqa", folder / "x.jsonl"))


def words(folder):
    return vocabulary(load_dictionary(folder), folder)


def sentences(folder):
    return load_tokenizer(folder).encode("a b")


def quality(folder):
    return read_quality(folder / "x.yaml")


NUMBERS = "".join(f"{n} 1\n" for n in range(9))
UNKNOWN = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9}
TOKENIZER = {"version": "1.0", "added_tokens": [], "model": UNKNOWN | {"vocab": {"a": 0}}}
HALF = {"version": 3, "dataset": "squad", "symbols": {"<s>": 0}, "answer_types": []}
FOUND = [
    (squad, {"x.json": '{"data": [], }'}, "not valid JSON"),
    (squad, {"x.json": '{"data": [{"paragraphs": []}, ]}'}, "not valid JSON"),
    (squad, {"x.json": '{1: 2, "data": []}'}, "expected a name"),
    (mrqa, {"x.jsonl": '{"context": "c", "qas": [{"qid": true, "question": "?"}]}'}, "'qid' is bool"),
    (words, {"dict.txt": b"\xed\xa0\x80 1\n"}, "not UTF-8"),
    (words, {"dict.txt": NUMBERS, "encoder.json": "{"}, "not JSON"),
    (words, {"dict.txt": NUMBERS, "encoder.json": b"\xff"}, "not JSON"),
    (words, {"dict.txt": NUMBERS, "encoder.json": "[1]"}, "not {piece: number"),
    (words, {"dict.txt": NUMBERS, "encoder.json": '{"a": [' + DEEP + "]}"}, "encoder.json"),
    (sentences, {"vocab.txt": "[UNK]\na\n", "tokenizer_config.json": "[" * 5000}, "not JSON"),
    (sentences, {"tokenizer.json": json.dumps(TOKENIZER)}, "cannot read text"),
    (read_settings, {"prepared.json": "[" * 5000}, "damaged"),
    (read_settings, {"prepared.json": '{"version": 3}'}, "damaged"),
    (lambda folder: PreparedQuestions(folder, "valid"), {"prepared.json": json.dumps(HALF)}, "damaged"),
    (read_metadata, {"prepared.json": '{"version": 2, "dataset": "classification"}'}, "damaged"),
    (read_source, {"config.json": "[" * 5000}, "not JSON"),
    (read_source, {"config.json": '{"model_type": ' + DEEP + "}"}, "config.json"),
    (quality, {"x.yaml": "hello"}, "x.yaml"),
    (quality, {"x.yaml": "training: &a {b: *a}"}, "alias"),
    (quality, {"x.yaml": "{out: x, questions: x, gold: x, architectures: {}, text: " + "x" * 5000 + "}"}, "not there"),
]


@pytest.mark.parametrize(("read", "files", "message"), FOUND)
def test_refused(tmp_path, read, files, message):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        read(tmp_path)
    assert message in str(error.value) and str(tmp_path) in str(error.value)


def test_a_sentencepiece_model_whose_fault_is_not_utf8(tmp_path):
    """The library's own words for what is wrong with it cannot be read."""
    (tmp_path / "vocab.txt").write_text("Zoe sang to Ann, and Ann sang back.\n" * 9)
    train_sentencepiece([tmp_path / "vocab.txt"], 275, tmp_path / "sentencepiece.model")
    content = (tmp_path / "sentencepiece.model").read_bytes()
    at = content.index(b"<0x41>")
    (tmp_path / "sentencepiece.model").write_bytes(content[:at] + b"<0x\xbc1>" + content[at + 6 :])
    with pytest.raises(UserError, match="not a SentencePiece model"):
        sentences(tmp_path)


SCORES = [
    ("classification", '{"a": "x"}', '{"a": {"x": 1' + "0" * 400 + "}}", 0, "accuracy"),
    ("classification", '{"a": "x"}', '{"a": ' + DEEP + "}", 2, "predictions: "),
    ("hotpotqa", "[]", '{"answer": {}, "sp": {"a": ' + DEEP + "}}", 2, "no question"),
    ("squad", '{"version": ' + DEEP + ', "data": []}', "{}", 2, "gold, line 1: "),
    ("korquad1", '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "a", "question": "?", '
     '"answers": [{"text": "x"}]}]}]}]}',
     '{"b\\nc": "", "a": "x"}', 0,
     "first b c\n"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "gold", "predictions", "status", "message"), SCORES)
def test_scored_or_refused(tmp_path, capsys, dataset, gold, predictions, status, message):
    (tmp_path / "gold").write_text(gold)
    (tmp_path / "predictions").write_text(predictions)
    found = 0
    try:
        evaluate(["--dataset", dataset, "--gold", f"{tmp_path}/gold", "--predictions", f"{tmp_path}/predictions"])
    except SystemExit as error:
        found = error.code
    out, err = capsys.readouterr()
    assert found == status and message in out + err
    assert all(line.startswith("littlebird-evaluate: ") for line in err.splitlines())


CONFIGS = [
    ('"num_hidden_layers": 1000000000000', "1000000000000 layers, but 1 parameters"),
    ('"num_hidden_layers": 1, "layer_norm_eps": null', "layer_norm_eps is None"),
    ('"num_hidden_layers": 1, "layer_norm_eps": "a"', "layer_norm_eps is"),
    ('"num_hidden_layers": 1, "embedding_size": "a"', "embedding_size is"),
    ('"num_hidden_layers": 1, "hidden_act": ' + DEEP, "config.json"),
]


@pytest.mark.parametrize(("settings", "message"), CONFIGS)
def test_configurations(tmp_path, hostile, settings, message):
    (tmp_path / "config.json").write_text(f"{{{BERT}, {settings}}}")
    torch.save({"embeddings.word_embeddings.weight": torch.zeros(7, 4)}, tmp_path / "pytorch_model.bin")
    with hostile.bounded(), pytest.raises(UserError) as error:
        read_source(tmp_path)
    assert message in str(error.value)


@pytest.mark.parametrize("shard", ["null", "7", '"../x.bin"', '"/x.bin"', '["x.bin"]', '"' + "x" * 300 + '"'])
def test_names_of_shards(tmp_path, shard):
    (tmp_path / "config.json").write_text(f'{{{BERT}, "num_hidden_layers": 1}}')
    (tmp_path / "model.safetensors.index.json").write_text(f'{{"weight_map": {{"a": {shard}}}}}')
    with pytest.raises(UserError, match="not a file name|missing shards"):
        read_source(tmp_path)


CHECKPOINTS = [
    ({"args": 3, "model": {"a": torch.zeros(1)}}, "settings of another kind"),
    ({"cfg": {"model": {}}, "model": {"a": None}}, "no parameter"),
    ({"cfg": {"model": {}}, "model": {3: torch.zeros(1)}}, "no parameter"),
    ({"cfg": {"model": {}}, "model": torch.zeros(2)}, "no model"),
    ({"cfg": {"model": {"activation_fn": torch.zeros(2)}}, "model": {"a": torch.zeros(1)}}, "activation_fn is tensor"),
]


@pytest.mark.parametrize(("content", "message"), CHECKPOINTS)
def test_checkpoints(tmp_path, content, message):
    (tmp_path / "dict.txt").touch()
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(UserError) as error:
        read_source(tmp_path)
    assert message in str(error.value)


@pytest.mark.parametrize(("size", "start"), [(-1, 0), (2, -8), (2, 1 << 40)])
def test_items_that_are_not_in_the_file(tmp_path, size, start):
    header = struct.pack("<9sQBQ", b"MMIDIDX\x00\x00", 1, 4, 2)
    (tmp_path / "x.idx").write_bytes(header + struct.pack("<2i2q", size, 1, start, 4))
    (tmp_path / "x.bin").write_bytes(bytes(8))
    with pytest.raises(UserError, match="item 0 is not in the file"):
        MappedItems(tmp_path / "x")[0]
    (tmp_path / "x.idx").write_bytes(struct.pack("<9sQBQ", b"MMIDIDX\x00\x00", 1, 77, 0))
    with pytest.raises(UserError, match="unknown type, 77"):
        MappedItems(tmp_path / "x")


def test_a_number_of_more_digits_than_python_reads():
    page = "&#" + "9" * 5000 + ";"
    (piece,) = html_pieces(page)
    assert (piece.start, piece.stop, piece.text) == (0, len(page), "\N{REPLACEMENT CHARACTER}")
