"""Every command line and snippet of the documentation runs, at tiny scale, as it stands on its page.

bash runs a page's ``sh`` blocks in one folder, in the pages' order; the programs run in this process, with fewer
updates and a tiny model. What takes hours, other machines or the network is in ``ELSEWHERE`` with the test that runs
it, and its arguments are read by its own parser; ``READ`` has what is read alone, and ``SAID`` what is not even that,
and why. A command in none of them fails.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.dna import random_bases, write_fasta

from fairseq_littlebird.datasets import DATASETS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "setup.cfg").read_text("utf-8")
# whose files a page needs is visited before it; all others come in the order of their names
NEEDS = {
    "docs/python.md": ["docs/data.md", "docs/models.md"],
    "docs/tables.md": ["docs/tasks/hotpotqa.md"],
    "docs/export.md": ["docs/data.md", "docs/tasks/classification.md"],
    "docs/tasks/classification.md": ["docs/data.md", "docs/long_documents.md"],
    **{
        f"docs/tasks/{name}.md": ["docs/tasks/question_answering.md"]
        for name in "squad korquad mrqa hotpotqa triviaqa natural_questions wikihop".split()
    },
    **dict.fromkeys(
        ["README.md", "CONTRIBUTING.md", "docs/data.md", "docs/tasks/language_modeling.md", "docs/tasks/genomics.md"],
        (),
    ),
}
PAGES = [str(path.relative_to(ROOT)) for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]]
PAGES.remove("CHANGELOG.md")
FAIRSEQ = (
    *("fairseq-train", "fairseq-hydra-train", "fairseq-preprocess", "fairseq-validate"),
    *("fairseq-generate", "fairseq-interactive"),
)
COMMANDS = {*re.findall(r"^    (littlebird-[\w-]+) =", SETTINGS, re.M)}
OURS = sorted(COMMANDS - {"littlebird-benchmark", "littlebird-launch"})
OTHERS = ("littlebird-benchmark", "littlebird-launch", "python", "pip", "torchrun", "srun", "sbatch", "bash", "pytest")
TOOLS = ("ruff", "mypy", "lint-imports", "mkdocs")
EXTRAS = re.findall(r"^([\w-]+) =", SETTINGS.split("[options.extras_require]")[1], re.M)
SCRIPTS = sorted(f"scripts/{path.name}" for path in (ROOT / "scripts").glob("*.sh"))

# what a page says -> what runs instead; a model of base size becomes a tiny one
LESS = {
    "--vocab-size": "350",
    "--max-update": "2",
    "--total-num-update": "2",
    "--warmup-updates": "1",
    "--batch-size": "4",
    "--workers": "1",
}
TINY = """--arch littlebird_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --pack-size 8 --block-size 16""".split()
TINY_SEQ2SEQ = [word.replace("littlebird_tiny", "littlebird_seq2seq_tiny") for word in TINY]
TINY_HYDRA = """model=littlebird_tiny machine=cpu model.encoder_layers=2 model.encoder_embed_dim=32
    model.encoder_ffn_embed_dim=48 model.encoder_attention_heads=2 model.pack_size=8 model.block_size=16
    optimization.max_update=2 optimization.update_freq=[1] dataset.batch_size=4 dataset.num_workers=0""".split()

# a script of measurements -> what makes it short
SHORT = {
    "scripts/experiments/answering.py": "--arch littlebird_tiny --lengths 64 --precisions float32 --runs 1 --threads 1",
    "scripts/experiments/answering_rates.py": "--arch littlebird_tiny --documents 2 --questions 2 --tokens 8 12"
    " --long 20 --max-tokens 64 --stride 24 --runs 1 --threads 1",
    "scripts/experiments/busy.py": "--cases 0 --loops 0 --threads 1 --runs 1",
    "scripts/experiments/product_rates.py": "--tokens 8 --width 16 --threads 1 --runs 1",
    "scripts/experiments/choices.py": "--length 64 --threads 1 --runs 1",
    "scripts/experiments/genomics_scale.py": "--bases 2000000 --vocab-size 64 --rows 500 --labels 5",
    "scripts/experiments/half_precision_gradients.py": "--tokens 64 --width 8",
    "scripts/experiments/distillation_memory.py": "--lengths 32 --layers 1 --width 16 --heads 2 --words 60",
}

# a pattern of the whole command -> the test that runs such a command
ELSEWHERE = {
    r"scripts/quickstart\.sh": "tests/scripts/test_quickstart.py::test_own_files",
    r"scripts/reuse\.sh": "tests/scripts/test_reuse.py::test_steps_1_to_3",
    r"scripts/quality_data\.sh": "tests/scripts/test_quality_data.py::test_from_given_files",
    r"scripts/launch_torchrun\.sh": "tests/scripts/test_launchers.py::test_torchrun_is_started_again_until_it_is_done",
    r"sbatch": "tests/scripts/test_launchers.py::test_slurm",
    r"torchrun": "tests/tasks/test_launch.py::test_two_workers_equal_one_with_twice_the_batches",
    r"littlebird-answer": "tests/cli/test_answer.py::test_answers_are_those_of_the_model_with_their_place",
    r"littlebird-serve": "tests/serving/test_command.py::test_it_answers",
    r"python scripts/experiments/load_test\.py": "tests/serving/test_load.py::test_a_short_load",
    r"littlebird-benchmark efficiency": "tests/cli/test_benchmark.py::test_efficiency",
    r"littlebird-benchmark encoder": "tests/cli/test_benchmark.py::test_encoder",
    r"littlebird-benchmark attention": "tests/cli/test_benchmark.py::test_attention",
    r"littlebird-benchmark quality": "tests/cli/test_benchmark.py::test_quality",
    r"littlebird-benchmark pipeline": "tests/benchmarks/test_pipeline.py::test_every_part_in_the_file",
    r"littlebird-benchmark generation": "tests/benchmarks/test_generation.py::test_the_command",
    r"littlebird-benchmark language-model": "tests/benchmarks/test_language_model.py::test_the_command",
    r"littlebird-benchmark heatmap": "tests/pipelines/test_attribution.py::test_commands_of_the_page",
    r"littlebird-benchmark needle": "tests/benchmarks/test_needle.py::test_the_command",
    r"littlebird-benchmark report": "tests/cli/test_benchmark.py::test_encoder",
    r"python scripts/experiments/(data_size\.py|soak\.py lengths)": "tests/benchmarks/test_data_size.py"
    "::test_tables_of_a_tiny_data_set",
    r"python scripts/experiments/runtimes\.py": "tests/scripts/test_runtimes.py::test_a_small_comparison",
    r"python scripts/experiments/soak\.py watch": "tests/benchmarks/test_soak.py::test_a_command_that_grows",
    r"mkdocs": "tests/docs/test_site.py::test_the_site_builds_without_a_warning",
}
# a pattern of the whole command -> why it does not run in a test; its arguments are read all the same
READ = {
    r"python scripts/experiments/(overfit|reuse|insertion|forms)\.py": "trains for tens of minutes to hours",
    r"python scripts/experiments/(articles|classification)\.py": "trains for hours",
    r"python scripts/experiments/training_rates\.py": "trains for a quarter of an hour",
    r"python scripts/experiments/far_heads\.py": "reads a checkpoint of an experiment",
    r"python scripts/experiments/device_kernels\.py": "needs an accelerator",
    r"python scripts/experiments/kernel_figures\.py": "compiles for minutes",
    r"python scripts/experiments/claims\.py": "trains for days",
    r"python scripts/experiments/summaries\.py": "trains for an hour",
    r"python scripts/experiments/language_models\.py": "trains for an hour",
    r"python scripts/experiments/genomics\.py": "trains for an hour",
    r"python scripts/experiments/hotpotqa_sample\.py": "reads data that is not part of the repository",
}
# a pattern of the whole command -> why its arguments are not read either
SAID = {
    r"scripts/environment\.sh|pip (un)?install": "makes the environment that this test runs in",
    r"scripts/test\.sh|bash \.ci/run|(python -m )?pytest": "runs this test",
    r"ruff|mypy|lint-imports": "scripts/test.sh runs it",
}
RECIPE = re.compile(
    r"scripts/(hotpotqa|natural_questions|triviaqa|wikihop|korquad2|classification|glue|summarization|language_model|question_answering|genomics)\.sh"
)


def smaller(words):
    """A training or preparation as its page has it, in seconds."""
    given, words = words, list(words[:1])
    for word, before in zip(given[1:], given, strict=False):
        if before == "--arch" and word.endswith("_base") and "_full_" not in word:  # a teacher is as small as MODEL
            words[-1:] = TINY_SEQ2SEQ if "seq2seq" in word else TINY
        elif before == "--arch" and "_lm_" in word:
            words.append(re.sub(r"_(small|large)$", "_tiny", word))
        elif before == "--user-dir" and Path(word).name == "fairseq_littlebird":
            words.append(str(ROOT / "fairseq_littlebird"))
        else:
            words.append(LESS.get(before, word))
    if words[0] == "fairseq-train":
        words += ["--cpu", "--num-workers", "0"]
    if words[0] in ("fairseq-validate", "fairseq-generate", "fairseq-interactive"):
        words += ["--cpu"]
    if words[0] == "fairseq-hydra-train":
        words[words.index("--config-dir") + 1] = str(ROOT / "configs")
        row = any(word.startswith("+table=3_pack") for word in words)  # has its own pack size
        words = [word for word in words if not word.startswith(("machine=", "model="))]
        words += [
            *(word for word in TINY_HYDRA if not (row and "pack_size" in word)),
            f"common.user_dir={ROOT / 'fairseq_littlebird'}",
        ]
    return words


def anew(words, there):
    """With what another page has written under the same name out of the way."""
    written = [
        word for word, before in zip(words[1:], words, strict=False) if before in ("--destdir", "--out", "--output")
    ]
    if words[0] == "littlebird-export":
        written = words[3:4]
    if words[0] in OURS and there.intersection(written) and "--overwrite" not in words:
        return [*words, "--overwrite"]
    if words[0] == "fairseq-train" and words[words.index("--save-dir") + 1] in there:
        shutil.rmtree(words[words.index("--save-dir") + 1])
    return words


def here(words):
    """Names of files in the folder as absolute paths, for a script that works in another."""
    at = words.index("--out") + 1 if "--out" in words else 0
    return [
        str(Path(word).absolute()) if n and (n == at or Path(word).exists()) else word for n, word in enumerate(words)
    ]


def script(words, *more):
    done = subprocess.run(["/bin/bash", str(ROOT / words[0]), *words[1:], *more], capture_output=True, text=True)
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


def is_there(test):
    path, _, name = test.partition("::")
    return re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE) is not None


@pytest.fixture(scope="session")
def handle(called, parsed):
    """``handle(words, there)``: what stands behind a program of a page, where the names ``there`` are taken."""

    def options_are_known(words):
        """A shell script's, by its --help."""
        text = subprocess.run(["/bin/bash", str(ROOT / words[0]), "--help"], capture_output=True, text=True).stdout
        own = words[: words.index("--")] if "--" in words else words
        unknown = [word for word in own if word.startswith("--") and word not in text]
        assert not unknown, f"{words[0]} has no {unknown}"
        return 0

    def read(words):
        starts = [n for n, word in enumerate(words) if re.search(r"littlebird-launch$|launch_\w+\.sh$", word)]
        if starts:  # what follows is fairseq-train's
            return parsed(["fairseq-train", *words[starts[0] + 1 :], "--user-dir", str(ROOT / "fairseq_littlebird")])
        if words[0].startswith("scripts/"):
            return options_are_known(words)
        if words[0] == "mkdocs":
            return 0
        return parsed(words)

    def handle(words, there):
        line = " ".join(words)
        for pattern in SAID:
            if re.match(pattern, line):
                extras = re.findall(r"\.\[(.*?)\]", line)
                assert not {*",".join(extras).split(",")} - {*EXTRAS, ""}, f"no such extra in setup.cfg: {line}"
                return 0
        for pattern, test in ELSEWHERE.items():
            if re.match(pattern, line):
                assert is_there(test), f"{test}, which is to run {line}, is not there"
                return read(words)
        for pattern in READ:
            if re.match(pattern, line):
                return read(words)
        if RECIPE.match(line):
            at = words.index("--") if "--" in words else len(words)
            return script([*here(words[:at]), "--dry-run", *words[at:]])
        if words[0] == "python" and words[1] in SHORT:  # argparse takes an option's last value
            return called([*words, *SHORT[words[1]].split()])
        if words[0] in (*FAIRSEQ, *OURS) or re.match(r"python scripts/", line):
            return called(smaller(anew(words, there)))
        raise AssertionError(f"no entry in tests/docs/test_commands.py for: {line}")

    return handle


