"""Benchmarks: what must be fast, measured beside a bare reference in the same run. Figures are ratios; a machine's noise is in both sides."""
