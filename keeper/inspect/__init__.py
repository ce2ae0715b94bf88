"""Reads a vault's walls, roles and announced changes from any node, and tells them in plain words. Needs no Ape."""
