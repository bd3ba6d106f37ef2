"""littlebird-config-dir: where the YAML configurations are, for ``fairseq-hydra-train --config-dir``."""

from __future__ import annotations

import argparse
import sysconfig
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from fairseq_littlebird.errors import UserError, exit_on_user_error

INSTALLED = Path("share") / "fairseq_littlebird" / "configs"


@exit_on_user_error
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="littlebird-config-dir",
        description="Prints the folder of the YAML configurations, as in: fairseq-hydra-train --config-dir "
        '"$(littlebird-config-dir)" --config-name question_answering …',
    )
    parser.parse_args(arguments)
    print(config_dir())


def config_dir() -> Path:
    """That of the checkout that this runs in, else that of the wheel.

    Raises:
        UserError: neither is there.
    """
    checkout = Path(__file__).resolve().parents[2] / "configs"
    if (checkout.parent / "setup.cfg").is_file():
        return checkout
    try:
        files = metadata.files("fairseq_littlebird") or ()
    except metadata.PackageNotFoundError:
        files = ()
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.parent.parts[-3:] == INSTALLED.parts:
            return path.parent
    installed = Path(sysconfig.get_path("data")) / INSTALLED
    if not installed.is_dir():
        raise UserError("no configurations beside this installation", str(installed), "install the wheel again")
    return installed
