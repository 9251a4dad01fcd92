"""Pipes and live sources."""
