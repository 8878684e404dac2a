"""Check that a sweep would work, before anything is paid for."""
