"""Who may do what: one pure policy that every door asks. Layer 2, imports `model` only."""
