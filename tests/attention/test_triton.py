"""The fused kernels: run in Triton's interpreter, and compiled for a device that need not be there."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fairseq_littlebird.attention import unpack_window_attention

pytest.importorskip("triton")

import triton

from fairseq_littlebird.attention.littlebird import backends
from fairseq_littlebird.attention.littlebird.kernels import launch
from fairseq_littlebird.attention.littlebird.kernels.strides import in_units

SHARED_MEMORY = 227 * 1024  # of a program on compute capability 9.0
needs_compiler = pytest.mark.skipif("nvidia" not in triton.backends.backends, reason="no compiler for CUDA")


@pytest.fixture
def figures(monkeypatch):
    """The script that compiles the kernels without a device."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scripts" / "experiments"))
    return importlib.import_module("kernel_figures")


def test_in_the_interpreter():
    file = Path(__file__).with_name("interpreted_triton.py")
    words = [sys.executable, "-m", "pytest", "-q", "-x", "--import-mode=importlib", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout and "skipped" not in done.stdout


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
def test_compiles_for_a_device(figures, dtype, D, b, dropout_p, optional):
    """What the interpreter does not see: types, layouts, shared memory and registers."""
    for variant in figures.VARIANTS:
        binary = figures.compiled(variant, figures.Kind(dtype, D, b, dropout_p, optional))
        assert binary.metadata.shared <= SHARED_MEMORY
        assert figures.usage(binary)[1] <= 128, variant.title
        if dtype != torch.float32 and b >= 64:
            assert "wgmma" in binary.asm["ptx"]  # the tensor cores' own instructions


@needs_compiler
def test_the_fused_backward_kernel_compiles_for_a_device(figures):
    """It may spill registers: it is not what runs by default."""
    for variant in figures.FUSED:
        binary = figures.compiled(variant, figures.Kind(torch.bfloat16, 64, 64, 0.0, True))
        assert binary.metadata.shared <= SHARED_MEMORY // 2  # two programs a multiprocessor
        assert "wgmma" in binary.asm["ptx"] or variant is not figures.FUSED[0]


@needs_compiler
def test_heads_of_any_width_are_read_16_bytes_at_a_time(figures):
    """Heads of 40 are 80 bytes apart, which no kernel knows by itself."""
    q = torch.empty(2, 7, 3, 40, dtype=torch.float16).transpose(1, 2)
    assert in_units(q, q) == (8, [105, 5, 15] * 2)
    assert in_units(q[..., :1]) == (8, [105, 5, 15]) and in_units(torch.empty(1, 1, 1, 6)) == (2, [3, 3, 3])
    binary = figures.compiled(figures.VARIANTS[0], figures.Kind(torch.float16, 40, 32, 0.0, False))
    copies = re.findall(r"cp\.async\.c[ag]\.shared\.global.*?(0x\w+)", binary.asm["ptx"])
    assert set(copies) == {"0x10", "0x4"}  # of rows, and of the tokens' places, each a number of its own


def test_far_keys_gradients_fill_the_device(monkeypatch):
    """A long batch sums over long chunks; one sequence over short ones, or most of the device would be idle."""
    device = SimpleNamespace(multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
    cuda = torch.device("cuda")
    assert [launch.chunk_length(8192, rows, cuda) for rows in (96, 48, 12)] == [1024, 512, 128]


def test_no_length_or_stride_is_compiled_for(figures):
    """A kernel takes seconds to compile: batches of a new length must not cause it."""
    for variant in figures.VARIANTS + figures.FUSED:
        numbers = [p for p in variant.kernel.params if not p.is_constexpr and not p.name.endswith(("_ptr", "scale"))]
        assert len(numbers) >= 2 and all(p.do_not_specialize for p in numbers), variant.title


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
