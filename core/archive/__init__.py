"""Where originals go, under which keys: an S3 bucket or a local folder."""
