"""AMINet: the face restoration network, its weights, its training and its evaluation.

Everything here works on tensors of face pictures. Video is handled by `nodes` and `pipeline`.
"""
