"""The nodes of the dataflow graphs: one video operation in each file or folder.

Nodes are independent of Ray and of jobs: this package may import `aminet`, but not `pipeline`.
Start with `nodes.types` (the packets), then `nodes.node` (the node contract).
"""
