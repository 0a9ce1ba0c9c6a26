"""What people are told though nothing is wrong, and the way of any message into a chat."""
