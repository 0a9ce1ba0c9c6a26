"""The transfer engine beside its peers: `make bench`."""
