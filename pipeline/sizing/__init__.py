"""Pure decisions: how many workers and enhancers, where, and to which one work goes."""
