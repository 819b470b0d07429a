"""What Carbon is measured against: each benchmark does the same work with us and with a peer, in one run."""
