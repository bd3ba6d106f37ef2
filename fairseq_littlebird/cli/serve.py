"""littlebird-serve: a question-answering model as a page in the browser, and as JSON over HTTP."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fairseq_littlebird.cli.help_formatter import HelpFormatter
from fairseq_littlebird.cli.model_options import add_model_options
from fairseq_littlebird.cli.numbers import count, positive
from fairseq_littlebird.errors import UserError, exit_on_user_error
from fairseq_littlebird.signals import Ended

NEEDED = ("fastapi", "multipart", "prometheus_client", "uvicorn")


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} not installed", remedy="pip install 'fairseq_littlebird[serve]'")
    # --help should not wait for fairseq
    from fairseq_littlebird import LittleBird
    from fairseq_littlebird.serving.limits import Limits
    from fairseq_littlebird.serving.server import listening, serve

    limits = Limits(
        options.max_megabytes, options.max_characters, options.max_waiting, options.timeout, options.max_batch
    )
    with listening(options.host, options.port) as listener:
        model = LittleBird.from_pretrained(
            options.model, options.tokenizer, options.max_tokens, device=options.device, precision=options.precision
        )
        name = options.name or Path(options.model).resolve().name
        try:
            serve(model, name, listener, limits, options.allowed_host)
        except KeyboardInterrupt as signal:  # all that was asked is answered
            how = f" after {signal}" if isinstance(signal, Ended) else ""
            print(f"littlebird-serve: stopped{how}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="littlebird-serve",
        description="Answers questions about documents over HTTP: a page for people, JSON for programs "
        "(/openapi.json describes it), /health and /metrics. SIGTERM and Ctrl-C let it finish what was asked.",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a training, or a checkpoint")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 lets other machines ask")
    parser.add_argument("--port", type=count, default=8000, help="port to listen at; 0 for any free one")
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="another name that it is asked by, as of a "
        "proxy before it, whose pages may ask; can be given several times"
    )  # fmt: skip
    parser.add_argument("--name", help="of the model, to show (default: its file or folder)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-megabytes", type=positive, default=32, metavar="N", help="MiB of a request (413)")
    limits.add_argument(
        "--max-characters", type=positive, default=500_000, metavar="N", help="of a question's documents (413)"
    )
    limits.add_argument("--max-waiting", type=positive, default=64, metavar="N", help="questions that wait (429)")
    limits.add_argument("--timeout", type=positive, default=120, metavar="SECONDS", help="for an answer (503)")
    limits.add_argument("--max-batch", type=positive, default=16, metavar="N", help="questions answered together")
    model = parser.add_argument_group("model")
    add_model_options(model)
    return parser


if __name__ == "__main__":
    main()
