"""What tests import; fixtures are in the folders' conftest.py."""
