"""The YAML files of configs/ through fairseq-hydra-train."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import yaml
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
from fairseq.dataclass.configs import FairseqConfig
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from fairseq.optim import build_optimizer
from fairseq.optim.lr_scheduler import build_lr_scheduler
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from fairseq_littlebird.datasets import DATASETS

PACKAGE = Path(__file__).parents[2] / "fairseq_littlebird"
CONFIGS = PACKAGE.parent / "configs"
RUNS = {
    "masked_lm": ("text", ["task.tokens_per_sample=128"]),
    "littlebird_masked_lm": ("text", ["task.tokens_per_sample=128"]),
    "distillation": ("text", ["task.tokens_per_sample=128"]),
    "recurring_span_selection": ("text", ["task.tokens_per_sample=128"]),
    "longer_inputs": ("text", ["task.tokens_per_sample=128"]),
    "question_answering": ("questions", ["task.span_head=qass"]),
    "sentence_prediction": ("classes", ["dataset.required_batch_size_multiple=1"]),
    "littlebird_sentence_prediction": ("classes", ["task.num_classes=2"]),
}
SMALL = ["model.encoder_layers=2", "model.encoder_embed_dim=32", "model.encoder_ffn_embed_dim=48",
         "model.encoder_attention_heads=2", "model.pack_size=8", "model.block_size=16"]  # fmt: skip


def hydra(fairseq, name, folder, *more, status=0):
    data, own = RUNS[name]
    arguments = ["--config-dir", CONFIGS, "--config-name", name, "model=littlebird_tiny", "machine=cpu"]
    arguments += [f"task.data={data}", f"common.user_dir={PACKAGE}", f"checkpoint.save_dir={folder}"]
    arguments += ["dataset.batch_size=4", "optimization.update_freq=[1]", "common.log_interval=1"]
    return fairseq("hydra-train", *arguments, *SMALL, *own, *more, status=status)


def test_every_file_is_tried():
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == RUNS.keys() | {
        "summarization",
        "language_modeling",
        "dna_pretraining",
    }


@pytest.mark.parametrize("name", RUNS)
def test_trains(fairseq, logged, span_model, teacher, tmp_path, name):
    start = [f"checkpoint.finetune_from_model={span_model}"] if not RUNS[name][0].startswith("text") else []
    if name == "distillation":
        start = [f"criterion.teacher_path={teacher('littlebird_masked_lm')}"]
    done = hydra(fairseq, name, tmp_path / "out", "optimization.max_update=2", *start)
    assert [int(r["num_updates"]) for r in logged(done, "train_inner")] == [1, 2]
    state = torch.load(tmp_path / "out" / "checkpoint_last.pt", weights_only=True)
    sizes = state["cfg"]["model"]
    assert (sizes["_name"], sizes["encoder_layers"], sizes["block_size"]) == ("littlebird", 2, 16)
    assert state["model"]["encoder.pack"].shape == (8, 32)
    assert state["cfg"]["task"].get("padding_insertion", False) == (name not in ("masked_lm", "sentence_prediction"))
    metric = state["cfg"]["checkpoint"]["best_checkpoint_metric"]
    assert f"valid_{metric}" in logged(done, "valid")[-1]


def test_resumes(fairseq, logged, tmp_path):
    hydra(fairseq, "recurring_span_selection", tmp_path, "optimization.max_update=1")
    done = hydra(fairseq, "recurring_span_selection", tmp_path, "optimization.max_update=3")
    assert [int(r["num_updates"]) for r in logged(done, "train_inner")] == [2, 3]


def test_odd_sizes_are_one_line(fairseq, tmp_path):
    done = hydra(fairseq, "recurring_span_selection", tmp_path, "model.pack_size=-3", status=None)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("fairseq-hydra-train: ") and "pack size -3 is negative" in last


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONFIGS / "model").glob("*.yaml")))
def test_sizes_equal_the_architectures(name):
    """Named architectures do not work in Hydra, so the sizes stand in both places."""
    sizes = yaml.safe_load((CONFIGS / "model" / f"{name}.yaml").read_text())
    model = ARCH_MODEL_REGISTRY[name]
    assert MODEL_REGISTRY[sizes.pop("_name")] is model
    args = Namespace()
    ARCH_CONFIG_REGISTRY[name](args)
    architecture = vars(model.config_class(**vars(args)))
    assert {key: architecture[key] for key in sizes} == sizes
    assert {key for key, value in vars(args).items() if value is not None} <= sizes.keys()


def test_machines_hold_nothing_but_machines():
    for file in (CONFIGS / "machine").glob("*.yaml"):
        assert set(yaml.safe_load(file.read_text())) <= {"common", "dataset", "distributed_training"}


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_file_itself_comes_first(file):
    """Otherwise its own model section would hide the group's."""
    content = yaml.safe_load(file.read_text())
    models = {"summarization": "led_base", "language_modeling": "longformer_lm_small"}
    model = models.get(file.stem, "littlebird_base")
    assert content["defaults"] == ["_self_", {"model": model}, {"machine": "gpu"}]


