"""Policies: the rules, networks and forecasts that choose weights, their files, and how to load one."""
