"""The contract between panel and agent: typed messages, errors, and sessions without I/O."""
