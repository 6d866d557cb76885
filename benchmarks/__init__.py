"""Benchmarks: speed beside quality, in alternating pairs within one process."""
