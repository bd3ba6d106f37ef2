"""An exported encoder beside RoBERTa in what people deploy on CPUs: PyTorch, ONNX Runtime and OpenVINO.

    python runtimes.py --out DIR [--size base] [--layers 2] [--lengths 512 2048 4096 8192] [--runs 5]

Both have random weights and the same sizes. LittleBird's graph is that of ``littlebird-export onnx``; RoBERTa's, with
full attention, is written by PyTorch's exporter. The two read the same tokens alternately, in a new process for each
runtime and length, as the waiting threads of one runtime disturb another: times are medians with the fastest and the
slowest of the runs. What fails or runs out of memory is listed at the end, and the others go on.
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
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_littlebird.benchmarks.environment import environment
from fairseq_littlebird.benchmarks.processes import OutOfMemory, fresh_process
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
    runtime: str, length: int, folder: Path, sizes: Sizes, layers: int, runs: int, threads: int
) -> tuple[dict[str, Times], dict[str, float], dict[str, str]]:
    """Both models in a runtime: their times, how far their hidden states are from PyTorch's in float32, and faults.

    Args:
        runtime: of ``RUNTIMES``.
        length: tokens of the one sequence.
        folder: with the graphs and the weights that they were made of.
        sizes: of the models.
        layers: of the models.
        runs: that are timed, after one that is not.
        threads: of the runtime.
    """
    quiet()
    torch.set_num_threads(threads)
    inputs = batch(1, length)
    differences: dict[str, float] = {}
    faults: dict[str, str] = {}
    ready: dict[str, Callable[[], object]] = {}
    for family in FAMILIES:
        graph = model(family, sizes, layers, folder)
        try:
            call = prepare(runtime, graph, folder, family, threads)
            states = call(inputs)
        except Exception as error:  # a runtime may raise anything
            faults[family] = first(error)
            continue
        differences[family] = float(np.abs(states - in_pytorch(graph, folder, "float32", threads)(inputs)).max())
        ready[family] = partial(call, inputs)
    return interleaved(ready, runs), differences, faults


def quiet() -> None:
    """What the libraries say of themselves is left out."""
    logging.disable(logging.WARNING)
    os.environ.setdefault("OPENVINO_TELEMETRY", "0")


def model(family: str, sizes: Sizes, layers: int, folder: Path) -> Graph:
    """With the weights of the folder, which it gets from the first call."""
    longest = json.loads((folder / "longest.json").read_text())
    graph = littlebird(sizes, layers) if family == "littlebird" else roberta(sizes, layers, longest)
    weights = folder / f"{family}.pt"
    if weights.exists():
        graph.load_state_dict(torch.load(weights, weights_only=True))
    else:
        torch.save(graph.state_dict(), weights)
    return graph


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
    quiet()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    record = environment()
    print(", ".join(f"{key} {value}" for key, value in record.items() if value), flush=True)
    sizes = SIZES[options.size]
    faults: dict[str, str] = {}
    (options.out / "longest.json").write_text(f"{max(options.lengths)}\n")
    for family in FAMILIES:
        (options.out / f"{family}.pt").unlink(missing_ok=True)
        path = options.out / f"{family}.onnx"
        try:
            write_graph(model(family, sizes, options.layers, options.out), path)
            quantize(path, options.out / f"{family}-int8.onnx")
        except Exception as error:
            faults[f"{family}, export"] = first(error)
    rows: list[dict[str, Any]] = []
    for length, runtime in product(options.lengths, options.runtimes):
        given = (runtime, length, options.out, sizes, options.layers, options.runs, options.threads)
        try:
            times, differences, failed = fresh_process(measure, *given)
        except OutOfMemory as error:
            times, differences, failed = {}, {}, {" and ".join(FAMILIES): str(error)}
        faults |= {f"{family} {runtime}, {length}": fault for family, fault in failed.items()}
        for family, (median, fastest, slowest) in times.items():
            rows.append(
                {
                    "family": family,
                    "runtime": runtime,
                    "length": length,
                    "ms": median,
                    "fastest": fastest,
                    "slowest": slowest,
                    "difference": differences[family],
                }
            )
            print(
                f"{length:>6,} {runtime:20} {family:10} {median:9.1f} ms [{fastest:.1f}–{slowest:.1f}], "
                f"differs by {differences[family]:.1e}",
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
