"""A lab to attack: whatever must not leak carries a token (``zq...``) that is drawn per run."""
