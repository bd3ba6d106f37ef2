"""An exported encoder beside RoBERTa in what people deploy on CPUs: PyTorch, ONNX Runtime and OpenVINO.

    python runtimes.py --out DIR [--size base] [--layers 2] [--lengths 512 2048 4096 8192] [--runs 5]

Both have random weights and the same sizes. LittleBird's graph is that of ``littlebird-export onnx``; RoBERTa's, with
full attention, is written by PyTorch's exporter. All runtimes read the same tokens alternately in one process: times
are medians with the fastest and the slowest of the runs. What fails is listed at the end, and the others go on.
``DIR`` keeps the graphs and ``runtimes.json``. Needs onnx, onnxruntime, onnxscript and transformers; for its rows also
openvino.

int8 is dynamic quantization: weights in 8 bits, activations by the range of each batch. OpenVINO reads the graph that
ONNX Runtime quantized. bfloat16 in OpenVINO is its hint for the precision of the float32 graph.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.timing import Times, interleaved
from fairseq_littlebird.benchmarks.workload import SIZES, Sizes

Call = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""The last hidden states <float>[B, L, C] of ``input_ids`` and ``attention_mask`` <int64>[B, L]."""

INPUTS = ["input_ids", "attention_mask"]
VOCABULARY = 50_265
PAD = 1
FAMILIES = ("littlebird", "roberta")
RUNTIMES = (
    *("pytorch float32", "pytorch bfloat16", "pytorch int8"),
    *("onnxruntime float32", "onnxruntime int8"),
    *("openvino float32", "openvino bfloat16", "openvino int8"),
)


