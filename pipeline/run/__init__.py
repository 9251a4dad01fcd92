"""Running a graph on segments in this process, and the interface of runners."""
