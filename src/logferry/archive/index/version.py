"""The version of everything that decides what is in an index. Light: nothing is imported here."""

from __future__ import annotations

FORMAT = 2
"""How the blocks are laid out: ``layout``."""
TOKENIZER = 1
"""What a word and a timestamp is: ``words``, and the recognised formats of times."""
VERSION = FORMAT << 16 | TOKENIZER
"""An index of another version is built again."""
