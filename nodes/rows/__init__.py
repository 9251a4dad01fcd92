"""Files of rows that sinks write, a line for each row."""
