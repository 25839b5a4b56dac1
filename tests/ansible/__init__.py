"""The Ansible collection: ``fleet`` makes checkouts and plays on them, ``callback`` writes down results."""