class Graph(nn.Module):
    """Inputs by place, the last hidden states alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]
        return states


def littlebird(sizes: Sizes, layers: int) -> Graph:
    from fairseq_littlebird.export.configuration_littlebird import LittleBirdConfig
    from fairseq_littlebird.export.modeling_littlebird import LittleBirdModel

    config = LittleBirdConfig(
        vocab_size=VOCABULARY,
        hidden_size=sizes.width,
        num_hidden_layers=layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.ffn_width,
        pack_size=sizes.pack_size,
        block_size=sizes.block_size,
        pad_token_id=PAD,
    )
    return Graph(LittleBirdModel(config)).eval()


def roberta(sizes: Sizes, layers: int, longest: int) -> Graph:
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=sizes.width,
        num_hidden_layers=layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.ffn_width,
        max_position_embeddings=longest + PAD + 1,
    )
    config._attn_implementation = "sdpa"
    return Graph(RobertaModel(config, add_pooling_layer=False)).eval()


def write_graph(graph: Graph, path: Path) -> None:
    """As an ONNX graph for batches and texts of any size."""
    inputs = tuple(torch.from_numpy(array) for array in batch(2, 150).values())
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            dynamic_shapes={name: sizes for name in INPUTS},
            input_names=INPUTS,
            output_names=["last_hidden_state"],
            verbose=False,
        )
    assert program is not None
    program.save(str(path))


def quantize(path: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(path), str(target), weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])


def batch(B: int, L: int) -> dict[str, np.ndarray]:
    """Random tokens without padding."""
    tokens = np.random.default_rng(L).integers(4, VOCABULARY, (B, L))
    return {"input_ids": tokens, "attention_mask": np.ones((B, L), np.int64)}


def prepare(runtime: str, graph: Graph, folder: Path, family: str, threads: int) -> Call:
    """A family's model in a runtime, ready to run.

    Args:
        runtime: of ``RUNTIMES``.
        graph: the model.
        folder: with ``FAMILY.onnx`` and ``FAMILY-int8.onnx``.
        family: of ``FAMILIES``.
        threads: of the runtime.
    """
    library, precision = runtime.split()
    path = folder / (f"{family}-int8.onnx" if precision == "int8" else f"{family}.onnx")
    return {"pytorch": in_pytorch, "onnxruntime": in_onnxruntime, "openvino": in_openvino}[library](
        graph, path, precision, threads
    )


def in_pytorch(graph: Graph, path: Path, precision: str, threads: int) -> Call:
    model: nn.Module = graph
    if precision == "bfloat16":
        model = copy.deepcopy(graph).to(torch.bfloat16)
    if precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.ao.quantization.quantize_dynamic(copy.deepcopy(graph), {nn.Linear}, torch.qint8)

    @torch.inference_mode()
    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        states: Tensor = model(*(torch.from_numpy(array) for array in inputs.values()))
        return states.float().numpy()

    return run


def in_onnxruntime(graph: Graph, path: Path, precision: str, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, dict(inputs))[0]


def in_openvino(graph: Graph, path: Path, precision: str, threads: int) -> Call:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    return lambda inputs: np.asarray(compiled(dict(inputs))[0])


def measure(
    calls: Mapping[str, Call], length: int, runs: int, faults: dict[str, str]
) -> tuple[dict[str, Times], dict[str, float]]:
    """Times of what runs, in turn, and by how much its hidden states differ from PyTorch's in float32.

    Args:
        calls: by family and runtime.
        length: tokens of the one sequence.
        runs: that are timed, after one that is not.
        faults: takes what does not run.
    """
    inputs = batch(1, length)
    expected: dict[str, np.ndarray] = {}
    differences: dict[str, float] = {}
    ready: dict[str, Callable[[], object]] = {}
    for name, call in calls.items():
        family = name.split()[0]
        try:
            states = call(inputs)
        except Exception as error:  # a runtime may raise anything
            faults[f"{name}, {length}"] = first(error)
            continue
        expected.setdefault(family, states)
        differences[name] = float(np.abs(states - expected[family]).max())
        ready[name] = partial(call, inputs)
    return interleaved(ready, runs), differences


def first(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def table(rows: list[dict[str, Any]], lengths: list[int]) -> str:
    """Milliseconds by runtime and length, LittleBird's before RoBERTa's, and last the best of each."""
    lines = ["| runtime | " + " | ".join(f"{length:,}" for length in lengths) + " |", "|---|" + "---|" * len(lengths)]
    found = {(row["family"], row["runtime"], row["length"]): row for row in rows}
    for runtime in RUNTIMES:
        cells = []
        for length in lengths:
            pair = [found.get((family, runtime, length)) for family in FAMILIES]
            cells.append(" / ".join(f"{row['ms']:.0f}" if row else "–" for row in pair))
        lines.append(f"| {runtime} | {' | '.join(cells)} |")
    cells = []
    for length in lengths:
        best = {
            family: min((r["ms"] for r in rows if r["family"] == family and r["length"] == length), default=None)
            for family in FAMILIES
        }
        ours, theirs = (best[family] for family in FAMILIES)
        cells.append(f"{theirs / ours:.2f} ×" if ours and theirs else "–")
    lines.append(f"| RoBERTa's best over LittleBird's best | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", choices=SIZES, default="base", help="(%(default)s)")
    parser.add_argument("--layers", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192], help="in tokens")
    parser.add_argument("--runs", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of every runtime (%(default)s)")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=list(RUNTIMES), help="of these alone")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    record = environment()
    print(", ".join(f"{key} {value}" for key, value in record.items() if value), flush=True)
    sizes = SIZES[options.size]
    graphs = {
        "littlebird": littlebird(sizes, options.layers),
        "roberta": roberta(sizes, options.layers, max(options.lengths)),
    }
    calls: dict[str, Call] = {}
    faults: dict[str, str] = {}
    for family, graph in graphs.items():
        path = options.out / f"{family}.onnx"
        try:
            write_graph(graph, path)
            quantize(path, options.out / f"{family}-int8.onnx")
        except Exception as error:
            faults[f"{family}, export"] = first(error)
        for runtime in options.runtimes:
            try:
                calls[f"{family} {runtime}"] = prepare(runtime, graph, options.out, family, options.threads)
            except Exception as error:
                faults[f"{family} {runtime}"] = first(error)
    rows: list[dict[str, Any]] = []
    for length in options.lengths:
        times, differences = measure(calls, length, options.runs, faults)
        for name, (median, fastest, slowest) in times.items():
            family, runtime = name.split(maxsplit=1)
            rows.append(
                {
                    "family": family,
                    "runtime": runtime,
                    "length": length,
                    "ms": median,
                    "fastest": fastest,
                    "slowest": slowest,
                    "difference": differences[name],
                }
            )
            print(
                f"{length:>6,} {name:32} {median:9.1f} ms [{fastest:.1f}–{slowest:.1f}], "
                f"differs by {differences[name]:.1e}",
                flush=True,
            )
        (options.out / "runtimes.json").write_text(
            json.dumps({"environment": record, "rows": rows, "faults": faults}, indent=1) + "\n"
        )
    print("\n" + table(rows, options.lengths))
    for name, fault in faults.items():
        print(f"{name}: {fault}")


if __name__ == "__main__":
    main()
