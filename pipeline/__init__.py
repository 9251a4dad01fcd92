"""The dataflow: graphs, runners and jobs. The only package that knows Ray, and there only `ray_*`.

From Python, the main job is one call:

    import pipeline
    report = pipeline.enhance("in.mp4", "out.mp4", scale=2)
"""

from pipeline.api import enhance

__all__ = ["enhance"]
