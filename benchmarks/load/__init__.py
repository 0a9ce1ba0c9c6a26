"""`make load`: what the deployed workflow costs as the library grows, on emulated clouds."""
