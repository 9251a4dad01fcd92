"""`check_node`: what every node keeps to, as a test that other packages can run on theirs.

    def test_my_node():
        check_node(MyNode, strength=0.5)

It makes a short video with one moving face, in 8 and in 10 bits, takes the node through it as a
runner would, and says in an `AssertionError` what the node does not keep to: two runs give the
same; a video cut into segments gives what it gives in one piece; the packets that the node is given
are as they were; its answers have the right ports, types and times; it pickles; it closes after an
error and can be opened again; its configuration is frozen and documented.
"""

from nodes.testing.check import check_node
from nodes.testing.samples import sample_info, sample_packets

__all__ = ["check_node", "sample_info", "sample_packets"]
