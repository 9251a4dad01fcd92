"""Makes the sample videos, their sharp references and the truth about where the faces are.

    python -m tools.samples MEDIA_DIR [--out samples] [--model face_landmarker.task]

`samples/README.md` says what they show and how they are damaged.
"""
