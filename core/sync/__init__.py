"""The steps of a sync and the local driver. The workflow's handlers and `LocalSync` call the same functions."""
