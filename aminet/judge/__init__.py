"""Measures of restoration: trials, metrics, tables and sheets."""
