"""Ape commands (`ape run ...`) and what they share. Nothing else in the project imports from here."""
