"""Measuring restored videos."""
