"""The console commands: arguments in, one line out when they are wrong."""

from importlib.util import find_spec

if find_spec("fairseq") is not None:  # before anything imports it: some of its modules set up the root logger
    from fairseq_littlebird import registration  # noqa: F401
