"""Trained classifiers and regressors of a few words: their texts, their training, their export read elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from fairseq_littlebird.cli.export import main as export

SIZES = {"encoder-layers": 1, "encoder-embed-dim": 32, "encoder-ffn-embed-dim": 48, "encoder-attention-heads": 2,
         "pack-size": 8, "block-size": 16}  # fmt: skip
TRAINING = """--task littlebird_sentence_prediction --padding-insertion --arch littlebird_tiny --dropout 0
    --attention-dropout 0 --cpu --optimizer adam --lr 5e-3 --batch-size 16 --no-epoch-checkpoints --log-format json
    --num-workers 1""".split()
WORDS = {"night": "night train clock tower", "river": "river port old harbour", "mine": "salt mine paper mill"}
CLASSIFICATION = ["--criterion", "littlebird_classification"]


def write(path, records):
    """JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def text(rng, labels):
    """Words of the labels, and words of none."""
    words = [rng.choice(WORDS[label].split()) for label in labels for _ in range(rng.randint(5, 25))]
    words += rng.choices("the a of and in".split(), k=8)
    rng.shuffle(words)
    return " ".join(words) + "."


def train(fairseq, data, save_dir, *more, updates=25, status=0):
    """fairseq-train of a small classifier."""
    sizes = [word for name, size in SIZES.items() for word in (f"--{name}", size)]
    own = [data, *TRAINING, *sizes, "--save-dir", save_dir, "--max-update", updates, *more]
    return fairseq("train", *own, status=status)


READ = """
import json, sys
for name in ("fairseq", "fairseq_littlebird"):
    sys.modules[name] = None  # importing it is an error
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
folder, texts = json.loads(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
if len(sys.argv) > 2:  # the graph
    import onnxruntime
    session = onnxruntime.InferenceSession(sys.argv[2] + "/model.onnx")
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
    print(json.dumps(session.run(None, dict(tokenizer(*texts, padding=True, return_tensors="np")))[0].tolist()))
    sys.exit()
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
logits = []
for side in ("right", "left"):
    tokenizer.padding_side = side
    inputs = tokenizer(*texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits.append(model(**inputs).logits.tolist())
labels = {"regression": torch.zeros(len(logits[0])), "single_label_classification": torch.zeros(len(logits[0])).long(),
          "multi_label_classification": torch.zeros(len(logits[0]), model.config.num_labels)}
model(**inputs, labels=labels[model.config.problem_type]).loss.backward()
AutoModel.from_pretrained(folder, trust_remote_code=True)
config = model.config
print(json.dumps([logits, config.problem_type, list(config.id2label.values()), getattr(config, "score_range", None)]))
"""


def exported(checkpoint, texts, folder):
    """What transformers computes with ``littlebird-export hf``, without this package.

    Returns:
        logits <float>[B, N], the same with padding on either side; the problem type; the labels; the scores' range.
    """
    pytest.importorskip("transformers")
    export(["hf", str(checkpoint), f"{folder}/hf"])
    (right, left), problem_type, labels, ends = read(folder, f"{folder}/hf", texts)
    torch.testing.assert_close(torch.tensor(right), torch.tensor(left), atol=1e-5, rtol=1e-4)
    return torch.tensor(right), problem_type, labels, ends


def exported_graph(checkpoint, texts, folder):
    """What onnxruntime computes with ``littlebird-export onnx`` after :func:`exported`: logits <float>[B, N]."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    export(["onnx", str(checkpoint), f"{folder}/onnx"])
    return torch.tensor(read(folder, f"{folder}/hf", texts, f"{folder}/onnx"))


def read(folder, *arguments):
    """What ``READ`` prints."""
    script = folder / "read.py"
    script.write_text(READ)
    given = [json.dumps(arguments[:2]), *arguments[2:]]
    done = subprocess.run([sys.executable, script, *given], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
