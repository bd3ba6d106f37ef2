"""Calls a function for ``ForkServer.call``: ``python apply.py CALL RESULT``, two files of pickles."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

function, arguments = pickle.loads(Path(sys.argv[1]).read_bytes())
Path(sys.argv[2]).write_bytes(pickle.dumps(function(*arguments)))
