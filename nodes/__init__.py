"""Nodes: one video operation a file or folder, plain Python, composable in any dataflow.

This package knows nothing of Ray and nothing of jobs: it may import `aminet`, never `pipeline`.
Start with `nodes.types` (what travels), then `nodes.node` (the contract every node keeps).
"""