@pytest.fixture(scope="session")
def tour(tour_of, handle, tiny, pretrained_model):
    """The folder, with the files that pages take for granted."""
    tour = tour_of(handle, [*FAIRSEQ, *OURS, *OTHERS, *TOOLS], SCRIPTS)
    folder = tour.folder
    for name in ("configs", "fairseq_littlebird", "hubconf.py"):
        (folder / name).symlink_to(ROOT / name)
    for source, name in (("text.train.txt", "text.txt"), ("text.valid.txt", "heldout.txt"), ("train.json",) * 2):
        shutil.copy(tiny / source, folder / name)
    for name in ("dev.json", "test.json", "my.json"):
        shutil.copy(tiny / "valid.json", folder / name)
    for name in ("my.txt", "page.txt"):
        shutil.copy(tiny / "text.valid.txt", folder / name)
    (folder / "books").mkdir()
    for name in ("text.train.txt", "text.valid.txt"):
        shutil.copy(tiny / name, folder / "books")
    pretrained_model(folder / "MODEL", "xlm-roberta")
    pretrained_model(folder / "mmBERT", "modernbert")
    pretrained_model(folder / "longformer-qa", "longformer")
    _dna(folder)
    # the data sets' own files, which a recipe finds before it prints its commands
    for name in (
        "hotpot_train_v1.1.json hotpot_dev_distractor_v1.json korquad2.1_train_00.json korquad2.1_dev_00.json "
        "KorQuAD_v1.0_train.json KorQuAD_v1.0_dev.json NewsQA-train.jsonl.gz NewsQA-dev.jsonl.gz wikihop/train.json "
        "wikihop/dev.json qa/wikipedia-train.json qa/wikipedia-dev.json nq/train/nq-train-00.jsonl.gz "
        "nq/dev/nq-dev-00.jsonl.gz"
    ).split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "glue_data" / "STS-B").mkdir(parents=True)
    for name in ("train", "dev", "test"):
        cells = '{0}\tnews\tx\t2012\t{0}\tnone\tnone\tThe bridge.\tThe "old" tower.' + (
            "" if name == "test" else "\t{0}.5"
        )
        rows = "".join(cells.format(n) + "\n" for n in range(5))
        (folder / "glue_data" / "STS-B" / f"{name}.tsv").write_text(rows, "utf-8")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "bridge", "##s", "."]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    bpe = folder / "gpt2_bpe"
    bpe.mkdir()
    byte_level = pytest.importorskip("tokenizers.pre_tokenizers").ByteLevel
    units = [*sorted(byte_level.alphabet()), "he"]
    (bpe / "encoder.json").write_text(json.dumps({unit: n for n, unit in enumerate(units)}), "utf-8")
    (bpe / "vocab.bpe").write_text("#version: 0.2\nh e\n", "utf-8")
    (bpe / "dict.txt").write_text("".join(f"{n} 1\n" for n in range(len(units))), "utf-8")
    # what docs/results.md and docs/performance.md measured
    data = folder.parent / "shared" / "data"
    for source, name in (("text.train.txt", "text_en/litbank/1.txt"), ("train.json", "squad/train.json")):
        (data / name).parent.mkdir(parents=True)
        shutil.copy(tiny / source, data / name)
    (data / "vocab").mkdir()
    (data / "vocab" / "gpt2_bpe").symlink_to(bpe)
    (folder / "quickstart" / "corpus").mkdir(parents=True)
    shutil.copy(tiny / "valid.json", folder / "quickstart" / "corpus" / "test.json")
    shutil.copy(tiny / "text.train.txt", folder / "quickstart" / "corpus" / "text.txt")
    for name in ("qa-512", "qa-8k", "qa-model", "tokenizer"):
        (folder / "quickstart" / name).symlink_to(folder / name)
    return tour


