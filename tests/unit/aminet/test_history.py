import torch

from aminet.history import with_history, without_history


def test_frames_that_agree_weigh_n_of_n_plus_one() -> None:
    frames = torch.rand(2, 5, 3, 8, 8)
    x = with_history(frames, torch.ones(2, 4, 1, 8, 8))
    assert torch.equal(x[:, :3], frames[:, -1])
    torch.testing.assert_close(x[:, 3:6], frames.mean(dim=1))
    torch.testing.assert_close(x[:, 6], torch.full((2, 8, 8), 4 / 5))


def test_frames_count_pixel_by_pixel() -> None:
    frames = torch.rand(1, 3, 3, 1, 2)
    agreement = torch.tensor([[1.0, 0.0], [0.5, 0.0]]).view(1, 2, 1, 1, 2)
    x = with_history(frames, agreement)
    left = (frames[0, 2, :, 0, 0] + frames[0, 0, :, 0, 0] + 0.5 * frames[0, 1, :, 0, 0]) / 2.5
    torch.testing.assert_close(x[0, 3:6, 0, 0], left)
    torch.testing.assert_close(x[0, 6, 0, 0], torch.tensor(1.5 / 2.5))
    assert torch.equal(x[..., 1], without_history(frames[:, -1])[..., 1])


def test_a_track_of_one_frame_has_no_history() -> None:
    frames = torch.rand(2, 1, 3, 8, 8)
    assert torch.equal(
        with_history(frames, torch.ones(2, 0, 1, 8, 8)), without_history(frames[:, 0])
    )
