"""Several workers and what can happen to them: nothing is lost, nothing differs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest
import torch

from tests.tasks.conftest import PACKAGE, SIZES, TASKS, TRAINING

STILL = ["--dropout", "0", "--attention-dropout", "0", "--disable-validation"]
