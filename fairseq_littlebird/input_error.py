"""The error of a model that cannot serve an input; needs the standard library alone."""


class InputError(ValueError):
    """An input that a model's settings cannot serve. The text is one line for the user: what is wrong, what to do."""
