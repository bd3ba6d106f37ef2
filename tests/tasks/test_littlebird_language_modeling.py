"""The task for language models: no token is lost in training or scoring, and fairseq's commands go on with texts."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.sequence_generator import SequenceGenerator
from helpers.language_models import TASK, TRAINING

from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models import LongformerLM
from fairseq_littlebird.tasks.littlebird_language_modeling import (
    LittleBirdLanguageModelingConfig,
    LittleBirdLanguageModelingTask,
)

EOS, PAD = 2, 1
SHARDS = ("data", "shard2", "shard3")


def task_of(data, **options):
    return LittleBirdLanguageModelingTask.setup_task(LittleBirdLanguageModelingConfig(data=str(data), **options))


def tokens_of(folder, split):
    stream = TokenStream.of_split(folder, split)
    return stream.read(0, len(stream)).tolist()


def rows(batches):
    """The source and target of every row by its id, as far as they are not padding."""
    found = {}
    for batch in batches:
        if not batch:
            continue
        net_input = batch["net_input"]
        for row, source, target in zip(batch["id"].tolist(), net_input["src_tokens"], batch["target"], strict=True):
            assert row not in found
            found[row] = source[source != PAD].tolist(), target[target != PAD].tolist()
    return [found[row] for row in sorted(found)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("size, batch", [(50, {"max_sentences": 7}), (64, {"max_tokens": 200}), (10**6, {})])
def test_an_epoch_has_every_token_once(characters, shards, workers, size, batch):
    """Of its shard, whatever the number of training workers, with the token before each to predict it from."""
    folders = [characters / name for name in SHARDS[:shards]]
    task = task_of(":".join(map(str, folders)), tokens_per_sample=size)
    spelled = ""
    for epoch, folder in enumerate(folders, start=1):
        dataset = task.load_dataset("train", epoch=epoch, combine=True, data_selector=None)
        batches = []
        for shard in range(workers):
            own = {"num_shards": workers, "shard_id": shard, "epoch": epoch, "seed": 3}
            fixed = {"required_batch_size_multiple": 8, "grouped_shuffling": False, "disable_iterator_cache": True}
            batches += task.get_batch_iterator(dataset, **batch, **own, **fixed).next_epoch_itr(shuffle=True)
        sources, targets = zip(*rows(batches), strict=True)
        tokens = tokens_of(folder, "train")
        assert sum(targets, []) == tokens and sum(sources, []) == [EOS, *tokens[:-1]]
        assert all(len(target) == size for target in targets[:-1])
        spelled += task.build_bpe(None).decode(task.dictionary.string(sum(targets, [])))
    assert spelled.replace("\\n", "\n") == "".join((characters / f"{f.name}.txt").read_text("utf-8") for f in folders)


def test_training_draws_another_order_each_epoch(characters):
    task = task_of(characters / "data", tokens_per_sample=50)
    dataset = task.load_dataset("train", data_selector=None)
    orders = []
    for epoch in (1, 2, 1):
        iterator = task.get_batch_iterator(dataset, max_sentences=1, seed=1, epoch=epoch, disable_iterator_cache=True)
        orders.append([batch["id"].item() for batch in iterator.next_epoch_itr(shuffle=True)])
    assert orders[0] == orders[2] != orders[1] and sorted(orders[0]) == sorted(orders[1]) == [*range(180)]


def test_a_run_that_goes_on_in_a_later_epoch_reads_its_batches(characters):
    """Otherwise some tokens of the epoch would be read twice, and others never."""

    def second_epoch(start):
        task = task_of(characters / "data", tokens_per_sample=50)
        dataset = task.load_dataset("train", epoch=start, data_selector=None)
        own = {"max_sentences": 4, "seed": 1, "grouped_shuffling": False}
        iterator = task.get_batch_iterator(dataset, epoch=start, **own)
        for _ in range(start, 2):
            list(iterator.next_epoch_itr(shuffle=True))
        iterator = task.get_batch_iterator(dataset, epoch=2, **own)
        return [batch["id"].tolist() for batch in iterator.next_epoch_itr(shuffle=True)]

    assert second_epoch(start=1) == second_epoch(start=2)


def test_lines_are_texts_of_their_own(tiny):
    """No block goes over the end of one; a longer one is cut, and goes on with the token before."""
    task = task_of(tiny / "text", tokens_per_sample=40, sample_break_mode="eos")
    task.load_dataset("valid")
    stream = TokenStream.of_split(tiny / "text", "valid")
    lines = [stream.read(*map(int, line)).tolist() for line in stream.documents(True)]
    assert any(len(line) > 40 for line in lines)
    found = rows(task.get_batch_iterator(task.dataset("valid"), max_tokens=500).next_epoch_itr(shuffle=False))
    cut = [(([EOS, *line][n : n + 40])[: len(line) - n], line[n : n + 40]) for line in lines
           for n in range(0, len(line), 40)]  # fmt: skip
    assert found == cut


@pytest.mark.parametrize("context", [0, 1, 30, 200])
@pytest.mark.parametrize("workers, shards", [(0, 1), (2, 1), (0, 3)])
def test_every_token_is_scored_once_with_its_context(characters, context, workers, shards):
    """What fairseq-eval-lm reads, whatever its workers and shards."""
    tokens, found = tokens_of(characters / "data", "valid"), {}
    for shard in range(shards):
        task = task_of(characters / "data", tokens_per_sample=50)  # a task keeps an iterator, of one shard
        dataset = task.load_dataset("valid")
        more = {"num_shards": shards, "shard_id": shard, "num_workers": workers, "batch_size": 5}
        for batch in task.eval_lm_dataloader(dataset, context_window=context, **more):
            starts = batch.get("start_indices", [0] * len(batch["id"])) if batch else []
            for n, before in enumerate(starts):
                target = batch["target"][n, before:]
                target = target[target != PAD].tolist()
                source = batch["net_input"]["src_tokens"][n, : before + len(target)].tolist()
                found[int(batch["id"][n])] = source, target, before
    at = 0
    for _, (source, target, before) in sorted(found.items()):
        assert target == tokens[at : at + len(target)] and source == [EOS, *tokens][at - before : at + len(target)]
        assert at == 0 or before == context
        at += len(target)
    assert at == len(tokens)


def test_learns_and_reports_bits_per_character(character_model, logged):
    printed = SimpleNamespace(stdout=(character_model / "printed").read_text("utf-8"))
    losses = [float(r["loss"]) for r in logged(printed, "train_inner")]
    assert losses[-1] < losses[0] - 0.5
    assert float(logged(printed, "valid")[-1]["valid_loss"]) < losses[0] - 0.5


def test_a_checkpoint_has_the_dictionary_and_the_tokenizer(characters, character_model):
    files = torch.load(character_model / "checkpoint_last.pt", weights_only=True)["task_state"]["files"]
    for name in ("dict.txt", "characters.json", "prepared.json"):
        assert files[name].numpy().tobytes() == (characters / "data" / name).read_bytes()


@pytest.mark.parametrize("task", ["language_modeling", "littlebird_language_modeling"])
@pytest.mark.parametrize("data", [":".join(SHARDS), "data"], ids=["shards", "one folder"])
def test_goes_on_in_either_task(characters, character_model, train_lm, logged, tmp_path, task, data):
    folders = ":".join(str(characters / name) for name in data.split(":"))
    more = ["--task", task, "--finetune-from-model", character_model / "checkpoint_last.pt", "--disable-validation"]
    printed = SimpleNamespace(stdout=(character_model / "printed").read_text("utf-8"))
    first = float(logged(train_lm(folders, tmp_path, 1, *more), "train_inner")[0]["loss"])
    assert abs(first - float(logged(printed, "train_inner")[-1]["loss"])) < 0.3


def test_fairseqs_own_model_trains_in_it(fairseq, characters, logged, tmp_path):
    sizes = "--arch transformer_lm --decoder-layers 1 --decoder-embed-dim 16 --decoder-ffn-embed-dim 16"
    own = [*TASK, *sizes.split(), "--decoder-attention-heads", 2, *TRAINING, "--max-update", 2, "--save-dir", tmp_path]
    assert float(logged(fairseq("train", characters / "data", *own), "valid")[0]["valid_loss"]) < 8


LINES = ["Mara", "", "Was the river port", "Ma ß ß", "ß"]


@pytest.mark.parametrize(
    "how", ["--beam 2", "--beam 1 --sampling --sampling-topk 5", "--beam 3 --batch-size 3 --buffer-size 3"]
)
def test_goes_on_with_lines(fairseq, characters, character_model, tmp_path, how):
    """Up to the longest, as there is no </s> in the data; the first unknown character is named."""
    (tmp_path / "lines").write_text("".join(f"{line}\n" for line in LINES), "utf-8")
    own = [*TASK, "--path", character_model / "checkpoint_last.pt", "--cpu", "--max-len-b", 30, *how.split()]
    done = fairseq("interactive", characters / "data", *own, "--input", tmp_path / "lines")
    found = re.findall(r"^D-\d\t\S+\t(.*)$", done.stdout, re.MULTILINE)
    assert len(found) == len(LINES)
    for text, line in zip(found, LINES, strict=True):
        known = line.replace("ß", "")
        assert text.startswith(known) and len(text.replace("\\n", "\n")) == 30 - len(line) + len(known)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "is not in the dictionary" in line]
    assert len(said) == 1 and "'ß' of the line 'Ma ß ß'" in said[0]


def test_goes_on_with_a_split(fairseq, characters, character_model):
    """With the first tokens of each block, the last short one among them."""
    own = [*TASK, "--tokens-per-sample", 400, "--path", character_model / "checkpoint_last.pt", "--cpu"]
    how = ["--gen-subset", "test", "--prefix-size", 12, "--beam", 2, "--max-len-b", 20, "--batch-size", 3]
    done = fairseq("generate", characters / "data", *own, *how)
    found = dict(re.findall(r"^D-(\d)\t\S+\t(.*)$", done.stdout, re.MULTILINE))
    text = (characters / "test.txt").read_text("utf-8")
    assert sorted(found) == ["0", "1"]
    for n, start in (("0", 0), ("1", 400)):
        assert found[n].replace("\\n", "\n").startswith(text[start : start + 12])


def test_blocks_inside_a_text_go_on_beside_its_first(characters):
    """fairseq would take the </s> before the first block for the end of what is to go on."""
    task = task_of(characters / "data", tokens_per_sample=10)
    task.load_dataset("test")
    dataset = task.dataset("test")
    model = LongformerLM.build_model(
        {"decoder_layers": 1, "decoder_embed_dim": 16, "decoder_ffn_embed_dim": 16, "decoder_attention_heads": 2}
        | {"attention_window": "4", "dropout": 0.0},
        task,
    ).eval()
    generator = SequenceGenerator([model], task.dictionary, beam_size=2, max_len_a=0, max_len_b=14)
    found = task.inference_step(generator, [model], dataset.collater([dataset[0], dataset[1]]))
    tokens = tokens_of(characters / "data", "test")
    for hypotheses, start, stop in zip(found, (0, 9), (9, 19), strict=True):
        assert hypotheses[0]["tokens"][: stop - start].tolist() == tokens[start:stop]


def test_texts_to_score_are_read_whole(characters):
    """The hub's ``score`` takes this way."""
    task = task_of(characters / "data")
    texts = [torch.tensor([5, 6, 7, EOS]), torch.tensor([8])]
    batch = task.build_dataset_for_inference(texts, [4, 1])
    batch = batch.collater([batch[0], batch[1]])
    assert batch["net_input"]["src_tokens"].tolist() == [[EOS, 5, 6, 7], [EOS, 8, PAD, PAD]]
    assert batch["target"].tolist() == [[5, 6, 7, PAD], [8, PAD, PAD, PAD]]


