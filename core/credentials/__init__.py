"""What signs a user in, where it is kept, and how it is renewed once for all workers."""
