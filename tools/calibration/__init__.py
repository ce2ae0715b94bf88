"""Fits the shipped market parameters to history files, and says how well they fit."""
