"""The commands of `python -m core`: a small function and a parser's entry each."""
