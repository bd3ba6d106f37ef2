"""How ``--help`` shows options."""

from __future__ import annotations

import argparse


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds an option's default where it has one: ``None``, ``False``, an empty list and a switch's are none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        switch = isinstance(action, argparse._StoreFalseAction)
        if action.default is None or action.default is False or action.default == [] or switch:
            return action.help
        return super()._get_help_string(action)
