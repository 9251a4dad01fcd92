"""AMINet, the network: tensors in, tensors out. It knows nothing of video."""
