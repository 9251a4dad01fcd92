"""Running a graph over one segment in this process, and the runner contract."""