def another_dictionary(characters, tmp_path):
    """The same data under a dict.txt of which two symbols have changed places."""
    for file in (characters / "data").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    first, second, *lines = (tmp_path / "dict.txt").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "dict.txt").write_text("".join([second, first, *lines]), "utf-8")
    return tmp_path


@pytest.mark.parametrize("task", ["language_modeling", "littlebird_language_modeling"])
def test_a_checkpoint_of_another_dictionary_is_one_line(characters, character_model, train_lm, tmp_path, task):
    data = another_dictionary(characters, tmp_path)
    more = ["--task", task, "--finetune-from-model", character_model / "checkpoint_last.pt"]
    done = train_lm(data, tmp_path / "out", 1, *more, status=2)
    said = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr and "the checkpoint's dictionary differs from" in said and "id 4 is" in said


def test_scoring_data_of_another_dictionary_is_one_line(fairseq, characters, character_model, tmp_path):
    data = another_dictionary(characters, tmp_path)
    own = [*TASK, "--path", character_model / "checkpoint_last.pt", "--cpu", "--gen-subset", "valid"]
    done = fairseq("eval-lm", data, *own, status=2)
    assert "Traceback" not in done.stderr and "dictionary" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "options, message",
    [
        ("--tokens-per-sample 0", "--tokens-per-sample: blocks of 0 tokens; give a positive number"),
        ("--tokens-per-sample 5000 --max-tokens 1000", "blocks of 5,000 tokens, but the model or --max-tokens allows"),
        ("--positions learned --max-positions 63", "blocks of 64 tokens, but the model or --max-tokens allows 63"),
        ("--train-subset other", "other: no such split; name one of test, train, valid"),
        ("--sample-break-mode eos", "data: --sample-break-mode eos: a split of characters is one text"),
        ("--add-bos-token", "--add-bos-token: a text begins with </s>"),
        ("--attention-window 5", "attention window 5 is not an even number of at least 2"),
    ],
)
def test_bad_options_are_one_line(train_lm, characters, tmp_path, options, message):
    done = train_lm(characters / "data", tmp_path, 1, *options.split(), status=2)
    assert "Traceback" not in done.stderr and message in done.stderr.strip().splitlines()[-1]


def test_an_encoder_is_one_line(fairseq, characters, tmp_path):
    own = ["--arch", "littlebird_tiny", "--criterion", "cross_entropy", "--cpu", "--batch-size", 2]
    done = fairseq("train", characters / "data", *TASK, *own, "--save-dir", tmp_path, status=2)
    said = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr and "--arch littlebird_tiny is no causal language model" in said


def test_the_checkpoint_of_an_encoder_is_one_line(train_lm, characters, span_model, tmp_path):
    done = train_lm(characters / "data", tmp_path, 1, "--finetune-from-model", span_model, status=2)
    assert "Traceback" not in done.stderr and "dictionary" in done.stderr.strip().splitlines()[-1]


def test_prepared_for_another_task_is_one_line(tiny):
    with pytest.raises(UserError, match="prepared for question answering; --task littlebird_language_modeling expects"):
        task_of(tiny / "questions")


def test_has_no_symbol_that_fairseqs_task_has_not(characters):
    """So that a checkpoint of one task goes on in the other."""
    symbols = task_of(characters / "data").dictionary.symbols
    assert symbols == Dictionary.load(str(characters / "data" / "dict.txt")).symbols