ENGLISH = "hotpotqa", "natural_questions", "triviaqa", "wikihop"
# tables 10 and 11: the longest sequence, the batch, the learning rate
DATA_SETS = {
    "hotpotqa": (4096, 64, 5e-5),
    "natural_questions": (8192, 128, 5e-5),
    "triviaqa": (8192, 128, 5e-5),
    "wikihop": (8192, 32, 5e-5),
    "korquad2": (6144, 80, 1e-4),
}
# the same of each row; None is the data set's
ROWS = {
    **{name: None for name in ("2_littlebird", "3_pack_0", "3_pack_32", "3_pack_64", "10_english")},
    "4_littlebird_512": (512, 80, 1e-4),
    "4_littlebird_1k": (1024, 80, 1e-4),
    "4_littlebird_2k": (2048, 80, 1e-4),
    "4_littlebird_4k": (4096, 80, 1e-4),
    "4_littlebird_8k": (8192, 80, 1e-4),
    "5_littlebird_base": (6144, 80, 1e-4),
    "5_littlebird_large": (8192, 144, 5e-5),
    "11_base": (6144, 80, 1e-4),
    "11_large": (8192, 144, 5e-5),
}
# the models that LittleBird is measured against, with the option that stands in the row
OTHER_MODELS = {
    "2_longformer": ("longformer_base", "attention_window", "512"),
    "2_bigbird": ("bigbird_itc_base", "random_blocks", 3),
    "2_etc": ("bigbird_etc_base", "global_tokens", 256),
}
# BigBird's question answering: global tokens, batch of all devices, learning rate
BIGBIRD_QUESTIONS = {
    "12_bigbird_itc_hotpotqa": (None, 32, 5e-5),
    "12_bigbird_itc_natural_questions": (None, 128, 5e-5),
    "12_bigbird_itc_triviaqa": (None, 32, 5e-5),
    "12_bigbird_itc_wikihop": (None, 64, 5e-5),
    "12_bigbird_etc_hotpotqa": (256, 32, 5e-5),
    "12_bigbird_etc_natural_questions": (230, 128, 5e-5),
    "12_bigbird_etc_triviaqa": (320, 32, 5e-5),
    "12_bigbird_etc_wikihop": (430, 64, 5e-5),
    "13_bigbird_etc_hotpotqa": (256, 32, 3e-5),
    "13_bigbird_etc_natural_questions": (230, 64, 5e-5),
    "13_bigbird_etc_triviaqa": (320, 32, 3e-5),
    "13_bigbird_etc_wikihop": (430, 64, 2e-5),
}
# BigBird's pretraining: the layers, the block length, the batch of all devices
BIGBIRD_PRETRAINING = {
    "8_bigbird_itc": (12, 64, 256),
    "8_bigbird_etc": (12, 84, 256),
    "8_bigbird_itc_large": (24, 64, 2048),
    "8_bigbird_etc_large": (24, 169, 2048),
}
# encoder–decoders: the model, the batch, the learning rate, updates of warmup, the optimizer
SUMMARIES = ("xsum", "cnn_dailymail", "arxiv", "pubmed", "bigpatent")
SUMMARY_ROWS = {
    **{f"17_bigbird_roberta_{data}": ("bigbird_roberta_base", 128, 1e-5, 10000, "adam") for data in SUMMARIES},
    **{f"17_bigbird_pegasus_{data}": ("bigbird_pegasus_large", 128, 1e-4, 10000, "adafactor") for data in SUMMARIES},
    "longformer_7_led_base": ("led_base", 16, 3e-5, 1000, "adam"),
    "longformer_7_led_large": ("led_large", 16, 3e-5, 1000, "adam"),
}
# language models: the sizes, the text, and bits per character or byte
LANGUAGE_MODEL_ROWS = {
    "longformer_2_text8_small": ("small", "text8, bits per character: 1.10"),
    "longformer_2_enwik8_small": ("small", "enwik8, bits per byte: 1.00"),
    "longformer_3_enwik8_large": ("large", "enwik8, bits per byte: 0.99"),
}
CLASSIFICATION_ROWS = {
    "6_littlebird_512": (512, False),
    "6_littlebird_1k": (1024, False),
    "6_littlebird_512_pi": (512, True),
    "6_littlebird_1k_pi": (1024, True),
}
# longest text, batch of all devices, learning rate, updates, warmup, what the best checkpoint has most of
BIGBIRD_ROWS = {
    "14_bigbird_imdb": (4096, 64, 1e-5, 15625, 1562, "micro_f1"),
    "14_bigbird_arxiv": (4096, 64, 3e-5, 4694, 469, "micro_f1"),
    "14_bigbird_patents": (4096, 64, 5e-5, 88598, 8859, "micro_f1"),
    "14_bigbird_hyperpartisan": (4096, 32, 5e-6, 242, 24, "micro_f1"),
    "14_bigbird_yelp": (4096, 32, 2e-5, 40625, 4062, "micro_f1"),
    "16_bigbird_mnli": (512, 32, 1e-5, 123873, 7432, "accuracy"),
    "16_bigbird_qqp": (512, 32, 1e-5, 113272, 28318, "accuracy"),
    "16_bigbird_qnli": (512, 32, 1e-5, 33112, 1986, "accuracy"),
    "16_bigbird_sst_2": (512, 32, 1e-5, 20935, 1256, "accuracy"),
    "16_bigbird_cola": (512, 16, 1e-5, 5336, 320, "mcc"),
    "16_bigbird_sts_b": (512, 16, 2e-5, 3598, 214, "spearman"),
    "16_bigbird_mrpc": (512, 16, 1e-5, 2296, 137, "f1"),
    "16_bigbird_rte": (512, 16, 2e-5, 2036, 122, "accuracy"),
    "21_bigbird_promoter": (4096, 256, 1e-4, 711, 71, "f1"),
    "21_bigbird_chromatin": (4096, 256, 1e-4, 500000, 10000, "loss"),
}
DNA_ROWS = ("21_bigbird_pretraining",)


