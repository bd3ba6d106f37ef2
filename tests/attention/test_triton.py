"""The fused kernels: run in Triton's interpreter, and compiled for a device that need not be there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairseq_littlebird.attention import unpack_window_attention

pytest.importorskip("triton")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fairseq_littlebird.attention.littlebird import backends
from fairseq_littlebird.attention.littlebird import triton as fused
from fairseq_littlebird.attention.littlebird import triton_kernels as kernels

KERNELS = (
    ("forward", kernels.forward_kernel),
    ("queries", kernels.queries_backward_kernel),
    ("keys", kernels.far_keys_backward_kernel),
    ("keys", kernels.window_keys_backward_kernel),
)
SHARED_MEMORY = 227 * 1024  # of a program on compute capability 9.0
needs_compiler = pytest.mark.skipif("nvidia" not in triton.backends.backends, reason="no compiler for CUDA")


def test_in_the_interpreter():
    file = Path(__file__).with_name("interpreted_triton.py")
    words = [sys.executable, "-m", "pytest", "-q", "-x", "--import-mode=importlib", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout and "skipped" not in done.stdout


def compiled(kernel, tile, dtype, D, b, dropout_p, optional, ones=()):
    """A kernel as a device of compute capability 9.0 would get it; arguments of 1 are constants to Triton."""
    q = torch.empty(1, 1, 1, D, dtype=dtype, device="meta")
    constants = fused._constants(q, b, dropout_p, tile) | {"CHUNK": fused.CHUNK}
    options = {name: constants.pop(name) for name in ("num_warps", "num_stages", "enable_fp_fusion")}
    of_inputs = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32"}[dtype]
    types = dict.fromkeys(("slopes_ptr", "positions_ptr", "log_sum_ptr", "delta_ptr", "dslopes_ptr"), "*fp32")
    types |= {"dfar_k_ptr": "*fp32", "dfar_v_ptr": "*fp32", "extent_ptr": "*i32", "seed_ptr": "*i64"}
    types |= {"scale": "fp32", "keep_scale": "fp32"}
    absent = {"seed_ptr"} if not dropout_p else set()
    absent |= set() if optional else {"slopes_ptr", "extent_ptr"}
    signature, given, aligned = {}, {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants or name in absent or name in ones:
            signature[name], given[name] = "constexpr", 1 if name in ones else constants.get(name)
            continue
        signature[name] = types.get(name, of_inputs if name.endswith("_ptr") else "i32")
        if name.endswith(("_ptr", "_stride")):
            aligned[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, given, aligned)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


def stack_bytes(binary, folder):
    """What a thread spills, from the compiled code."""
    path = folder / "kernel.cubin"
    path.write_bytes(binary)
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    listing = subprocess.run([tool, "-res-usage", path], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"STACK:(\d+)", listing)[1])


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "D", "b", "dropout_p", "optional"),
    [
        (torch.bfloat16, 64, 64, 0.1, True),
        (torch.bfloat16, 64, 64, 0.0, True),
        (torch.bfloat16, 128, 128, 0.1, True),
        (torch.float16, 40, 32, 0.0, False),
        (torch.float32, 64, 64, 0.1, True),
        (torch.float32, 128, 16, 0.0, True),
    ],
)
def test_compiles_for_a_device(tmp_path, dtype, D, b, dropout_p, optional):
    """What the interpreter does not see: types, layouts, shared memory and registers."""
    for name, kernel in KERNELS:
        tile = fused.tiles(D, b, dtype.itemsize)[name]
        binary = compiled(kernel, tile, dtype, D, b, dropout_p, optional)
        assert binary.metadata.shared <= SHARED_MEMORY
        assert stack_bytes(binary.asm["cubin"], tmp_path) <= 128, kernel.__name__
        if dtype != torch.float32 and b >= 64:
            assert "wgmma" in binary.asm["ptx"]  # the tensor cores' own instructions


@needs_compiler
@pytest.mark.parametrize("optional", [True, False])
def test_compiles_for_one_token_and_one_head(optional):
    for name, kernel in KERNELS:
        tile = fused.tiles(64, 64, 2)[name]
        assert compiled(kernel, tile, torch.bfloat16, 64, 64, 0.1, optional, ones=("H", "L", "F", "S"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_without_a_device_it_is_refused_by_name(tools):
    with pytest.raises(ValueError, match="^attention backend 'triton' needs a CUDA device, not cpu$"):
        unpack_window_attention(**tools.make_inputs(), block_size=16, backend="triton")


def test_without_triton_it_is_refused_by_name(tools, monkeypatch):
    monkeypatch.setattr(backends, "HAS_TRITON", False)
    with pytest.raises(
        ValueError, match="^attention backend 'triton' needs the package triton, which is not installed$"
    ):
        unpack_window_attention(**tools.make_inputs(), block_size=16, backend="triton")


def test_attention_does_not_import_triton():
    module = "fairseq_littlebird.attention.littlebird.triton"
    code = f"import sys, fairseq_littlebird.attention; sys.exit('{module}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