def _dna(folder):
    """A genome, promoters, and bins with labels."""
    with gzip.open(folder / "genome.fa.gz", "wt") as file:
        write_fasta(file, {"chr1": random_bases(60_000, 1), "chr21": random_bases(40_000, 2)})
    (folder / "promoters.txt").write_text("".join(f"{random_bases(200, n)}\n" for n in range(40)))
    sites = [(1 + 20 * (n % 2), 5000 + 1400 * (n // 2), "+-"[n // 2 % 2]) for n in range(40)]
    lines = (f"chr{name}\t{at}\t{at + 1}\tP{n}\t0\t{sign}\n" for n, (name, at, sign) in enumerate(sites))
    (folder / "start_sites.bed").write_text("".join(lines))
    bins = [(name, start) for name in ("chr1", "chr21") for start in range(4000, 24_000, 2000)]
    (folder / "bins.bed").write_text("".join(f"{name}\t{start}\t{start + 200}\n" for name, start in bins))
    (folder / "labels.txt").write_text("CTCF DNase H3K4me3\n" + "".join(f"{n % 2} {n // 2 % 2} 0\n" for n in range(20)))
    (folder / "groups.tsv").write_text("label\tgroup\nCTCF\tTF\nDNase\tDHS\nH3K4me3\tHM\n")


@pytest.fixture(scope="session")
def visit(tour, blocks_of):
    """``visit(page)`` runs a page, once, after those that it needs."""
    visited = set()

    def visit(page):
        if page in visited:
            return
        visited.add(page)
        for other in NEEDS.get(page, ["docs/data.md"]):
            visit(other)
        tour.there = {path.name for path in tour.folder.iterdir()}
        names, printed = {"__name__": "page"}, ""
        for block in blocks_of(ROOT / page):
            if block.title == "output":
                assert block.text == printed, f"{block}: the page says\n{block.text}but it is\n{printed}"
            elif block.title and (ROOT / block.title).exists():
                assert block.text in (ROOT / block.title).read_text("utf-8"), f"{block}: {block.title} differs"
            elif block.title:
                (tour.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
                (tour.folder / block.title).write_text(block.text, "utf-8")
            elif block.language == "sh":
                status, printed = tour.shell(block.text)
                print(f"{block}\n{printed}")
                assert not re.search(r"[1-9]\d* (of them repaired|not found)", printed), f"{block}: {printed}"
                assert status == 0, f"{block}: status {status}\n{block.text}{printed[-3000:]}"
            elif block.language == "python":
                printed = tour.python(block.text, names)

    return visit


@pytest.mark.parametrize("page", PAGES)
def test_page(visit, page):
    known = dict(DATASETS)
    visit(page)
    for name in DATASETS.keys() - known.keys():  # of a user's own, which the page has registered
        del DATASETS[name]


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_in_another_block(blocks_of, page):
    """Commands stand in ``sh`` blocks, which run; blocks of other languages and indented ones hold none."""
    path = ROOT / page
    program = re.compile(rf"\s*(\$ )?({'|'.join([*FAIRSEQ, *OURS, *OTHERS, *TOOLS])}|scripts/\w+\.sh|bash) ")
    for block in blocks_of(path):
        assert block.language in ("sh", "python", "json", "yaml", "text", "toml"), block
        if block.language != "sh":
            assert not [line for line in block.text.splitlines() if program.match(line)], block
    fenced = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not [line for line in fenced.splitlines() if line.startswith("    ") and program.match(line)]