def composed(name, *overrides):
    """What fairseq-hydra-train is given, its keys known to fairseq."""
    with initialize_config_dir(str(CONFIGS), version_base="1.1"):  # as fairseq; it counts for the whole process
        content = compose(name, list(overrides))
    known = {field.name: field.type for field in fields(FairseqConfig)}
    assert set(content) <= known.keys()
    known["task"] = TASK_DATACLASS_REGISTRY[content.task._name]
    known["model"] = MODEL_REGISTRY[content.model._name].config_class
    known["criterion"] = CRITERION_DATACLASS_REGISTRY[content.criterion._name]
    for section in ("task", "model", "criterion", "dataset", "optimization", "checkpoint"):
        assert set(content[section]) - {"_name"} <= {field.name for field in fields(known[section])}
    return content


def settings(content):
    """The longest sequence, the batch of all devices and the learning rate."""
    batch = content.dataset.batch_size * content.optimization.update_freq[0]
    devices = content.distributed_training.distributed_world_size
    return content.task.max_positions, batch * devices, content.optimization.lr[0]


def test_every_data_set_and_row_is_tried():
    assert {file.stem for file in (CONFIGS / "data_set").glob("*")} == DATA_SETS.keys()
    rows = {*ROWS, *OTHER_MODELS, *CLASSIFICATION_ROWS, *BIGBIRD_ROWS, *SUMMARY_ROWS, *LANGUAGE_MODEL_ROWS, *DNA_ROWS}
    rows |= {*BIGBIRD_QUESTIONS, *BIGBIRD_PRETRAINING}
    assert {file.stem for file in (CONFIGS / "table").glob("*")} == rows


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_data_set_has_the_papers_settings(name):
    content = composed("question_answering", "machine=gpu4", f"+data_set={name}")
    assert settings(content) == DATA_SETS[name]
    alone = content.optimization.update_freq[0] * 4
    text = (CONFIGS / "data_set" / f"{name}.yaml").read_text()
    assert f"machine=gpu: optimization.update_freq=[{alone}]" in text
    assert (
        f"+data_set={name} " in text and f"--dataset {name} " in text and f"--max-tokens {DATA_SETS[name][0]} " in text
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_papers_settings(name):
    for data_set in ENGLISH if ROWS[name] is None else ["korquad2"]:
        overrides = ["machine=gpu4", f"+data_set={data_set}", f"+table={name}"]
        content = composed("question_answering", *overrides)
        assert settings(content) == (ROWS[name] or DATA_SETS[data_set])
        large = name in ("5_littlebird_large", "11_large")
        assert (content.model.encoder_layers, content.model.encoder_embed_dim) == ((24, 1024) if large else (12, 768))
        assert content.model.pack_size == {"3_pack_0": 0, "3_pack_32": 32}.get(name, 64)
        assert content.lr_scheduler.total_num_update == content.optimization.max_update


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_a_row_of_another_model(name):
    model, option, value = OTHER_MODELS[name]
    content = composed("question_answering", f"model={model}", "+data_set=triviaqa", f"+table={name}")
    assert content.model[option] == value and content.model.encoder_layers == 12
    assert content.task.max_positions == 4096 and content.task.padding_insertion is False
    assert f"model={model} " in (CONFIGS / "table" / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", ["3_pack_0", "5_littlebird_large"])
def test_the_command_line_counts_more_than_the_row(name):
    overrides = ["+data_set=korquad2", f"+table={name}", "model=littlebird_tiny", "model.pack_size=16"]
    model = composed("question_answering", *overrides).model
    assert (model.encoder_layers, model.encoder_embed_dim, model.pack_size) == (3, 64, 16)


@pytest.mark.parametrize("name", CLASSIFICATION_ROWS)
def test_a_row_of_classification(name):
    task = composed("littlebird_sentence_prediction", f"+table={name}").task
    assert (task.max_positions, task.padding_insertion) == CLASSIFICATION_ROWS[name]


@pytest.mark.parametrize("name", SUMMARY_ROWS)
def test_a_row_of_summaries(name):
    """Whatever fairseq builds of it takes its options."""
    content = composed("summarization", f"+table={name}")
    model, batch, lr, warmup, optimizer = SUMMARY_ROWS[name]
    sizes = yaml.safe_load((CONFIGS / "model" / f"{model}.yaml").read_text())
    assert {key: content.model[key] for key in sizes} == sizes
    assert content.dataset.batch_size * content.optimization.update_freq[0] == batch
    assert (content.optimization.lr[0], content.lr_scheduler.warmup_updates) == (lr, warmup)
    content = OmegaConf.create(OmegaConf.to_container(content, resolve=True))
    content.common.tpu = False
    content.optimizer.lr = content.lr_scheduler.lr = content.optimization.lr
    built = build_optimizer(content.optimizer, [torch.nn.Parameter(torch.zeros(2, 2))])
    assert type(built).__name__.lower() == f"fairseq{optimizer}"
    assert build_lr_scheduler(content.lr_scheduler, built).step_update(warmup) == pytest.approx(lr)
    comment = (CONFIGS / "table" / f"{name}.yaml").read_text()
    assert f"+table={name} " in comment and "littlebird-prepare summarization " in comment


@pytest.mark.parametrize("name", LANGUAGE_MODEL_ROWS)
def test_a_row_of_language_models_is_the_first_phase(name, script):
    """And its comment gives the second one's values."""
    size, figure = LANGUAGE_MODEL_ROWS[name]
    first, second, *_ = script("scripts/phases.py").read(CONFIGS / "language_model" / f"longformer_lm_{size}.yaml")
    content = composed("language_modeling", f"+table={name}")
    sizes = yaml.safe_load((CONFIGS / "model" / f"longformer_lm_{size}.yaml").read_text())
    assert {key: content.model[key] for key in sizes if key not in first.settings and key != "positions"} == {
        key: value for key, value in sizes.items() if key not in first.settings and key != "positions"
    }
    assert content.model.positions == first.options[first.options.index("--positions") + 1]
    for key, value in (
        ("attention_window", content.model.attention_window),
        ("attention_dilation", content.model.attention_dilation),
        ("tokens_per_sample", content.task.tokens_per_sample),
        ("lr", content.optimization.lr[0]),
        ("updates", content.optimization.max_update),
        ("warmup_updates", content.lr_scheduler.warmup_updates),
        ("batch_size", content.dataset.batch_size),
        ("update_freq", content.optimization.update_freq[0]),
    ):
        assert value == first.settings[key], key
    comment = (CONFIGS / "table" / f"{name}.yaml").read_text()
    assert f"#   {figure}\n" in comment and comment.count(f"+table={name} ") == 2
    for key, option in (
        ("attention_window", "model.attention_window={} "),
        ("tokens_per_sample", "task.tokens_per_sample={} "),
        ("updates", "optimization.max_update={} "),
        ("warmup_updates", "lr_scheduler.warmup_updates={}\n"),
    ):
        assert option.format(second.settings[key]) in comment
    rate = re.search(r"optimization\.lr=\[(\S+)\]", comment)
    assert float(rate[1]) == second.settings["lr"]


@pytest.mark.parametrize("name", BIGBIRD_ROWS)
def test_a_row_of_bigbird_has_the_papers_settings(name):
    machine = "gpu" if name.startswith("16") else "gpu4"
    content = composed("littlebird_sentence_prediction", f"machine={machine}", f"+table={name}")
    own = content.optimization.max_update, content.lr_scheduler.warmup_updates
    assert (*settings(content), *own, content.checkpoint.best_checkpoint_metric) == BIGBIRD_ROWS[name]
    assert content.lr_scheduler.total_num_update == own[0]
    assert content.checkpoint.maximize_best_checkpoint_metric == (BIGBIRD_ROWS[name][-1] != "loss")
    assert content.criterion.get("class_weights", "") == ("8" if name.endswith("chromatin") else "")
    assert (content.model._name, content.model.encoder_layers) == ("bigbird_itc", 12)
    assert content.criterion._name == "littlebird_classification" and not content.task.padding_insertion


@pytest.mark.parametrize("name", BIGBIRD_QUESTIONS)
def test_a_row_of_bigbirds_question_answering(name):
    _, _, family, data_set = name.split("_", maxsplit=3)
    content = composed("question_answering", "machine=gpu4", f"+data_set={data_set}", f"+table={name}")
    global_tokens, batch, lr = BIGBIRD_QUESTIONS[name]
    large, etc = name.startswith("13"), family == "etc"
    assert settings(content) == (4096, batch, lr) and not content.task.padding_insertion
    assert (content.model._name, content.model.encoder_layers) == (f"bigbird_{family}", 24 if large else 12)
    assert content.task.get("max_global_tokens") == global_tokens
    if etc:
        assert global_tokens == DATASETS[data_set].global_input.maximum
        assert content.model.structured_input and content.model.local_radius == (169 if large else 84)
    else:
        assert (content.model.block_size, str(content.model.global_blocks)) == (64, "first_two")
    assert content.lr_scheduler.warmup_updates == content.optimization.max_update // 10
    assert content.optimizer._name == ("lamb" if name == "13_bigbird_etc_wikihop" else "adam")


def test_lamb_is_fairseqs_own():
    """It is found by its name, and wants what only some machines have."""
    content = composed("question_answering", "+data_set=wikihop", "+table=13_bigbird_etc_wikihop")
    content = OmegaConf.create(OmegaConf.to_container(content, resolve=True))
    content.common.tpu = False
    with pytest.raises(ImportError, match="apex"):
        build_optimizer(content.optimizer, [torch.nn.Parameter(torch.zeros(2, 2))])


@pytest.mark.parametrize("name", BIGBIRD_PRETRAINING)
def test_a_row_of_bigbirds_pretraining(name):
    content = composed("littlebird_masked_lm", "machine=gpu4", f"+table={name}")
    layers, block, batch = BIGBIRD_PRETRAINING[name]
    of_all = content.dataset.batch_size * content.optimization.update_freq[0]
    assert of_all * content.distributed_training.distributed_world_size == batch
    assert content.model.encoder_layers == layers
    assert content.model.get("local_radius", content.model.get("block_size", 64)) == block
    assert (content.task.tokens_per_sample, content.optimization.lr[0]) == (4096, 1e-4)
    assert content.lr_scheduler.warmup_updates == 10_000 and not content.task.padding_insertion
    assert content.criterion._name == ("masked_lm_cpc" if "etc" in name else "masked_lm")


def test_bigbirds_pretraining_on_dna():
    content = composed("dna_pretraining", "machine=gpu4", "+table=21_bigbird_pretraining")
    batch = content.dataset.batch_size * content.optimization.update_freq[0]
    assert (content.task.tokens_per_sample, content.task.mask_prob, content.optimization.lr[0]) == (4096, 0.15, 1e-4)
    assert batch * content.distributed_training.distributed_world_size == 256
    assert (content.optimization.max_update, content.lr_scheduler.warmup_updates) == (1_000_000, 10_000)
    assert (content.model._name, content.model.context_type, content.task.padding_insertion) == (
        "bigbird_itc",
        True,
        False,
    )
    comment = (CONFIGS / "table" / "21_bigbird_pretraining.yaml").read_text()
    assert "# Table 21, " in comment and "1.12" in comment and "+table=21_bigbird_pretraining " in comment


@pytest.mark.slow
def test_pretraining_on_dna_trains(fairseq, dna, logged, tmp_path):
    arguments = ["--config-dir", CONFIGS, "--config-name", "dna_pretraining", "model=littlebird_tiny", "machine=cpu"]
    arguments += [f"task.data={dna}/data", "task.tokens_per_sample=96", f"common.user_dir={PACKAGE}", *SMALL]
    arguments += ["optimization.max_update=2", "optimization.update_freq=[1]", "common.log_interval=1"]
    done = fairseq("hydra-train", *arguments, f"checkpoint.save_dir={tmp_path}")
    assert [int(record["num_updates"]) for record in logged(done, "train_inner")] == [1, 2]
    assert "valid_bits_per_base" in logged(done, "valid")[-1]
    assert torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["cfg"]["task"]["padding_insertion"]


@pytest.mark.parametrize(
    "name",
    [*ROWS, *OTHER_MODELS, *CLASSIFICATION_ROWS, *BIGBIRD_ROWS, *BIGBIRD_QUESTIONS, *BIGBIRD_PRETRAINING],
)
def test_a_row_has_its_figures_and_its_command_beside_it(name):
    comment = [line for line in (CONFIGS / "table" / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    assert comment[0] == "# @package _global_" and re.match(rf"# Table {name.split('_')[0]}[,:] ", comment[1])
    assert any(re.match(r"#   .*\b(\d\d\.\d|\d\.\d\d\d)", line) for line in comment)
    assert any(f"+table={name} " in line for line in comment)


def test_a_phase_of_a_language_model_trains(fairseq, logged, tmp_path):
    arguments = ["--config-dir", CONFIGS, "--config-name", "language_modeling", "model=longformer_lm_tiny"]
    arguments += ["machine=cpu", "task.data=text", "task.tokens_per_sample=32", f"common.user_dir={PACKAGE}"]
    arguments += ["optimization.max_update=2", "optimization.update_freq=[1]", "common.log_interval=1"]
    done = fairseq("hydra-train", *arguments, f"checkpoint.save_dir={tmp_path}")
    assert [int(record["num_updates"]) for record in logged(done, "train_inner")] == [1, 2]
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert state["cfg"]["task"]["_name"] == "littlebird_language_modeling"
    assert (state["cfg"]["model"]["attention_window"], state["cfg"]["task"]["tokens_per_sample"]) == ("32", 32)


def test_a_data_set_and_a_row_train(fairseq, logged, tmp_path):
    arguments = ["--config-dir", CONFIGS, "--config-name", "question_answering", "model=littlebird_tiny", "machine=cpu"]
    arguments += ["+data_set=hotpotqa", "+table=3_pack_32", "task.data=questions", f"common.user_dir={PACKAGE}"]
    arguments += ["optimization.max_update=2", "optimization.update_freq=[1]", "common.log_interval=1"]
    arguments += [f"checkpoint.save_dir={tmp_path}", *(size for size in SMALL if "pack_size" not in size)]
    done = fairseq("hydra-train", *arguments)
    assert [int(record["num_updates"]) for record in logged(done, "train_inner")] == [1, 2]
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert state["model"]["encoder.pack"].shape == (32, 32)
    assert (state["cfg"]["task"]["max_positions"], state["cfg"]["dataset"]["batch_size"]) == (4096, 4)
