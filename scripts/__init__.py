"""Scripts around the product: the demo, the build of the Lambda artifact."""
