"""Pixels and keys: sprites, boards, the page and its panel, windows, films. The only room that knows pygame."""
