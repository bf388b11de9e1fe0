"""What came of runs, for people and for programs: a page and a file of figures."""
